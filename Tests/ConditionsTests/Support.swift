// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusVocabulary

func hsm(_ state: HSMState, _ name: String = "nshield-a") -> HSMStatus {
    HSMStatus(
        name: name, state: state, reason: state == .active ? nil : "C_Login: CKR_PIN_INCORRECT",
        sinceUnixSeconds: 1_700_000_000, lanes: .init(open: 16, inUse: 3, overdue: 1), keys: 2, tier: 1, weight: 200)
}

/// Nodes of a cluster in which nothing is wrong.
enum Scene {
    static let now: Int64 = 1_700_000_000

    static let blocks = BlockListing(
        blocks: [
            BlockView(
                id: "0123456789abcdef0123456789abcdef", target: "--key secret-plans", reason: "the laptop of Mr. X",
                madeAtUnixSeconds: now - 60, expiresAtUnixSeconds: now + 60, madeBy: "anna@fra-1")
        ], unknown: nil)

    static func node(
        _ name: String, hsms: [ClusterNode.HSM] = [hsm("a")], change: (inout ClusterNode) -> Void = { _ in }
    ) -> ClusterNode {
        var node = ClusterNode(
            name: name, site: String(name.prefix(3)), address: "10.0.0.1:7443", liveness: .alive,
            sinceUnixSeconds: now - 300, draining: false, version: "1.2.3", incarnation: 4,
            roundTripMicroseconds: 800, inFlight: 2, encrypts: 10, decrypts: 20, drift: [], hsms: hsms,
            unservedKeys: [])
        change(&node)
        return node
    }

    static func hsm(
        _ name: String, serial: String = "", _ state: HSMState = .active, drained: Bool = false
    ) -> ClusterNode.HSM {
        ClusterNode.HSM(name: name, serial: serial, model: "m", state: state, drained: drained)
    }
}

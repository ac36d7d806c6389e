// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Synchronization

/// A status that tests set.
final class StatusSource: NodeStatusSource {
    private let current: Mutex<NodeStatus>

    init(_ states: [HSMStatus.State], draining: Bool = false) {
        current = Mutex(NodeStatus(node: "fra-1", version: "1.2.3", draining: draining, hsms: states.map(hsm)))
    }

    func status() -> NodeStatus { current.withLock { $0 } }

    func change(_ body: (inout NodeStatus) -> Void) { current.withLock { body(&$0) } }
}

func hsm(_ state: HSMStatus.State) -> HSMStatus {
    HSMStatus(
        name: "nshield-a", tokenLabel: "xks", serial: "0123", model: "nShield \"5\"", firmware: "13.4", state: state,
        reason: state == .active ? nil : "C_Login: CKR_PIN_INCORRECT", sinceUnixSeconds: 1_700_000_000,
        lanes: .init(open: 16, inUse: 3, overdue: 1), keys: 2, tier: 1, weight: 200,
        latencyMicroseconds: .init(p50: 900, p95: 1500, p99: 4000))
}

/// A node that does what it is told, and keeps what that was.
final class ScriptedNode: NodeAdministration {
    private let answer: AdminAnswer
    private let told = Mutex<[String]>([])

    init(_ answer: AdminAnswer = .done("done")) { self.answer = answer }

    var commands: [String] { told.withLock { $0 } }

    func status() -> AdminStatus {
        AdminStatus(
            status: NodeStatus(node: "fra-1", version: "1.2.3", draining: false, hsms: [hsm(.active)]),
            transitions: [], asOfUnixSeconds: 1_700_000_000)
    }

    func drain(_ hsm: String) async -> AdminAnswer { note("drain \(hsm)") }

    func undrain(_ hsm: String) async -> AdminAnswer { note("undrain \(hsm)") }

    func trust(key: String, hsm: String) async -> AdminAnswer { note("trust \(key) on \(hsm)") }

    private func note(_ command: String) -> AdminAnswer {
        told.withLock { $0.append(command) }
        return answer
    }
}

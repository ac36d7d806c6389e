// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Conditions
import Glibc
import StatusVocabulary
import Synchronization

/// A status that tests set.
final class StatusSource: NodeStatusSource {
    private let current: Mutex<NodeStatus>

    init(_ states: [HSMState], draining: Bool = false) {
        let hsms = states.enumerated().map { index, state in
            var hsm = hsm(state)
            hsm.serial = "012\(3 + index)"
            return hsm
        }
        current = Mutex(NodeStatus(node: "fra-1", version: "1.2.3", draining: draining, hsms: hsms))
    }

    func status() -> NodeStatus { current.withLock { $0 }.judged() }

    func clusterHealth() -> ClusterHealth { Scene.health(status()) }

    func metrics() -> String { "claviger_ready 1\n" }

    func change(_ body: (inout NodeStatus) -> Void) { current.withLock { body(&$0) } }
}

func hsm(_ state: HSMState) -> HSMStatus {
    HSMStatus(
        name: "nshield-a", tokenLabel: "xks", serial: "0123", model: "nShield \"5\"", firmware: "13.4", state: state,
        reason: state == .active ? nil : "C_Login: CKR_PIN_INCORRECT", sinceUnixSeconds: 1_700_000_000,
        lanes: .init(open: 16, inUse: 3, overdue: 1, queued: 2), keys: 2, tier: 1, weight: 200,
        latencyMicroseconds: .init(p50: 900, p95: 1500, p99: 4000),
        learned: .init(callMicroseconds: 880, usefulCalls: 12))
}

/// A node that does what it is asked, and keeps what that was.
final class ScriptedNode: NodeAdministration {
    private let answer: AdminAnswer
    private let reported = Mutex<[String]>([])

    init(_ answer: AdminAnswer = .done("done")) { self.answer = answer }

    var commands: [String] { reported.withLock { $0 } }

    func status() -> AdminStatus {
        AdminStatus(
            status: NodeStatus(node: "fra-1", version: "1.2.3", draining: false, hsms: [hsm(.active)]).judged(),
            transitions: [], asOfUnixSeconds: 1_700_000_000)
    }

    func requests() -> RequestsReport { Scene.requests }

    func drain(_ hsm: String) async -> AdminAnswer { note("drain \(hsm)") }

    func drain(_ hsm: String, seconds: Int) async -> AdminAnswer { note("drain \(hsm) for \(seconds) s") }

    func prolongDrain(of hsm: String, seconds: Int) async -> AdminAnswer { note("prolong \(hsm) by \(seconds) s") }

    func metrics() -> String { "claviger_ready 1\n" }

    func undrain(_ hsm: String) async -> AdminAnswer { note("undrain \(hsm)") }

    func trust(key: String, hsm: String) async -> AdminAnswer { note("trust \(key) on \(hsm)") }
    func forget(key: String) async -> AdminAnswer { note("forget \(key)") }

    func block(_ order: BlockOrder) async -> AdminResult<BlockReceipt> { give("\(order)") }

    func outlook(on order: BlockOrder) -> AdminResult<BlockOutlook> {
        guard order.expiresInSeconds != nil else { return .done(BlockOutlook(unable: [], coarser: nil)) }
        return .done(BlockOutlook(unable: [.init(node: "old", version: "0.1")], coarser: "without --expires"))
    }

    func lift(_ order: LiftOrder) async -> AdminResult<BlockReceipt> { give("\(order)") }

    func bootstrap(user: String) async -> AdminAnswer { note("bootstrap by \(user)") }

    func progress(ofOrder number: UInt64) -> BlockProgress? {
        number == 7 ? BlockProgress(nodes: [.init(node: "fra-1", state: .confirmed)], isFinished: true) : nil
    }

    func blocks() -> BlockListing { Scene.blocks }

    func clusterHealth() -> ClusterHealth { Scene.health(status().status) }

    func auditHeads(of node: String?) -> AuditHeads { AuditHeads(heads: []) }
    func beginDiagnosis() -> String { "diagnose-1" }
    func logTail() -> [String] { ["first", "second"] }

    func forget(node: String, user: String) async -> AdminAnswer { note("forget \(node) by \(user)") }

    func reload(isForced: Bool) async -> AdminAnswer { note(isForced ? "reload by force" : "reload") }

    func setLogLevel(_ level: String) async -> AdminAnswer { note("log level \(level)") }

    func drainNode() async -> AdminAnswer { note("drain node") }

    private func give(_ order: String) -> AdminResult<BlockReceipt> {
        switch note(order) {
        case .done(let message, _): .done(BlockReceipt(message: message, order: 7, durable: true))
        case .unknown(let text, _, _): .unknown(text)
        case .refused(let text), .failed(let text): .malformed(text)
        }
    }

    private func note(_ command: String) -> AdminAnswer {
        reported.withLock { $0.append(command) }
        return answer
    }
}

/// A cluster of two nodes, with a block and a key that is not served.
enum Scene {
    static let now: Int64 = 1_700_000_000

    static let requests = RequestsReport(
        node: "fra-1", inFlight: 2,
        underWay: [
            .init(
                kmsRequestId: "id-1", operation: "Encrypt", keyStore: "/a", key: "foo",
                sinceUnixMilliseconds: now * 1_000, ageMicroseconds: 1_500, place: .hsm, hsms: ["hsm-a"], attempts: 1)
        ],
        slowest: [
            .init(
                kmsRequestId: "id-2", operation: "Decrypt", keyStore: "/a", key: "foo", endedMicrosecondsAgo: 4_000_000,
                totalMicroseconds: 90_000, waitedMicroseconds: 10_000, hsmMicroseconds: 60_000, peerMicroseconds: 0,
                hsm: "hsm-a", attempts: 2, hedged: true, forwardedTo: nil, forwardedBy: nil, outcome: "ok")
        ])

    static let blocks = BlockListing(
        blocks: [
            BlockView(
                id: "0123456789abcdef0123456789abcdef", target: "--key secret-plans", reason: "the laptop of Mr. X",
                madeAtUnixSeconds: now - 60, expiresAtUnixSeconds: now + 60, madeBy: "anna@fra-1")
        ], unknown: nil)

    static func health(_ here: NodeStatus) -> ClusterHealth {
        let hsms = here.hsms.map { hsm in
            ClusterNode.HSM(
                name: hsm.name, serial: hsm.serial ?? "", model: hsm.model ?? "", state: hsm.state,
                drained: hsm.drained)
        }
        return ClusterHealth(
            here: here, isClustered: true,
            nodes: [node("fra-1", hsms: hsms), node("iad-1", hsms: hsms) { $0.unservedKeys = ["secret-plans"] }],
            blocks: blocks, asOfUnixSeconds: now)
    }

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

/// How a node records an order of this process that says it is `claimed`'s: by the kernel's word, and beside it that one.
func recorded(_ claimed: String) -> String {
    guard let entry = getpwuid(getuid()), let name = entry.pointee.pw_name else {
        return "uid-\(getuid())(claims:\(claimed))"
    }
    let own = String(cString: name)
    return own == claimed ? own : "\(own)(claims:\(claimed))"
}

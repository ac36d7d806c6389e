// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Conditions
import Foundation
import Glibc
import StatusVocabulary
import Synchronization
import Testing

/// A node that does what it is asked, and keeps what that was.
final class ScriptedNode: NodeAdministration {
    private let answer: AdminAnswer
    private let reported = Mutex<[String]>([])
    private let shown: AdminStatus

    init(_ answer: AdminAnswer = .done("done"), status: AdminStatus = Example.status) {
        self.answer = answer
        shown = status
    }

    var commands: [String] { reported.withLock { $0 } }

    func status() -> AdminStatus { shown }

    func requests() -> RequestsReport { Example.requests }

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

    func progress(ofOrder number: UInt64) -> BlockProgress? { number == 7 ? Example.progress : nil }

    func blocks() -> BlockListing { Example.blocks }

    func auditHeads(of node: String?) -> AuditHeads { AuditHeads(heads: []) }
    func beginDiagnosis() -> String { "diagnose-1" }
    func logTail() -> [String] { ["first", "second"] }
    func clusterHealth() -> ClusterHealth { Example.cluster }

    func forget(node: String, user: String) async -> AdminAnswer { note("forget \(node) by \(user)") }

    func reload(isForced: Bool) async -> AdminAnswer { note(isForced ? "reload by force" : "reload") }

    func setLogLevel(_ level: String) async -> AdminAnswer { note("log level \(level)") }

    func drainNode() async -> AdminAnswer { note("drain node") }

    private func give(_ order: String) -> AdminResult<BlockReceipt> {
        switch note(order) {
        case .done(let message, _): .done(BlockReceipt(message: message, order: 7, durable: false))
        case .unknown(let text, _, _): .unknown(text)
        case .refused(let text), .failed(let text): .malformed(text)
        }
    }

    private func note(_ command: String) -> AdminAnswer {
        reported.withLock { $0.append(command) }
        return answer
    }
}

/// Listens at a Unix socket, and answers each connection with the same bytes; `nil`: never.
final class FakeNode: Sendable {
    private let listener: Int32

    init(at path: String, answer: [UInt8]?) throws {
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        try #require(listener >= 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        try #require(isBound && listen(listener, 8) == 0, "\(errno)")
        guard let answer else { return }
        Thread.detachNewThread { [listener] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                var block = [UInt8](repeating: 0, count: 4096)
                _ = read(connection, &block, block.count)
                _ = answer.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                Glibc.close(connection)
            }
        }
    }

    /// Ends it; the socket's file stays, as that of a process that was killed.
    func close() {
        shutdown(listener, Int32(SHUT_RDWR))
        Glibc.close(listener)
    }
}

/// A directory of a short path that goes with the test.
final class StateDirectory: Sendable {
    let path: String

    init() throws {
        path = "/tmp/cl-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A node with one of everything.
enum Example {
    static let requests = RequestsReport(
        node: "fra-1", inFlight: 3,
        underWay: [
            underWay("Encrypt", "/bank", id: "id-1", microseconds: 81_500, .hsm, hsms: ["nshield-a", "luna"]),
            underWay("Decrypt", "/bank", id: "id-2", microseconds: 1_500, .waiting),
            underWay("Decrypt", "", id: nil, microseconds: 900, .peer, peer: "iad-1"),
        ],
        slowest: [
            RequestsReport.Slow(
                kmsRequestId: "id-3", operation: "Decrypt", keyStore: "/bank", key: "foo",
                endedMicrosecondsAgo: 4_900_000, totalMicroseconds: 90_000, waitedMicroseconds: 10_000,
                hsmMicroseconds: 60_000, peerMicroseconds: 0, hsm: "nshield-a", attempts: 2, hedged: true,
                forwardedTo: nil, forwardedBy: nil, outcome: "ok"),
            RequestsReport.Slow(
                kmsRequestId: "id-4", operation: "Encrypt", keyStore: "/bank", key: "foo",
                endedMicrosecondsAgo: 12_000_000, totalMicroseconds: 80_000, waitedMicroseconds: 0, hsmMicroseconds: 0,
                peerMicroseconds: 75_000, hsm: nil, attempts: 0, hedged: false, forwardedTo: "iad-1",
                forwardedBy: nil, outcome: "ok"),
        ])

    private static func underWay(
        _ operation: String, _ keyStore: String, id: String?, microseconds: UInt64,
        _ place: RequestsReport.UnderWay.Place, hsms: [String] = [], peer: String? = nil
    ) -> RequestsReport.UnderWay {
        RequestsReport.UnderWay(
            kmsRequestId: id, operation: operation, keyStore: keyStore, key: "foo",
            sinceUnixMilliseconds: now * 1_000, ageMicroseconds: microseconds, place: place, hsms: hsms, peer: peer,
            attempts: hsms.count)
    }

    static let now: Int64 = 1_763_949_600

    static let status = AdminStatus(
        status: NodeStatus(
            node: "fra-1", version: "0.1.0", draining: false,
            hsms: [
                hsm(
                    "nshield-a", .active, since: now - 300_000, open: 16, inUse: 3, tier: 0,
                    latency: .init(p50: 1249, p95: 2500, p99: 9820)),
                hsm(
                    "nshield-b", .unavailable, since: now - 12, tier: 0,
                    reason: "C_Login: CKR_PIN_INCORRECT. It is not tried again, so that the token does not lock: "
                        + "correct the PIN, then restart the node"),
                hsm(
                    "luna", .degraded, since: now - 7_000, open: 8, inUse: 8, overdue: 2, tier: 1, drained: true,
                    latency: .init(p50: 99_940, p95: 150_000, p99: 1_250_499)),
            ],
            store: .failing(reason: "the disk is full"),
            keys: [
                KeyStatus(
                    label: "orders", canaryBy: "nshield-a",
                    cells: ["nshield-a": .proven, "nshield-b": .unproven, "luna": .proven]),
                KeyStatus(label: "encrypt_only", canaryBy: nil, cells: ["nshield-a": .unprovable]),
                KeyStatus(
                    label: "payments", canaryBy: nil, disputed: "nshield-a and luna hold different keys",
                    cells: ["nshield-a": .unproven, "nshield-b": .absent, "luna": .different]),
            ]
        ).judged(),
        transitions: [
            HSMTransition(
                atUnixSeconds: now - 12, hsm: "nshield-b", from: .starting, to: .unavailable,
                reason: "C_Login: CKR_PIN_INCORRECT"),
            HSMTransition(atUnixSeconds: now - 300_000, hsm: "nshield-a", from: .probing, to: .active),
        ],
        asOfUnixSeconds: now)

    static func hsm(
        _ name: String, _ state: HSMState, since: Int64, open: Int = 0, inUse: Int = 0, overdue: Int = 0,
        tier: Int?, drained: Bool = false, latency: HSMStatus.Latency? = nil, reason: String? = nil
    ) -> HSMStatus {
        HSMStatus(
            name: name, state: state, reason: reason, sinceUnixSeconds: since,
            lanes: .init(open: open, inUse: inUse, overdue: overdue), keys: 3, tier: tier, weight: 100,
            drained: drained, latencyMicroseconds: latency)
    }
}

/// A cluster with one of everything.
extension Example {
    static let progress = BlockProgress(
        nodes: [
            .init(node: "fra-1", state: .confirmed, afterMilliseconds: 2),
            .init(node: "iad-1", state: .unreachable, detail: "connection refused"),
        ], isFinished: true)

    static let blocks = BlockListing(
        blocks: [
            BlockView(
                id: "0123456789abcdef0123456789abcdef", target: "--key payments", reason: "stolen laptop, ticket 4711",
                madeAtUnixSeconds: now - 3600, expiresAtUnixSeconds: nil, madeBy: "anna@fra-1"),
            BlockView(
                id: "fedcba9876543210fedcba9876543210", target: "--principal arn:aws:iam::111122223333:role/*",
                reason: "drill", madeAtUnixSeconds: now - 60, expiresAtUnixSeconds: now + 7_200, madeBy: "ben@iad-1"),
        ], unknown: nil)

    static let cluster = ClusterHealth(
        node: "fra-1", verdict: .degraded,
        reasons: ["node iad-1 (site iad) is dead, for 34 s", "hsm luna-a (serial 12345) is unavailable on fra-2"],
        notes: ["2 blocks are in force"], isClustered: true,
        nodes: [
            node("fra-1") { $0.hsms = [member("luna-a"), member("luna-b")] },
            node("fra-2") { node in
                node.roundTripMicroseconds = 412
                node.hsms = [
                    member("luna-b", drained: true), member("luna-a", serial: "12345", model: "Luna 7", .unavailable),
                ]
                node.drift = ["configuration", "canaries", "blocks"]
                node.unservedKeys = ["orders", "payments"]
                node.inFlight = 17
            },
            node("fra-3") { node in
                node.roundTripMicroseconds = 700
                node.draining = true
                node.version = "0.2.0"
            },
            node("iad-1") { node in
                node.liveness = .dead
                node.sinceUnixSeconds = now - 34
                node.hsms = [member("dead-hsm", .unavailable)]
            },
        ],
        keys: [], blocks: blocks, asOfUnixSeconds: now)

    static func node(_ name: String, change: (inout ClusterNode) -> Void = { _ in }) -> ClusterNode {
        var node = ClusterNode(
            name: name, site: String(name.prefix(3)), address: "10.0.0.1:7443", liveness: .alive,
            sinceUnixSeconds: now - 300_000, draining: false, version: "0.1.0", incarnation: 1,
            roundTripMicroseconds: nil, inFlight: 0, encrypts: 0, decrypts: 0, drift: [], hsms: [], unservedKeys: [])
        change(&node)
        return node
    }

    static func member(
        _ name: String, serial: String = "", model: String = "", _ state: HSMState = .active,
        drained: Bool = false
    ) -> ClusterNode.HSM {
        ClusterNode.HSM(name: name, serial: serial, model: model, state: state, drained: drained)
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

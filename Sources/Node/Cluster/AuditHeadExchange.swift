// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Gossip
import SecureMemory
import Synchronization

/// Sends peers the heads of this node's audit log, and takes in theirs: each node tells its own, signed, and nobody passes
/// on another's. Peers of versions that take none are sent none.
final class AuditHeadExchange: Sendable {
    private static let timeout: UInt64 = 3_000_000_000
    private static let lastTime: UInt64 = 1_000_000_000
    /// Most heads in a message: one of each chain.
    private static let mostHeads = AuditHead.mostChains
    /// The form that this version reads (`FormatVersions.audit`).
    static let form = 1

    private let pool: PeerPool
    private let tls: ClusterTLS
    private let limits: BodyLimits
    private let delegate: any ClusterDelegate
    private let counters: ClusterCounters
    private let state = Mutex(State())

    private struct State {
        /// By peer: what it was sent last, and has taken.
        var told: [String: [AuditHead]] = [:]
        /// Peers that are being told.
        var underway: Set<String> = []
    }

    init(
        pool: PeerPool, tls: ClusterTLS, limits: BodyLimits, delegate: any ClusterDelegate, counters: ClusterCounters
    ) {
        self.pool = pool
        self.tls = tls
        self.limits = limits
        self.delegate = delegate
        self.counters = counters
    }

    /// Sends the newest heads to each of these that does not have them. May be called as often as anything changes.
    func tell(_ members: [Member]) {
        let heads = delegate.auditHeads()
        guard !heads.isEmpty else { return }
        let own = heads.map(\.head)
        for member in members where member.isLive && (member.facts?.reads.audit ?? 0) >= Self.form {
            let (name, address) = (member.identity.name, member.identity.address)
            let isDue = state.withLock { state in
                state.told[name] != own && state.underway.insert(name).inserted
            }
            if isDue { Task { await tell(heads, to: address, name) } }
        }
    }

    /// Sends them once more before the node ends. Returns when each of these has them, or has not answered in time.
    func tellLast(_ members: [Member]) async {
        let heads = delegate.auditHeads()
        let due = members.filter { member in
            member.isLive && (member.facts?.reads.audit ?? 0) >= Self.form
                && state.withLock { $0.told[member.identity.name] != heads.map(\.head) }
        }
        guard !heads.isEmpty else { return }
        await withTaskGroup(of: Void.self) { group in
            for member in due {
                group.addTask {
                    await self.tell(heads, to: member.identity.address, member.identity.name, within: Self.lastTime)
                }
            }
        }
    }

    private func tell(
        _ heads: [SignedAuditHead], to address: String, _ name: String, within time: UInt64 = timeout
    ) async {
        var isTaken = false
        if let body = try? ClusterJSON.encode(AuditHeads(heads: heads)) {
            let call = PeerCall(path: .audit, body: body, limit: limits.limit(.audit))
            let answer = try? await pool.perform(call, to: address, name: name, timeout: time).get()
            if let answer, answer.status == 200 {
                isTaken = true
                await take(answer.body, from: name)
            }
        }
        state.withLock { state in
            state.underway.remove(name)
            if isTaken { state.told[name] = heads.map(\.head) }
        }
    }

    /// A peer's heads; gives this node's own. `nil` for what are none.
    func received(_ body: SecretBytes, from peer: String) async -> SecretBytes? {
        guard await take(body, from: peer) else { return nil }
        return try? ClusterJSON.encode(AuditHeads(heads: delegate.auditHeads()))
    }

    /// Hands on those that the peer itself has signed.
    @discardableResult
    private func take(_ body: SecretBytes, from peer: String) async -> Bool {
        guard let heads = try? ClusterJSON.decode(AuditHeads.self, body).heads, heads.count <= Self.mostHeads,
            heads.allSatisfy({ $0.isWithinBounds && $0.head.node == peer })
        else {
            counters.dropped(.malformed)
            return false
        }
        var genuine: [SignedAuditHead] = []
        for var head in heads {
            head.keptBy = nil
            let isGenuine = await NodeSignature.isGenuine(
                Array(head.head.signedText.utf8), head.signature, by: head.signer.certificates, node: peer,
                material: tls.material)
            guard isGenuine else {
                counters.dropped(.malformed)
                return false
            }
            genuine.append(head)
        }
        if !genuine.isEmpty { delegate.offered(genuine, by: peer) }
        return true
    }
}

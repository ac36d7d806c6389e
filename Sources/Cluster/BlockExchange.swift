// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Gossip
import NIOCore
import SecureMemory
import Synchronization

/// Gives block lists to peers and takes theirs. Each side ends up with the union of both.
final class BlockExchange: Sendable {
    /// Between two attempts at one peer.
    private static let gap = Duration.milliseconds(200)
    /// Longest single attempt, nanoseconds: a lost packet is repeated by TCP several times within it.
    private static let attemptTime: UInt64 = 2_000_000_000

    private let pool: PeerPool
    private let limits: BodyLimits
    private let delegate: any ClusterDelegate
    private let counters: ClusterCounters
    /// Peers with which lists are being exchanged because they differ.
    private let underway = Mutex<Set<String>>([])

    init(pool: PeerPool, limits: BodyLimits, delegate: any ClusterDelegate, counters: ClusterCounters) {
        self.pool = pool
        self.limits = limits
        self.delegate = delegate
        self.counters = counters
    }

    /// A peer's list, as it came in; gives what it is answered, `nil` where that is no list.
    func received(_ body: SecretBytes, from peer: String) async -> SecretBytes? {
        guard let list = try? ClusterJSON.decode(BlockList.self, body) else {
            counters.dropped(.malformed)
            return nil
        }
        let (merged, durable) = await delegate.merge(blocks: list, from: peer)
        return try? ClusterJSON.encode(BlockReply(list: merged, durable: durable))
    }

    /// The lists differ: they are exchanged once, unless that is under way. Gossip tells again if they still differ.
    func reconcile(with peer: GossipDestination) {
        guard let name = peer.name, underway.withLock({ $0.insert(name).inserted }) else { return }
        Task {
            _ = await attempt(peer.address, name, timeout: Self.attemptTime)
            underway.withLock { _ = $0.remove(name) }
        }
    }

    /// Gives the list to all of these members. Ends when each has answered, or the time is over.
    func push(to members: [Member], timeout: Duration) -> AsyncStream<BlockDelivery> {
        let end = ContinuousClock.now + timeout
        let (stream, continuation) = AsyncStream.makeStream(of: BlockDelivery.self)
        Task {
            await withTaskGroup(of: BlockDelivery.self) { group in
                for member in members {
                    group.addTask { await self.deliver(to: member.identity, until: end) }
                }
                for await delivery in group { continuation.yield(delivery) }
            }
            continuation.finish()
        }
        return stream
    }

    /// Tries again and again: a peer may be starting, or a packet lost.
    private func deliver(to peer: NodeIdentity, until end: ContinuousClock.Instant) async -> BlockDelivery {
        var reason = PeerFailure.timeout.description
        while true {
            let left = UInt64(clamping: end - .now)
            guard left > 0 else { return BlockDelivery(node: peer.name, outcome: .unreachable(reason)) }
            switch await attempt(peer.address, peer.name, timeout: min(left, Self.attemptTime)) {
            case .success(let durable):
                return BlockDelivery(node: peer.name, outcome: durable ? .confirmed : .unwritten)
            case .failure(let failure): reason = failure.description
            }
            try? await Task.sleep(for: Self.gap)
        }
    }

    /// Returns whether the peer has the list on its disk.
    private func attempt(_ address: String, _ name: String, timeout: UInt64) async -> Result<Bool, PeerFailure> {
        do {
            let call = PeerCall(
                path: .blocks, body: try ClusterJSON.encode(delegate.blocks()), limit: limits.limit(.blocks))
            let answer = try await pool.perform(call, to: address, name: name, timeout: timeout).get()
            guard answer.status == 200 else { return .failure(.refused(answer.status)) }
            guard let reply = try? ClusterJSON.decode(BlockReply.self, answer.body) else {
                counters.dropped(.malformed)
                return .failure(.malformed)
            }
            _ = await delegate.merge(blocks: reply.list, from: name)
            return .success(reply.durable)
        } catch {
            return .failure(error as? PeerFailure ?? .unreachable("\(error)"))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Glibc
import Gossip
import NIOCore
import SecureMemory
import Synchronization

/// What a peer reports of its block list.
package struct BlockNews: Sendable {
    package var entries: [BlockEntry]
    /// Lifts that came without their blocks.
    package var strayLifts: [BlockLift] = []
    /// Orders that this version cannot read.
    package var unreadable = 0
}

/// Gives block lists to peers and takes theirs, page by page, in both directions at once. Each side ends up with the
/// union of both. A peer that does not read pages is given the whole list.
final class BlockExchange: Sendable {
    /// Between two attempts at one peer; it grows.
    private static let gap = Duration.milliseconds(200)
    private static let longestGap = Duration.seconds(2)
    /// Longest single attempt at one page, nanoseconds: a lost packet is repeated by TCP several times within it.
    private static let attemptTime: UInt64 = 2_000_000_000
    /// More pages than any list fills: a peer cannot keep this one asking for ever.
    private static let mostPages = 512
    /// Two lists may differ for long, where one of them refuses what the other holds. An exchange that left ours as it
    /// was is not repeated sooner, nanoseconds.
    private static let rest: UInt64 = 5_000_000_000
    /// For how long a peer that does not know pages is given whole lists, nanoseconds: it may be upgraded.
    private static let wholeListTime: UInt64 = 60_000_000_000

    private let pool: PeerPool
    private let limits: BodyLimits
    private let delegate: any ClusterDelegate
    private let counters: ClusterCounters
    private let state = Mutex(State())

    private struct State {
        /// Peers with which lists are being exchanged because they differ.
        var underway: Set<String> = []
        /// When lists were last exchanged with a peer, nanoseconds, and the digest of ours after it.
        var past: [String: (at: UInt64, digest: String)] = [:]
        /// Peers that do not know pages, and when that was found.
        var wholeLists: [String: UInt64] = [:]
    }

    init(pool: PeerPool, limits: BodyLimits, delegate: any ClusterDelegate, counters: ClusterCounters) {
        self.pool = pool
        self.limits = limits
        self.delegate = delegate
        self.counters = counters
    }

    // MARK: What peers send

    /// A peer's page; gives the page that it has asked for, `nil` where it is none.
    func receivedPage(_ body: SecretBytes, from peer: String) async -> SecretBytes? {
        guard let page = readPage(body) else { return nil }
        let list = delegate.merge(blocks: BlockNews(page), from: peer)
        let disk = await delegate.blocksOnDisk()
        let now = Self.now
        var answer = list.page(after: page.after, now: now)
        answer.inForce = page.order.filter { list.isInForce(id: $0, now: now) }
        answer.disk = disk
        for id in answer.inForce.prefix(BlockPage.mostHits) {
            answer.hits[id] = list.blocks[id].map { delegate.hits(of: $0.target) }
        }
        if page.isLast { delegate.exchangedBlocks(with: peer, isKnown: page.knowledge == .known) }
        return try? ClusterJSON.encode(answer)
    }

    /// The whole list of a peer that does not know pages; gives what it is answered, `nil` where that is no list.
    func receivedList(_ body: SecretBytes, from peer: String) async -> SecretBytes? {
        guard let list = try? ClusterJSON.decode(BlockList.self, body) else {
            counters.dropped(.malformed)
            return nil
        }
        let union = delegate.merge(blocks: BlockNews(list), from: peer)
        let disk = await delegate.blocksOnDisk()
        delegate.exchangedBlocks(with: peer, isKnown: list.knowledge == .known)
        return try? ClusterJSON.encode(
            BlockReply(list: union.fittingWire(now: Self.now), durable: disk == .written))
    }

    private func readPage(_ body: SecretBytes) -> BlockPage? {
        guard let page = try? ClusterJSON.decode(BlockPage.self, body) else {
            counters.dropped(.malformed)
            return nil
        }
        return page
    }

    // MARK: Exchanging

    /// The lists differ: they are exchanged once, unless that is under way. Gossip reports it again if they still
    /// differ.
    func reconcile(with peer: GossipDestination) {
        guard let name = peer.name, !isResting(name), begin(name) else { return }
        Task {
            _ = await exchange(with: peer.address, name, order: [])
            end(name)
        }
    }

    /// Exchanges lists with a member, unless that is under way. Returns when it is done, or has failed.
    func exchange(with member: NodeIdentity) async {
        guard begin(member.name) else { return }
        _ = await exchange(with: member.address, member.name, order: [])
        end(member.name)
    }

    private func begin(_ name: String) -> Bool { state.withLock { $0.underway.insert(name).inserted } }

    private func end(_ name: String) {
        let digest = delegate.blocks().digest
        state.withLock { state in
            state.past[name] = (monotonicNanoseconds(), digest)
            state.underway.remove(name)
        }
    }

    private func isResting(_ name: String) -> Bool {
        guard let last = state.withLock({ $0.past[name] }), remaining(until: last.at &+ Self.rest) > 0 else {
            return false
        }
        return last.digest == delegate.blocks().digest
    }

    /// What a peer says of the orders that somebody waits for.
    private struct Confirmation {
        var inForce: Set<String>
        var disk: BlockPage.Disk
        var hits: [String: BlockHits] = [:]
    }

    /// - Parameter order: sent first of all, and asked about.
    private func exchange(
        with address: String, _ name: String, order: [String]
    ) async -> Result<Confirmation, PeerFailure> {
        if takesWholeLists(name) { return await exchangeLists(with: address, name, order: order) }
        // Where ours and theirs go on; nil when there are no more.
        var (ours, theirs): (String?, String?) = ("", "")
        var confirmation: Confirmation?
        for _ in 0..<Self.mostPages where ours != nil || theirs != nil {
            var page = delegate.blocks().page(after: ours, first: order, now: Self.now)
            let next = page.after
            page.after = theirs
            page.order = order
            let answer: BlockPage
            switch await ask(page, address, name) {
            case .success(let page?): answer = page
            case .success(nil): return await exchangeLists(with: address, name, order: order)
            case .failure(let failure): return .failure(failure)
            }
            confirmation =
                confirmation
                ?? Confirmation(inForce: Set(answer.inForce), disk: answer.disk ?? .failed, hits: answer.hits)
            // This node's own disk is not waited for: it would hold up what the peer says of its own.
            let list = delegate.merge(blocks: BlockNews(answer), from: name)
            ours = next
            // A page that leads back would lead round for ever.
            theirs = answer.after.flatMap { next in theirs.map { next > $0 } == true ? next : nil }
            if answer.digest == list.digest || (ours == nil && theirs == nil) {
                delegate.exchangedBlocks(with: name, isKnown: answer.knowledge == .known)
                break
            }
        }
        return confirmation.map { .success($0) } ?? .failure(.malformed)
    }

    /// `nil` when the peer does not know pages.
    private func ask(_ page: BlockPage, _ address: String, _ name: String) async -> Result<BlockPage?, PeerFailure> {
        do {
            let call = PeerCall(
                path: .blockPages, body: try ClusterJSON.encode(page), limit: limits.limit(.blockPages))
            let answer = try await pool.perform(call, to: address, name: name, timeout: Self.attemptTime).get()
            if answer.status == 404 {
                state.withLock { $0.wholeLists[name] = monotonicNanoseconds() }
                return .success(nil)
            }
            guard answer.status == 200 else { return .failure(.refused(answer.status)) }
            return readPage(answer.body).map { .success($0) } ?? .failure(.malformed)
        } catch {
            return .failure(PeerFailure(error))
        }
    }

    private func takesWholeLists(_ name: String) -> Bool {
        guard let found = state.withLock({ $0.wholeLists[name] }) else { return false }
        return remaining(until: found &+ Self.wholeListTime) > 0
    }

    private func exchangeLists(
        with address: String, _ name: String, order: [String]
    ) async -> Result<Confirmation, PeerFailure> {
        do {
            let body = try ClusterJSON.encode(delegate.blocks().fittingWire(now: Self.now))
            let call = PeerCall(path: .blocks, body: body, limit: limits.limit(.blocks))
            let answer = try await pool.perform(call, to: address, name: name, timeout: Self.attemptTime).get()
            guard answer.status == 200 else { return .failure(.refused(answer.status)) }
            guard let reply = try? ClusterJSON.decode(BlockReply.self, answer.body) else {
                counters.dropped(.malformed)
                return .failure(.malformed)
            }
            _ = delegate.merge(blocks: BlockNews(reply.list), from: name)
            delegate.exchangedBlocks(with: name, isKnown: reply.list.knowledge == .known)
            // It says by its own clock when a block ends, and does not say; this node's is as good a guess.
            let now = Self.now
            return .success(
                Confirmation(
                    inForce: Set(order.filter { reply.list.isInForce(id: $0, now: now) }),
                    disk: reply.durable ? .written : .failed))
        } catch {
            return .failure(PeerFailure(error))
        }
    }

    // MARK: Orders

    /// Gives the list to all of these members, and says what has come of it: of each at least once, more often where it
    /// comes in steps. Ends when each has it on its disk, or cannot write it, or the time is over.
    func push(_ order: BlockPush, to members: [Member], timeout: Duration) -> AsyncStream<BlockDelivery> {
        let end = ContinuousClock.now + timeout
        let (stream, continuation) = AsyncStream.makeStream(of: BlockDelivery.self)
        Task {
            await withTaskGroup(of: Void.self) { group in
                for member in members {
                    group.addTask {
                        await self.deliver(order, to: member.identity, until: end) { continuation.yield($0) }
                    }
                }
            }
            continuation.finish()
        }
        return stream
    }

    /// Tries again and again: a peer may be starting, a packet lost, or a disk slow.
    private func deliver(
        _ order: BlockPush, to peer: NodeIdentity, until end: ContinuousClock.Instant, report: (BlockDelivery) -> Void
    ) async {
        var (reported, gap) = (BlockDelivery.Outcome?.none, Self.gap)
        repeat {
            let outcome: BlockDelivery.Outcome
            var hits: BlockHits?
            switch await exchange(with: peer.address, peer.name, order: order.ids) {
            case .success(let confirmation):
                outcome = Self.outcome(order, confirmation)
                hits = order.ids.first.flatMap { confirmation.hits[$0] }
            case .failure(let failure):
                // What it has said before stays so.
                if let reported, !reported.isUnreachable {
                    outcome = reported
                } else {
                    outcome = .unreachable(failure.description)
                }
            }
            if outcome != reported { report(BlockDelivery(node: peer.name, outcome: outcome, hits: hits)) }
            reported = outcome
            if outcome == .confirmed || outcome == .unwritten { return }
            try? await Task.sleep(for: gap)
            gap = min(gap * 3 / 2, Self.longestGap)
        } while ContinuousClock.now < end
    }

    private static func outcome(_ order: BlockPush, _ confirmation: Confirmation) -> BlockDelivery.Outcome {
        let isAsOrdered = order.ids.allSatisfy { confirmation.inForce.contains($0) == order.isBlock }
        guard isAsOrdered else { return .ineffective }
        return switch confirmation.disk {
        case .written: .confirmed
        case .pending: .effective
        case .failed: .unwritten
        }
    }

    /// Unix seconds.
    private static var now: Int64 { Int64(time(nil)) }
}

extension BlockNews {
    fileprivate init(_ page: BlockPage) { self.init(entries: page.entries, unreadable: page.unreadable) }

    /// A node that sends whole lists does not say how long its blocks still hold.
    fileprivate init(_ list: BlockList) {
        self.init(
            entries: list.blocks.values.map { BlockEntry(block: $0, lift: list.lifts[$0.id]) },
            strayLifts: list.lifts.values.filter { list.blocks[$0.id] == nil })
    }
}

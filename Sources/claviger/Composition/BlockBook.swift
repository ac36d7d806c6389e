// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminProtocol
import Cluster
import Glibc
import Logging
import NodeStore
import Synchronization
import XKSService

/// The block list of this node: in memory for requests, on disk before it is confirmed, and on its way to the others.
final class BlockBook: BlockSource {
    /// How long peers are waited for after an order. Who is later gets the list by gossip.
    static let deliveryTime = Duration.seconds(5)

    private struct State {
        var list: BlockList
        var lastOrder: UInt64 = 0
        var orders: [UInt64: OrderProgress] = [:]
    }

    private let store: NodeStore
    private let node: String
    private let logger: Logger
    private let cluster = Mutex<ClusterService?>(nil)
    private let state: Mutex<State>

    init(store: NodeStore, node: String, logger: Logger) {
        self.store = store
        self.node = node
        self.logger = logger
        let list = BlockList(store.blocks())
        state = Mutex(State(list: list))
        if let reason = list.unknown {
            logger.error(
                "block list unknown: every request is refused",
                metadata: [
                    "reason": "\(reason)", "mend": "a peer tells it, or say claviger unblock --confirm-unknown",
                ])
        }
    }

    /// From now on orders go to the others, too.
    func join(_ cluster: ClusterService) { self.cluster.withLock { $0 = cluster } }

    func current() -> BlockList { state.withLock { $0.list } }

    // MARK: Orders

    func order(_ order: BlockOrder) async -> AdminResult<BlockReceipt> {
        let block: Block
        do throws(BlockError) {
            let target = try BlockTarget.parse(
                everything: order.everything ?? false, keyStore: order.keyStore, key: order.key,
                principal: order.principal)
            block = try change { list throws(BlockError) in
                try list.block(
                    target, id: Self.newID(), reason: order.reason, madeBy: "\(order.user)@\(node)", now: Self.now(),
                    expiresInSeconds: order.expiresInSeconds)
            }
        } catch {
            return .malformed(error.description)
        }
        audit("blocked", block, by: block.madeBy)
        return .done(await publish("Blocked: \(block.target.words). The block's id is \(block.id)."))
    }

    func lift(_ order: LiftOrder) async -> AdminResult<BlockReceipt> {
        let user = "\(order.user)@\(node)"
        if order.confirmUnknown == true { return await confirm(by: user) }
        let lifted: [Block]
        do throws(BlockError) {
            if let id = order.id {
                lifted = [
                    try change { list throws(BlockError) in try list.lift(id: id, by: user, now: Self.now()) }
                ]
            } else {
                let target = try BlockTarget.parse(
                    everything: order.everything ?? false, keyStore: order.keyStore, key: order.key,
                    principal: order.principal)
                lifted = try change { list throws(BlockError) in try list.lift(target, by: user, now: Self.now()) }
            }
        } catch {
            switch error {
            case .noSuchBlock, .nothingToLift: return .unknown(error.description)
            default: return .malformed(error.description)
            }
        }
        for block in lifted { audit("unblocked", block, by: user) }
        let words = lifted.map { "\($0.target.words) (block \($0.shortID))" }.joined(separator: ", ")
        return .done(await publish("No longer blocked by this order: \(words)."))
    }

    /// After a lost store: there are no other blocks than those that are known.
    private func confirm(by user: String) async -> AdminResult<BlockReceipt> {
        guard let reason = current().unknown else { return .unknown("The block list is known: nothing to confirm.") }
        change { $0.confirm() }
        logger.notice("block list confirmed", metadata: ["by": "\(user)", "was": "\(reason)"])
        return .done(await publish("The block list is now as `claviger blocks` shows it."))
    }

    private func change<Value, Failure: Error>(
        _ body: (inout BlockList) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try state.withLock { state throws(Failure) in try body(&state.list) }
    }

    /// Puts the list on disk, and on its way to the others. Returns when it is on this disk, or cannot be.
    private func publish(_ message: String) async -> BlockReceipt {
        let begun = ContinuousClock.now
        let durable = await store.keep(blocks: StoredBlockList(current()))
        let cluster = cluster.withLock { $0 }
        let number = state.withLock { state in
            state.lastOrder += 1
            let others = cluster?.awaited.filter { $0.identity.name != node } ?? []
            state.orders[state.lastOrder] = OrderProgress(
                here: node, durable: durable, others: others.map(\.identity.name), twins: cluster?.twins ?? [:],
                begun: begun)
            // Whoever asks for progress asks soon.
            state.orders[state.lastOrder &- 100] = nil
            return state.lastOrder
        }
        if let cluster { Task { await deliver(number, by: cluster) } }
        cluster?.factsChanged()
        return BlockReceipt(
            message: durable ? message : message + " It holds in memory; the store could not be written.",
            order: number, durable: durable)
    }

    private func deliver(_ number: UInt64, by cluster: ClusterService) async {
        for await delivery in cluster.pushBlocks(timeout: Self.deliveryTime) {
            state.withLock { $0.orders[number]?.note(delivery, now: .now) }
        }
        state.withLock { $0.orders[number]?.end() }
    }

    func progress(of number: UInt64) -> BlockProgress? { state.withLock { $0.orders[number]?.view } }

    // MARK: Peers

    /// Takes in what a peer knows; the answer is what is known here then, and whether it is on disk.
    func merge(_ other: BlockList, from peer: String) async -> (merged: BlockList, durable: Bool) {
        let (change, list) = state.withLock { state in
            let change = state.list.merge(other)
            state.list.prune(now: Self.now())
            return (change, state.list)
        }
        // Also without a change: an earlier one may still be on its way to the disk.
        let durable = await store.keep(blocks: StoredBlockList(list))
        guard change.hasChanged else { return (list, durable) }
        for block in change.newBlocks { audit("blocked", block, by: "\(block.madeBy), told by \(peer)") }
        for lift in change.newLifts {
            guard let block = list.blocks[lift.id] else { continue }
            audit("unblocked", block, by: "\(lift.liftedBy), told by \(peer)")
        }
        if change.becameKnown { logger.notice("block list known again", metadata: ["node": "\(peer)"]) }
        if change.contradictions > 0 {
            logger.error(
                "a peer's block list contradicts this one's: two blocks with one id",
                metadata: ["node": "\(peer)", "blocks": "\(change.contradictions)"])
        }
        cluster.withLock { $0 }?.factsChanged()
        return (list, durable)
    }

    // MARK: Showing

    func listing() -> BlockListing {
        let list = current()
        return BlockListing(
            blocks: list.inForce(now: Self.now()).reversed().map { block in
                BlockView(
                    id: block.id, target: block.target.options, reason: block.reason,
                    madeAtUnixSeconds: block.madeAt, expiresAtUnixSeconds: block.expiresAt, madeBy: block.madeBy)
            }, unknown: list.unknown)
    }

    /// The audit trail: who, when (the line's time), what and why.
    private func audit(_ what: String, _ block: Block, by user: String) {
        logger.notice(
            "break glass",
            metadata: [
                "action": "\(what)", "target": "\(block.target.options)", "by": "\(user)", "reason": "\(block.reason)",
                "block": "\(block.id)",
            ])
    }

    private static func now() -> Int64 { Int64(time(nil)) }

    /// 128 random bits: no two orders of any nodes share one.
    private static func newID() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<2).map { _ in
            let digits = String(generator.next(), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}

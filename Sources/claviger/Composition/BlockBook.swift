// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminProtocol
import CPlatform
import Cluster
import Glibc
import Gossip
import Logging
import NodeStore
import Synchronization
import XKSService

/// What this node does with its block list: carries out orders, informs peers and is informed by them. The list itself
/// is the store's, and what is decided about it `BlockRegister`'s; here is what follows from it, and what people are
/// informed.
final class BlockBook: BlockSource {
    /// How long peers are waited for after an order. Who is later gets the list by gossip.
    static let deliveryTime = Duration.seconds(600)
    /// How long this node's own disk is waited for before an order is answered, and a peer.
    static let diskTime = Duration.milliseconds(500)

    private struct State {
        var lastOrder: UInt64 = 0
        var orders: [UInt64: OrderProgress] = [:]
        /// Looks for a whole list, while this node has none.
        var joining: Task<Void, Never>?
        var isJoining = false
    }

    let store: NodeStore
    private let node: String
    let logger: Logger
    private let scope: @Sendable (BlockTarget) -> BlockScope
    private let cluster = Mutex<ClusterService?>(nil)
    private let state = Mutex(State())

    /// - Parameter scope: what a block of a target hits here.
    init(
        store: NodeStore, node: String, scope: @escaping @Sendable (BlockTarget) -> BlockScope, logger: Logger
    ) {
        self.store = store
        self.node = node
        self.scope = scope
        self.logger = logger
        store.whenBlocksAreAdopted { [weak self] in self?.adopted($0) }
        warn(of: store.blockList.knowledge)
    }

    /// From now on orders go to the others, too, and a list that is not known is completed by theirs.
    func join(_ cluster: ClusterService) {
        self.cluster.withLock { $0 = cluster }
        completeList()
    }

    func stop() { state.withLock { $0.joining }?.cancel() }

    func current() -> BlockList { store.blockList }

    // MARK: Orders

    func order(_ order: BlockOrder) async -> AdminResult<BlockReceipt> {
        let block: Block
        do throws(BlockError) {
            let target = try Self.target(of: order)
            let user = "\(order.user)@\(node)"
            block = try store.changeBlocks { list throws(BlockError) in
                try list.block(
                    target, id: Self.newID(), reason: order.reason, madeBy: user, now: Self.now(),
                    expiresInSeconds: order.expiresInSeconds)
            }
        } catch {
            return .malformed(error.description)
        }
        audit("blocked", block, by: block.madeBy)
        let words = "Blocked, and in force here: \(block.target.words). The block's id is \(block.id)."
        let scope = scope(block.target)
        return .done(
            await publish(
                words + " " + scope.words, BlockPush(ids: [block.id], isBlock: true), hits: scope.hits,
                unable: unable(hasDuration: block.expiresAt != nil).map(\.node)))
    }

    private static func target(of order: BlockOrder) throws(BlockError) -> BlockTarget {
        try BlockTarget.parse(
            everything: order.everything ?? false, keyStore: order.keyStore, key: order.key, principal: order.principal)
    }

    func hits(of target: BlockTarget) -> BlockHits { scope(target).hits }

    /// What is to be known of an order before it is given.
    func outlook(on order: BlockOrder) -> AdminResult<BlockOutlook> {
        do throws(BlockError) {
            let target = try Self.target(of: order)
            let unable = unable(hasDuration: order.expiresInSeconds != nil)
            return .done(
                BlockOutlook(unable: unable, coarser: unable.isEmpty ? nil : BlockEnforcement.coarser(target)))
        } catch {
            return .malformed(error.description)
        }
    }

    /// Live nodes that do not enforce such an order as it is meant, by name.
    private func unable(hasDuration: Bool) -> [BlockOutlook.Node] {
        let live = clusterNow?.members.filter { $0.isLive && $0.hasSpoken && $0.identity.name != node } ?? []
        return live.filter { member in
            !BlockEnforcement.isEnforced(
                hasDuration: hasDuration, byReaderOf: member.facts?.reads.blocks ?? FormatVersions.first.blocks)
        }.map { BlockOutlook.Node(node: $0.identity.name, version: $0.facts?.version ?? "") }
    }

    func lift(_ order: LiftOrder) async -> AdminResult<BlockReceipt> {
        let user = "\(order.user)@\(node)"
        if order.confirmUnknown == true { return await confirm(by: user) }
        let lifted: [Block]
        do throws(BlockError) {
            if let id = order.id {
                lifted = [
                    try store.changeBlocks { list throws(BlockError) in
                        try list.lift(id: id, by: user, now: Self.now())
                    }
                ]
            } else {
                let target = try BlockTarget.parse(
                    everything: order.everything ?? false, keyStore: order.keyStore, key: order.key,
                    principal: order.principal)
                lifted = try store.changeBlocks { list throws(BlockError) in
                    try list.lift(target, by: user, now: Self.now())
                }
            }
        } catch {
            switch error {
            case .noSuchBlock, .nothingToLift: return .unknown(error.description)
            default: return .malformed(error.description)
            }
        }
        for block in lifted { audit("unblocked", block, by: user) }
        let shown = lifted.prefix(10).map { "\($0.target.words) (block \($0.shortID))" }.joined(separator: ", ")
        let rest = lifted.count > 10 ? " and \(lifted.count - 10) more" : ""
        return .done(
            await publish(
                "No longer blocked by this order: \(shown)\(rest).",
                BlockPush(ids: lifted.prefix(BlockPage.mostOrders).map(\.id), isBlock: false)))
    }

    /// After a lost store: there are no other blocks than those that are known.
    private func confirm(by user: String) async -> AdminResult<BlockReceipt> {
        if let reason = current().unknown, BlockListing.isOutOfReach(reason) {
            let mend = reason.hasSuffix(".") ? reason : reason + "."
            return .malformed("The list of blocks cannot be used, and may hold some: \(mend) Then restart the node.")
        }
        guard let reason = store.updateBlocks({ $0.confirm(unixSeconds: Self.now()) }) else {
            return .unknown("The block list is known: nothing to confirm.")
        }
        becameKnown("block list confirmed", by: user, was: reason)
        return .done(
            await publish(
                "The block list is now as `claviger blocks` shows it.", BlockPush(ids: [], isBlock: false)))
    }

    private func becameKnown(_ message: Logger.Message, by user: String, was reason: String) {
        logger.notice(message, metadata: ["by": "\(user)", "was": "\(reason)"])
        clusterNow?.factsChanged()
    }

    private var clusterNow: ClusterService? { cluster.withLock { $0 } }

    /// Puts the list on disk, and beside that on its way to the others. Returns when it is on this disk, or cannot be,
    /// or the disk takes its time.
    private func publish(
        _ message: String, _ push: BlockPush, hits: BlockHits? = nil, unable: [String] = []
    ) async -> BlockReceipt {
        let begun = ContinuousClock.now
        let cluster = clusterNow
        let number = state.withLock { state in
            state.lastOrder += 1
            let others = cluster?.awaited.filter { $0.identity.name != node } ?? []
            state.orders[state.lastOrder] = OrderProgress(
                here: node, others: others.map(\.identity.name), twins: cluster?.twins ?? [:], hits: hits,
                unable: unable, begun: begun)
            // Whoever asks for progress asks soon.
            state.orders[state.lastOrder &- 100] = nil
            return state.lastOrder
        }
        if let cluster { Task { await deliver(push, number, by: cluster) } }
        clusterNow?.factsChanged()
        let durable = await store.saved(within: Self.diskTime) { [self] durable in
            state.withLock { $0.orders[number]?.noteHere(durable: durable, now: .now) }
        }
        let text =
            switch durable {
            case true?: message
            case false?: message + " It holds in memory; the store could not be written."
            case nil: message + " It is not on this node's disk yet, which takes its time."
            }
        return BlockReceipt(message: text, order: number, durable: durable == true)
    }

    private func deliver(_ push: BlockPush, _ number: UInt64, by cluster: ClusterService) async {
        for await delivery in cluster.push(push, timeout: Self.deliveryTime) {
            state.withLock { $0.orders[number]?.note(delivery, now: .now) }
        }
        state.withLock { $0.orders[number]?.end() }
    }

    func progress(of number: UInt64) -> BlockProgress? { state.withLock { $0.orders[number]?.view } }

    // MARK: Peers

    /// Takes in what a peer reports; the answer is what is known here then.
    func merge(_ news: BlockNews, from peer: String) -> BlockList {
        let (merge, list) = store.updateBlocks { register in
            (register.reported(news.entries, strayLifts: news.strayLifts, now: Self.now()), register.list)
        }
        note(merge, by: "told by \(peer)", node: peer)
        if news.unreadable > 0 {
            logger.error(
                "orders of a peer cannot be read by this version, and are not enforced here: upgrade this node",
                metadata: ["node": "\(peer)", "orders": "\(news.unreadable)"])
        }
        if merge.hasChanged { clusterNow?.factsChanged() }
        return list
    }

    /// Whether everything that is known is on disk, also what has been on its way there for longer.
    func onDisk() async -> BlockPage.Disk {
        await store.saved(within: Self.diskTime) { _ in }.map { $0 ? .written : .failed } ?? .pending
    }

    /// A file that was read has changed the list: one that could not be read before, or one that another process of this
    /// state directory writes, too.
    private func adopted(_ adoption: BlockAdoption) {
        note(adoption.merge, by: "read from the store", node: node)
        switch adoption.knowledge {
        case .known?: logger.notice("block list known", metadata: ["by": "the store"])
        case let knowledge?: warn(of: knowledge)
        case nil: break
        }
        clusterNow?.factsChanged()
        completeList()
    }

    // MARK: Showing

    func listing() -> BlockListing {
        let list = current()
        return BlockListing(
            blocks: list.inForce(now: Self.now()).reversed().map { block in
                BlockView(
                    id: block.id, target: block.target.options, reason: block.reason,
                    madeAtUnixSeconds: block.madeAt, expiresAtUnixSeconds: list.endsAt(id: block.id),
                    madeBy: block.madeBy)
            }, unknown: list.unknown)
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

// MARK: - A list that is not known

extension BlockBook {
    /// Between two looks at peers while the list is not known.
    private static let joinInterval = Duration.milliseconds(100)

    /// Lists have been exchanged with a peer completely.
    func exchanged(with peer: String, isKnown: Bool) {
        store.updateBlocks { $0.exchanged(with: peer, isKnown: isKnown, now: claviger_monotonic_nanoseconds()) }
    }

    /// As long as the list is not known, it is exchanged with members until `BlockRegister` takes it for whole.
    private func completeList() {
        guard current().unknown != nil, clusterNow != nil else { return }
        state.withLock { state in
            guard !state.isJoining else { return }
            state.isJoining = true
            state.joining = Task { await self.askPeers() }
        }
    }

    private func askPeers() async {
        while !Task.isCancelled {
            let others = others ?? []
            let completion = store.updateBlocks { register in
                register.complete(
                    members: others.map(\.name), now: claviger_monotonic_nanoseconds(), unixSeconds: Self.now())
            }
            switch completion {
            case .isKnown: return state.withLock { $0.isJoining = false }
            case .completed(let reason):
                state.withLock { $0.isJoining = false }
                return becameKnown("block list known", by: "merged with every peer that answers", was: reason)
            case .exchange(let names):
                guard let cluster = clusterNow else { break }
                // Those with whom it is under way are passed over there.
                for member in others where names.contains(member.name) {
                    Task { await cluster.exchangeBlocks(with: member) }
                }
            }
            try? await Task.sleep(for: Self.joinInterval)
        }
    }

    /// The other nodes that have not left; `nil` where there is no cluster.
    private var others: [NodeIdentity]? {
        clusterNow?.members.filter { $0.liveness != .left && $0.identity.name != node }.map(\.identity)
    }

    /// An operator says that the cluster begins, or goes on, with the list that this node has: taken when no peer with
    /// a known list answers.
    func bootstrap(by user: String) async -> AdminAnswer {
        let begun = claviger_monotonic_nanoseconds()
        while true {
            let names = others?.map(\.name)
            let step = store.updateBlocks { register in
                register.bootstrap(
                    orderedAt: begun, members: names, now: claviger_monotonic_nanoseconds(), unixSeconds: Self.now())
            }
            switch step {
            case .isKnown: return .done("This node has its block list: nothing has to be begun.")
            case .wait: try? await Task.sleep(for: Self.joinInterval)
            case .begun(let isNew, let reason):
                becameKnown("cluster bootstrapped", by: "\(user)@\(node)", was: reason)
                return await confirmBootstrap(isNew: isNew)
            }
        }
    }

    private func confirmBootstrap(isNew: Bool) async -> AdminAnswer {
        guard await store.saved(within: .seconds(10), done: { _ in }) == true else {
            return .failed(
                "It holds until this node ends: its store could not be written. Mend the store, and say it again "
                    + "after a restart")
        }
        return .done(
            isNew
                ? "The cluster begins, with the blocks that `claviger blocks` shows. Its other nodes take the list "
                    + "over."
                : "The block list counts as whole from now on, as `claviger blocks` shows it.")
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What operators have blocked and lifted, as one node knows it. docs/internals/blocks.md explains the rules.
///
/// An add-wins set (the OR-Set of Shapiro et al., "A comprehensive study of Convergent and Commutative Replicated Data
/// Types", 2011, section 3.3.5): each block has an id of its own, a lift names the ids that its node has seen, and two
/// lists are merged by uniting both. So lists that have seen the same orders are equal, in whatever order they came; a
/// block that a lift did not know of survives it; and a merge takes nothing away.
///
/// What orders change stands in BlockList+Orders.swift, what is reported by others in BlockList+Merging.swift. How a
/// list is kept, and becomes known, is ``BlockRegister``'s.
///
/// A node may have no list, or one that is not known to be whole. Then every request is refused until the node has
/// merged with its peers (``BlockListJoin``) or an operator says that there are no other blocks.
package struct BlockList: Sendable {
    /// Most blocks in force that orders make.
    package static let mostBlocks = 10_000
    /// Most bytes that blocks in force, made by orders, take in the wire form of version 1.
    package static let mostOrderedBytes = mostWireBytes / 2
    /// Most blocks in force to which merges make a list grow: what two sides of a partition were given fits together.
    package static let mostMerged = 2 * mostBlocks
    /// Most blocks of `everything` in force beyond `mostMerged`: more of them would block nothing more.
    package static let mostOfEverything = 64
    /// Most orders that are over, lifted or ended. Those that come with a merge are refused beyond it; where lifts lead
    /// beyond it, the oldest are forgotten.
    package static let mostOver = 40_000
    /// How long an ended block is kept after its origin and duration, seconds: 90 days.
    package static let keptAfterExpiry: Int64 = 90 * 86_400

    /// By id, also those that are lifted or ended.
    package private(set) var blocks: [String: Block] = [:]
    /// By the id of what is lifted.
    package private(set) var lifts: [String: BlockLift] = [:]
    /// By id, of the blocks that have a duration.
    package internal(set) var terms: [String: BlockTerm] = [:]
    /// Whether this is all there is.
    package private(set) var knowledge = BlockKnowledge.known

    /// Ids of what was added, changed or forgotten since ``takeTouched()``: what a store has to write.
    var touched: Set<String> = []
    private(set) var digestSum = DigestSum()
    /// What verdicts are made from; `nil` while nothing is blocked.
    private var index: BlockIndex?

    /// Empty and known.
    package init() {}

    /// From values that were checked when they were made, such as a store's rows. Nothing of it counts as touched.
    package init(
        blocks: [Block], lifts: [BlockLift], terms: [String: BlockTerm] = [:], knowledge: BlockKnowledge = .known
    ) {
        self.knowledge = knowledge
        var merge = BlockMerge()
        for block in blocks {
            add(block, &merge)
            self.terms[block.id] = block.expiresAt == nil ? nil : terms[block.id] ?? BlockTerm(origin: block)
        }
        for lift in lifts { add(lift, &merge) }
        reindex()
        touched = []
    }

    /// As above, of a list that may be unknown.
    package init(blocks: [Block], lifts: [BlockLift], unknown: String?) {
        self.init(blocks: blocks, lifts: lifts, knowledge: unknown.map { .unknown($0) } ?? .known)
    }

    /// A list that was lost, and why.
    package static func unknown(_ reason: String) -> BlockList { BlockList(blocks: [], lifts: [], unknown: reason) }

    /// Why the list is not known, in words for an operator; `nil` when it is.
    package var unknown: String? { knowledge.doubt }

    /// 32 hexadecimal digits. Lists are equal exactly when their digests are, but for one chance in 2^64 or less.
    package var digest: String { digestSum.hex(isKnown: knowledge == .known) }

    /// Neither lifted nor ended; the oldest first.
    package func inForce(now: Int64) -> [Block] {
        blocks.values
            .filter { isInForce($0, now: now) }
            .sorted { ($0.madeAt, $0.id) < ($1.madeAt, $1.id) }
    }

    /// Whether the block of this id holds here and now.
    package func isInForce(id: String, now: Int64) -> Bool { blocks[id].map { isInForce($0, now: now) } ?? false }

    func isInForce(_ block: Block, now: Int64) -> Bool {
        lifts[block.id] == nil && terms[block.id].map { now < $0.endsAt } ?? true
    }

    /// When the block of this id ends here; `nil` when it does not end by itself.
    package func endsAt(id: String) -> Int64? { terms[id]?.endsAt }

    /// The order of this id, as it is sent to others.
    package func entry(id: String, now: Int64) -> BlockEntry? {
        guard let block = blocks[id] else { return nil }
        let remaining = terms[id].map { max($0.endsAt.subtractingReportingOverflow(now).partialValue, 0) }
        return BlockEntry(block: block, lift: lifts[id], remaining: remaining)
    }

    /// What stands against a request; `nil` when nothing does. For each request: it looks up by name, and goes through
    /// the patterns of principals only.
    ///
    /// - Parameters:
    ///   - keyStore: the key store's path prefix.
    ///   - label: of the key that the external key id stands for; empty when it stands for none.
    ///   - principal: ARN of who asked KMS; empty when that is not known.
    ///   - now: Unix seconds.
    package func verdict(
        keyStore: String, externalKeyID: String, label: String, principal: String, now: Int64
    ) -> BlockVerdict? {
        switch knowledge {
        case .none: return BlockVerdict(cause: .noList)
        case .unknown(let reason): return BlockVerdict(cause: .unknownList(reason: reason))
        case .known: break
        }
        guard let index else { return nil }
        let block = index.block(
            keyStore: keyStore, externalKeyID: externalKeyID, label: label, principal: principal, now: now)
        return block.map { BlockVerdict(cause: .block($0)) }
    }

    /// From now on the list counts as whole: an operator says so, or every peer that answers has been merged with.
    package mutating func confirm() { knowledge = .known }

    /// The list may not be whole, and why. A store says so that has lost it; a peer cannot.
    package mutating func doubt(_ knowledge: BlockKnowledge) { self.knowledge = knowledge }

    // MARK: Forgetting

    /// Forgets blocks that ended here and whose origin and duration are 90 days past, with their lifts; they are not
    /// taken in again. Lifted blocks without a duration stay, with their lifts: forgetting those would resurrect.
    ///
    /// - Returns: how many blocks went.
    @discardableResult
    package mutating func prune(now: Int64) -> Int {
        let old = blocks.values.filter { !isInForce($0, now: now) && Self.isForgotten($0, now: now) }
        for block in old { forget(block) }
        if !old.isEmpty { reindex() }
        return old.count
    }

    static func isForgotten(_ block: Block, now: Int64) -> Bool {
        guard let end = block.expiresAt else { return false }
        let (oldest, overflow) = now.subtractingReportingOverflow(keptAfterExpiry)
        return !overflow && end < oldest
    }

    /// What lifts have added to what is over, beyond the bound: the oldest go. A node that was away for as long would
    /// bring such a block back, which is the safe side.
    mutating func forgetOverflow(now: Int64, _ merge: inout BlockMerge) {
        guard lifts.count > Self.mostOver else { return }
        let old = lifts.values.sorted { ($0.liftedAt, $0.id) < ($1.liftedAt, $1.id) }
            .prefix(lifts.count - Self.mostOver)
        for lift in old {
            guard let block = blocks[lift.id] else { continue }
            forget(block)
            merge.forgotten += 1
        }
    }

    private mutating func forget(_ block: Block) {
        blocks[block.id] = nil
        terms[block.id] = nil
        digestSum.remove(block.canonicalForm)
        if let lift = lifts.removeValue(forKey: block.id) { digestSum.remove(lift.canonicalForm) }
        touched.insert(block.id)
    }

    // MARK: Adding

    mutating func add(_ block: Block, _ merge: inout BlockMerge) {
        guard let mine = blocks[block.id] else {
            blocks[block.id] = block
            digestSum.add(block.canonicalForm)
            touched.insert(block.id)
            merge.newBlocks.append(block)
            return
        }
        let (mineForm, form) = (mine.canonicalForm, block.canonicalForm)
        guard mineForm != form else { return }
        // Nobody makes two orders with one id, unless to deceive. All nodes must choose the same, and the choice must
        // not be the one that ends sooner.
        merge.contradictions += 1
        let rank = (block.expiresAt ?? .max, mine.expiresAt ?? .max)
        guard rank.0 > rank.1 || (rank.0 == rank.1 && mineForm.lexicographicallyPrecedes(form)) else { return }
        blocks[block.id] = block
        digestSum.remove(mineForm)
        digestSum.add(form)
        touched.insert(block.id)
        merge.newBlocks.append(block)
    }

    mutating func add(_ lift: BlockLift, _ merge: inout BlockMerge) {
        guard let mine = lifts[lift.id] else {
            lifts[lift.id] = lift
            digestSum.add(lift.canonicalForm)
            touched.insert(lift.id)
            merge.newLifts.append(lift)
            return
        }
        let (mineForm, form) = (mine.canonicalForm, lift.canonicalForm)
        // Two people may lift one block on two nodes: the first remains.
        let isFirst =
            lift.liftedAt == mine.liftedAt ? form.lexicographicallyPrecedes(mineForm) : lift.liftedAt < mine.liftedAt
        guard isFirst else { return }
        lifts[lift.id] = lift
        digestSum.remove(mineForm)
        digestSum.add(form)
        touched.insert(lift.id)
        merge.newLifts.append(lift)
    }

    mutating func reindex() {
        let standing = blocks.values.filter { lifts[$0.id] == nil }
        index = BlockIndex(standing.map { ($0, terms[$0.id]?.endsAt) })
    }

    // MARK: For a store

    /// Ids of all orders that were added, changed or forgotten since the last call.
    package mutating func takeTouched() -> Set<String> {
        defer { touched = [] }
        return touched
    }

    /// Whether both hold the same of the order of this id, its term on this node included.
    package func hasSame(_ id: String, as other: BlockList) -> Bool {
        blocks[id] == other.blocks[id] && lifts[id] == other.lifts[id] && terms[id] == other.terms[id]
    }
}

/// Why a list is not known is for people, and no part of what it says; when a block ends by a node's clock is its own.
extension BlockList: Equatable {
    package static func == (left: BlockList, right: BlockList) -> Bool {
        left.digestSum == right.digestSum && (left.knowledge == .known) == (right.knowledge == .known)
            && left.blocks == right.blocks && left.lifts == right.lifts
    }
}

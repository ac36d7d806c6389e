// SPDX-License-Identifier: Apache-2.0

/// What operators have blocked and lifted, as one node knows it. docs/internals/blocks.md explains the rules.
///
/// An add-wins set (the OR-Set of Shapiro et al., "A comprehensive study of Convergent and Commutative Replicated Data
/// Types", 2011, section 3.3.5): each block has an id of its own, a lift names the ids that its node has seen, and two
/// lists are merged by uniting both. So lists that have seen the same orders are equal, in whatever order they came; a
/// block that a lift did not know of survives it; and a merge takes nothing away.
///
/// A list may be unknown: its node has lost what it knew. Then every request is refused until a peer's known list is
/// merged, or an operator confirms that there are no other blocks.
package struct BlockList: Sendable {
    /// Most blocks, lifted and expired ones included, that orders make. A merge is bounded by the wire form's size.
    package static let mostBlocks = 10_000
    /// Largest wire form to which orders make a list grow: half of what a node reads, so that what two sides of a
    /// partition were told fits together, too.
    package static let mostOrderedBytes = mostWireBytes / 2
    /// How long an expired block is kept, seconds: 90 days.
    package static let keptAfterExpiry: Int64 = 90 * 86_400

    /// By id, also those that are lifted or expired.
    package private(set) var blocks: [String: Block] = [:]
    /// By the id of what is lifted.
    package private(set) var lifts: [String: BlockLift] = [:]
    /// Why the list is not known, in words for an operator; `nil` when it is.
    package private(set) var unknown: String?

    private var digestSum = DigestSum()
    /// What verdicts are made from; `nil` while nothing is blocked.
    private var index: BlockIndex?

    /// Empty and known.
    package init() {}

    /// From values that were checked when they were made, such as a store's rows.
    package init(blocks: [Block], lifts: [BlockLift], unknown: String? = nil) {
        self.unknown = unknown
        var merge = BlockMerge()
        for block in blocks { add(block, &merge) }
        for lift in lifts { add(lift, &merge) }
        reindex()
    }

    /// A list that was lost, and why.
    package static func unknown(_ reason: String) -> BlockList { BlockList(blocks: [], lifts: [], unknown: reason) }

    /// 32 hexadecimal digits. Lists are equal exactly when their digests are, but for one chance in 2^64 or less.
    package var digest: String { digestSum.hex(isKnown: unknown == nil) }

    /// Neither lifted nor expired; the oldest first.
    package func inForce(now: Int64) -> [Block] {
        blocks.values
            .filter { lifts[$0.id] == nil && $0.isUnexpired(now: now) }
            .sorted { ($0.madeAt, $0.id) < ($1.madeAt, $1.id) }
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
        if let unknown { return BlockVerdict(cause: .unknownList(reason: unknown)) }
        guard let index else { return nil }
        let block = index.block(
            keyStore: keyStore, externalKeyID: externalKeyID, label: label, principal: principal, now: now)
        return block.map { BlockVerdict(cause: .block($0)) }
    }

    // MARK: Orders

    /// Blocks, from now on.
    ///
    /// - Parameters:
    ///   - id: 32 digits made from random bytes.
    ///   - now: Unix seconds.
    ///   - expiresInSeconds: 1 to ``Block/longestExpiry``; `nil` for no end.
    /// - Throws: ``BlockError`` when a value cannot be, or the list is full. It is never too full for `everything`.
    @discardableResult
    package mutating func block(
        _ target: BlockTarget, id: String, reason: String, madeBy: String, now: Int64, expiresInSeconds: Int64? = nil
    ) throws(BlockError) -> Block {
        guard (0...Block.latestTime).contains(now) else { throw .timeForm(seconds: now) }
        if let seconds = expiresInSeconds, !(1...Block.longestExpiry).contains(seconds) {
            throw .expiryForm(seconds: seconds)
        }
        let block = Block(
            id: id, target: target, reason: reason, madeAt: now,
            expiresAt: expiresInSeconds.map { min(now + $0, Block.latestTime) }, madeBy: madeBy)
        try block.validate()
        guard blocks[id] == nil, lifts[id] == nil else { throw .repeatedID(id) }
        let bytes = wireBytes + block.wireBytes
        guard target == .everything || (blocks.count < Self.mostBlocks && bytes <= Self.mostOrderedBytes) else {
            throw .full(blocks: blocks.count, bytes: bytes)
        }
        var merge = BlockMerge()
        add(block, &merge)
        reindex()
        return block
    }

    /// Lifts one block that is in force.
    ///
    /// - Parameter id: all 32 digits, or the first 8 or more where they name one block.
    /// - Returns: what is lifted.
    @discardableResult
    package mutating func lift(id: String, by liftedBy: String, now: Int64) throws(BlockError) -> Block {
        guard (Block.shortIDLength...32).contains(id.utf8.count), id.utf8.allSatisfy(Block.isDigit) else {
            throw .idForm(id)
        }
        let found = inForce(now: now).filter { $0.id.hasPrefix(id) }
        guard let block = found.first else { throw .noSuchBlock(id: id) }
        guard found.count == 1 else { throw .ambiguousID(id, matches: found.count) }
        try lift(found, by: liftedBy, now: now)
        return block
    }

    /// Lifts every block of exactly this target that is in force, as this list knows them: one that was ordered
    /// elsewhere at the same time stays.
    ///
    /// - Returns: what is lifted, at least one.
    @discardableResult
    package mutating func lift(_ target: BlockTarget, by liftedBy: String, now: Int64) throws(BlockError) -> [Block] {
        let found = inForce(now: now).filter { $0.target == target }
        guard !found.isEmpty else { throw .nothingToLift(target) }
        try lift(found, by: liftedBy, now: now)
        return found
    }

    private mutating func lift(_ found: [Block], by liftedBy: String, now: Int64) throws(BlockError) {
        let new = found.map { BlockLift(id: $0.id, liftedAt: now, liftedBy: liftedBy) }
        for lift in new { try lift.validate() }
        var merge = BlockMerge()
        for lift in new { add(lift, &merge) }
        reindex()
    }

    /// There are no other blocks than those in this list: an operator says so.
    package mutating func confirm() { unknown = nil }

    // MARK: Merging and pruning

    /// Takes over what `other` has and this list lacks. Commutative, associative and idempotent.
    ///
    /// A known list makes an unknown one known. An unknown one, too, is united with: what is left of it is true.
    ///
    /// - Returns: what has changed.
    @discardableResult
    package mutating func merge(_ other: BlockList) -> BlockMerge {
        var merge = BlockMerge()
        if unknown != nil, other.unknown == nil {
            unknown = nil
            merge.becameKnown = true
        }
        guard digestSum != other.digestSum else { return merge }
        for block in other.blocks.values { add(block, &merge) }
        for lift in other.lifts.values { add(lift, &merge) }
        if merge.hasChanged { reindex() }
        return merge
    }

    /// Forgets blocks that expired more than 90 days ago, with their lifts. A block that a peer brings back afterwards
    /// is expired as it was, so pruning resurrects nothing. Lifted blocks without an expiry stay, with their lifts:
    /// forgetting those would resurrect.
    ///
    /// - Returns: how many blocks went.
    @discardableResult
    package mutating func prune(now: Int64) -> Int {
        let oldest = now.subtractingReportingOverflow(Self.keptAfterExpiry)
        guard !oldest.overflow else { return 0 }
        let old = blocks.values.filter { $0.expiresAt.map { $0 < oldest.partialValue } ?? false }
        for block in old {
            blocks[block.id] = nil
            digestSum.remove(block.canonicalForm)
            if let lift = lifts.removeValue(forKey: block.id) { digestSum.remove(lift.canonicalForm) }
        }
        if !old.isEmpty { reindex() }
        return old.count
    }

    private mutating func add(_ block: Block, _ merge: inout BlockMerge) {
        guard let mine = blocks[block.id] else {
            blocks[block.id] = block
            digestSum.add(block.canonicalForm)
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
        merge.newBlocks.append(block)
    }

    private mutating func add(_ lift: BlockLift, _ merge: inout BlockMerge) {
        guard let mine = lifts[lift.id] else {
            lifts[lift.id] = lift
            digestSum.add(lift.canonicalForm)
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
        merge.newLifts.append(lift)
    }

    private mutating func reindex() {
        index = BlockIndex(blocks.values.filter { lifts[$0.id] == nil })
    }
}

/// Why a list is not known is for people, and no part of what it says.
extension BlockList: Equatable {
    package static func == (left: BlockList, right: BlockList) -> Bool {
        left.digestSum == right.digestSum && (left.unknown == nil) == (right.unknown == nil)
            && left.blocks == right.blocks && left.lifts == right.lifts
    }
}

/// What a merge has changed.
package struct BlockMerge: Sendable, Equatable {
    package var newBlocks: [Block] = []
    package var newLifts: [BlockLift] = []
    /// The list was unknown, and is known now.
    package var becameKnown = false
    /// Ids that stand for one block here and for another there: somebody deceives.
    package var contradictions = 0

    /// Whether there is something to be written down.
    package var hasChanged: Bool { becameKnown || !newBlocks.isEmpty || !newLifts.isEmpty }
}

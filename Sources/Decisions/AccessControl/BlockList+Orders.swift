// SPDX-License-Identifier: Apache-2.0

// What an operator's order changes in a list.
extension BlockList {
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
        if target != .everything { try requireRoom(for: block, now: now) }
        var merge = BlockMerge()
        add(block, &merge)
        terms[id] = BlockTerm(origin: block)
        reindex()
        return block
    }

    /// What is over does not count: it could not be taken back by whoever needs the room.
    private func requireRoom(for block: Block, now: Int64) throws(BlockError) {
        guard blocks.count >= Self.mostBlocks || wireBytes + block.wireBytes > Self.mostOrderedBytes else { return }
        let standing = blocks.values.filter { isInForce($0, now: now) }
        let bytes = standing.reduce(block.wireBytes + Self.wireFrameBytes) { $0 + $1.wireBytes }
        guard standing.count < Self.mostBlocks, bytes <= Self.mostOrderedBytes else {
            throw .full(blocks: standing.count, bytes: bytes)
        }
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
        forgetOverflow(now: now, &merge)
        reindex()
    }
}

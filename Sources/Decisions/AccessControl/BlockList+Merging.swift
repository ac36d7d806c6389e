// SPDX-License-Identifier: Apache-2.0

// What peers, and this node's files, report to a list.
extension BlockList {
    /// Takes over what a peer, or a file, reports and this list lacks. Commutative, associative and idempotent as far
    /// as bounds are not met. It says nothing on whether this list is whole.
    ///
    /// - Parameters:
    ///   - strayLifts: lifts that came without their blocks. Those of blocks that are here are taken, others refused:
    ///     so bounds refuse invented lifts and never true ones.
    ///   - now: Unix seconds.
    /// - Returns: what has changed, and what was refused.
    @discardableResult
    package mutating func merge(
        _ entries: [BlockEntry], strayLifts: [BlockLift] = [], now: Int64
    ) -> BlockMerge {
        var merge = BlockMerge()
        var room = Room(self, now: now)
        for entry in entries { take(entry, now: now, &room, &merge) }
        for lift in strayLifts {
            if blocks[lift.id] == nil { merge.strayLifts += 1 } else { add(lift, &merge) }
        }
        guard merge.hasChanged else { return merge }
        forgetOverflow(now: now, &merge)
        reindex()
        return merge
    }

    /// Takes over what another list has, as if its node had reported it at this moment.
    @discardableResult
    package mutating func merge(_ other: BlockList, now: Int64) -> BlockMerge {
        guard digestSum != other.digestSum || terms != other.terms else { return BlockMerge() }
        let entries = other.blocks.keys.compactMap { other.entry(id: $0, now: now) }
        return merge(entries, strayLifts: other.lifts.values.filter { other.blocks[$0.id] == nil }, now: now)
    }

    /// Takes over what a file of this node says: without bounds, and with this node's own terms.
    ///
    /// - Returns: what this list did not have.
    package mutating func unite(withFile file: BlockList, now: Int64) -> BlockMerge {
        var merge = BlockMerge()
        for block in file.blocks.values {
            let isOver = !file.isInForce(block, now: now)
            if blocks[block.id] == nil, isOver, Self.isForgotten(block, now: now) { continue }
            add(block, &merge)
            guard let term = file.terms[block.id], blocks[block.id]?.expiresAt != nil else { continue }
            if terms[block.id].map({ $0.endsAt < term.endsAt }) ?? true { terms[block.id] = term }
        }
        for lift in file.lifts.values {
            if blocks[lift.id] == nil { merge.strayLifts += 1 } else { add(lift, &merge) }
        }
        reindex()
        return merge
    }

    private mutating func take(_ entry: BlockEntry, now: Int64, _ room: inout Room, _ merge: inout BlockMerge) {
        let block = entry.block
        let duration = block.duration
        let remaining = duration.map { duration in
            min(max(entry.remaining ?? block.madeAt + duration - now, 0), duration)
        }
        let isStanding = entry.lift == nil && remaining != 0
        if blocks[block.id] == nil {
            // What everybody has forgotten is not taken in again, nor what there is no room for.
            if !isStanding, Self.isForgotten(block, now: now) { return }
            guard room.take(isStanding: isStanding, block.target) else {
                merge.refused += 1
                return
            }
        }
        add(block, &merge)
        if let duration, let remaining { note(block.id, remaining: remaining, duration: duration, now: now, &merge) }
        if let lift = entry.lift, lift.id == block.id { add(lift, &merge) }
    }

    private mutating func note(
        _ id: String, remaining: Int64, duration: Int64, now: Int64, _ merge: inout BlockMerge
    ) {
        // Of a contradicting block the other may be the one that stands.
        guard let mine = blocks[id], mine.expiresAt != nil else { return terms[id] = nil }
        guard var term = terms[id] else {
            terms[id] = BlockTerm(firstSeen: now, remaining: remaining, duration: mine.duration ?? duration)
            return
        }
        guard term.reported(remaining: remaining, duration: mine.duration ?? duration, now: now) else { return }
        terms[id] = term
        touched.insert(id)
        merge.prolonged += 1
    }
}

/// What is left of the bounds of a merge.
private struct Room {
    private var standing: Int
    private var everything: Int
    private var over: Int

    init(_ list: BlockList, now: Int64) {
        standing = 0
        everything = 0
        over = 0
        for block in list.blocks.values {
            guard list.isInForce(id: block.id, now: now) else {
                over += 1
                continue
            }
            standing += 1
            if block.target == .everything { everything += 1 }
        }
    }

    /// Whether an order that is not known here fits.
    mutating func take(isStanding: Bool, _ target: BlockTarget) -> Bool {
        guard isStanding else {
            guard over < BlockList.mostOver else { return false }
            over += 1
            return true
        }
        let isSpecial = target == .everything && everything < BlockList.mostOfEverything
        guard standing < BlockList.mostMerged || isSpecial else { return false }
        standing += 1
        if target == .everything { everything += 1 }
        return true
    }
}

/// What a merge has changed.
package struct BlockMerge: Sendable, Equatable {
    package var newBlocks: [Block] = []
    package var newLifts: [BlockLift] = []
    /// Blocks that end later here than they did before.
    package var prolonged = 0
    /// Ids that stand for one block here and for another there: somebody deceives.
    package var contradictions = 0
    /// Lifts without their blocks, and orders beyond what a list may hold: refused.
    package var strayLifts = 0
    package var refused = 0
    /// Orders that are over and were forgotten to make room.
    package var forgotten = 0

    /// Whether there is something to be written down.
    package var hasChanged: Bool { !newBlocks.isEmpty || !newLifts.isEmpty || prolonged > 0 || forgotten > 0 }
}

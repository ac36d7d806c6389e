// SPDX-License-Identifier: Apache-2.0

/// The block list as the store knows it: what was read, and what was given to it since.
struct BlockMemory: Sendable {
    var blocks = LatestValues<String, StoredBlock>()
    var lifts = LatestValues<String, StoredBlockLift>()
    /// `nil` until a file was read or somebody said.
    private(set) var condition: StoredBlockCondition?
    /// The file does not say yet that the list is known.
    private var mustTellThatKnown = false

    /// Why there may be blocks that are not here; `nil` when there are none, or nobody has looked yet.
    func doubt(_ health: StoreHealth) -> String? {
        switch (condition, health) {
        case (.unknown(let reason), _), (nil, .failing(let reason, _)): reason
        case (.known, _), (nil, .ok): nil
        }
    }

    /// Adds what is new. A list is added to, never replaced: another process on this host may have added, too.
    mutating func keep(_ list: StoredBlockList) {
        for block in list.blocks where blocks.values[block.id] != block { blocks.set(block, for: block.id) }
        for lift in list.lifts where lifts.values[lift.id] != lift { lifts.set(lift, for: lift.id) }
        // That a list is lost is for the file to say.
        if list.condition == .known { confirm() }
    }

    mutating func confirm() {
        guard condition != .known else { return }
        condition = .known
        mustTellThatKnown = true
    }

    mutating func takeBecomesKnown() -> Bool {
        defer { mustTellThatKnown = false }
        return mustTellThatKnown
    }

    mutating func giveBackBecomesKnown() { mustTellThatKnown = true }

    /// Takes over what a file says. Memory that knows the list tells a file that does not.
    mutating func adopt(_ list: StoredBlockList, restoring: Bool) {
        blocks.adopt(Dictionary(list.blocks, by: \.id), restoring: restoring)
        lifts.adopt(Dictionary(list.lifts, by: \.id), restoring: restoring)
        if condition == .known, list.condition != .known {
            mustTellThatKnown = true
        } else {
            condition = list.condition
        }
    }
}

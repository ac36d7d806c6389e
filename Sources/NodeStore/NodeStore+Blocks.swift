// SPDX-License-Identifier: Apache-2.0

// The kill switch. docs/internals/blocks.md tells when the list is unknown, and why.
extension NodeStore {
    /// The block list, by id. While the store fails, what memory knows. Blocks: not for event loops.
    ///
    /// It is unknown when the file that had it was lost, until `confirmBlocks()` or a known list in `keep(blocks:)`;
    /// and as long as the file of an earlier run cannot be read. In the second case a later success makes it known: ask
    /// again when `health` has become `.ok`.
    package func blocks() -> StoredBlockList {
        let memory = known()
        let doubt = memory.blocks.doubt(health) ?? "\(path) was not read"
        return StoredBlockList(
            blocks: memory.blocks.blocks.values.values.sorted { $0.id < $1.id },
            lifts: memory.blocks.lifts.values.values.sorted { $0.id < $1.id },
            condition: memory.blocks.condition ?? .unknown(reason: doubt))
    }

    /// Adds to the file what it lacks of `list`, and waits until it is on the disk, through a loss of power. A known
    /// list makes the file's known. Nothing is taken away, and an unknown list makes nothing unknown.
    ///
    /// - Returns: false when it is not on the disk. Memory has it all the same, and the store goes on trying.
    package func keep(blocks list: StoredBlockList) async -> Bool {
        state.withLock { $0.memory.keep(list) }
        return await saved()
    }

    /// There are no other blocks than the file's: somebody who knows says so.
    ///
    /// - Returns: whether that is on the disk.
    @discardableResult
    package func confirmBlocks() async -> Bool {
        state.withLock { $0.memory.confirmBlocks() }
        return await saved()
    }
}

// What a restarted node needs to find its cluster.
extension NodeStore {
    /// The peers as last recorded, by name.
    package func peers() -> [StoredPeer] {
        known().peers.values.values.sorted { $0.name < $1.name }
    }

    /// Writes the incarnation of a node, unless it has a higher one, and waits until it is on the disk: after a restart
    /// the node must not use one again in which others may have declared it dead.
    ///
    /// - Returns: false when it is not on the disk; memory has it all the same.
    package func setIncarnation(node: String, _ incarnation: Int) async -> Bool {
        state.withLock { $0.memory.setIncarnation(node, incarnation) }
        return await saved()
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What the marker beside the database says.
package enum BlockMarker: Sendable, Equatable {
    /// There never was a list in this directory.
    case absent
    /// There was one. `changes`: how many durable changes it had seen at least; `nil` where an earlier version made the
    /// marker, which did not count.
    case present(changes: UInt64?)
}

/// What a database file says of the list.
package struct BlockFile: Sendable {
    /// With the file's own word on whether it is known.
    package var list: BlockList
    /// How many durable changes it has seen.
    package var changes: UInt64

    package init(list: BlockList, changes: UInt64) {
        self.list = list
        self.changes = changes
    }
}

/// The block list that decides, and what the file lacks of it: the one owner of the list. The store keeps it, gives it
/// every file that it opens, and writes what ``take()`` says.
package struct BlockStock: Sendable {
    /// What goes by requests. Before any file was read it is unknown, unless there is none that could be read.
    package private(set) var list: BlockList
    /// Durable changes of the list, as far as this process knows.
    package private(set) var changes: UInt64 = 0
    /// Whether the node belongs to a cluster: only then must a node without a list wait for one.
    private let isClustered: Bool

    /// Whether what is in memory is the whole list: from a file, from peers or by an operator's word.
    private var isWhole = false
    /// A file's word on it was taken.
    private var isRead = false
    private var unsaved: Set<String> = []
    private var mustTellKnowledge = false

    /// What peers are told of the changes, by which they notice a state that was put back; `nil` while nothing was read,
    /// or the list is not known.
    package var toldChanges: UInt64? { isRead && list.knowledge == .known ? changes : nil }

    /// Nothing has been read yet.
    package init(isClustered: Bool) {
        self.isClustered = isClustered
        list = .unknown("the store has not been read yet")
    }

    /// What is known of a list that a file without tables begins with.
    ///
    /// - Parameters:
    ///   - lost: what it means that the marker is there.
    ///   - corrupt: why the file before was set aside, if it was.
    package func beginning(_ marker: BlockMarker, lost: String, corrupt: String?) -> BlockKnowledge {
        // A file that took the place of one that was read says what that said, if memory does not know better.
        if isWhole || isRead { return list.knowledge }
        if let corrupt { return .unknown(corrupt) }
        if case .present = marker { return .unknown(lost) }
        // An earlier attempt could not see whether there was one.
        if case .unknown(let reason) = list.knowledge, hasFailed { return .unknown(reason) }
        return isClustered ? .none : .known
    }

    /// Whether an attempt to open a file has failed in a way that hides whether there is a list.
    private var hasFailed = false

    /// The file cannot be opened. Once a list has been read, that changes nothing.
    ///
    /// - Parameter wasNever: there is neither file nor marker: a node that never had a list has not lost one.
    package mutating func failed(_ reason: String, wasNever: Bool) -> BlockAdoption {
        guard !isWhole else { return BlockAdoption() }
        let before = list.knowledge
        if wasNever {
            list.doubt(isClustered ? .none : .known)
        } else {
            hasFailed = true
            list.doubt(.unknown(reason))
        }
        return BlockAdoption(knowledge: before == list.knowledge ? nil : list.knowledge)
    }

    /// Takes over what a file says; what the file lacks is to be written. What memory has is never given up: it may not
    /// be on any disk yet.
    ///
    /// - Parameters:
    ///   - behind: what it means that the file has seen fewer changes than the marker counts: an older one was put in
    ///     its place.
    ///   - now: Unix seconds.
    /// - Returns: what has changed, for whoever goes by the list.
    package mutating func adopt(_ file: BlockFile, marker: BlockMarker, behind: String, now: Int64) -> BlockAdoption {
        let before = list.knowledge
        let merge = list.unite(withFile: file.list, now: now)
        _ = list.takeTouched()
        let ids = Set(list.blocks.keys).union(file.list.blocks.keys).union(file.list.lifts.keys)
        unsaved = ids.filter { !list.hasSame($0, as: file.list) }
        adoptKnowledge(file, marker, behind: behind)
        changes = max(changes, file.changes)
        // What is counted from now on goes beyond the marker again.
        if case .present(let counted?) = marker { changes = max(changes, counted) }
        mustTellKnowledge = list.knowledge != file.list.knowledge
        isWhole = isWhole || list.knowledge == .known
        isRead = true
        return BlockAdoption(
            merge: merge, knowledge: before == list.knowledge ? nil : list.knowledge)
    }

    /// Memory that knows the list tells a file that does not.
    private mutating func adoptKnowledge(_ file: BlockFile, _ marker: BlockMarker, behind: String) {
        guard !isWhole else { return }
        var knowledge = file.list.knowledge
        if case .present(let counted?) = marker, counted > max(file.changes, changes) {
            // One that says itself that it is not whole says why.
            if case .unknown = knowledge {} else { knowledge = .unknown(behind) }
        }
        // Without a cluster there is nobody to wait for.
        if knowledge == .none, !isClustered { knowledge = .known }
        list.doubt(knowledge)
    }

    /// Changes the list; what has changed is to be written.
    ///
    /// - Parameter now: Unix seconds. A list that becomes known after it was lost counts on from there at least: that is
    ///   beyond what it had counted, so that peers do not take the loss, which the node knows of, for a state that was
    ///   put back, which it cannot know of.
    package mutating func change<Value, Failure: Error>(
        now: Int64, _ body: (inout BlockList) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let before = list.knowledge
        defer {
            unsaved.formUnion(list.takeTouched())
            if list.knowledge != before { mustTellKnowledge = true }
            // An operator or peers have said so: a file that is read later adds to it.
            if list.knowledge == .known, before != .known {
                isWhole = true
                changes = max(changes, UInt64(clamping: now))
            }
        }
        return try body(&list)
    }

    // MARK: Writing

    /// What a transaction writes.
    package struct Batch: Sendable {
        /// Orders as they are now.
        package var kept: [BlockEntry] = []
        /// By id, of those that have a duration.
        package var terms: [String: BlockTerm] = [:]
        /// Ids of orders that are forgotten.
        package var forgotten: [String] = []
        /// What the file is to say of the list; `nil` where it says so already.
        package var knowledge: BlockKnowledge?
        fileprivate var ids: Set<String> = []

        package init() {}
        package var isEmpty: Bool { ids.isEmpty && knowledge == nil }
    }

    /// Everything that the file lacks; it counts as written until ``giveBack(_:)``.
    package mutating func take() -> Batch {
        var batch = Batch()
        guard !unsaved.isEmpty || mustTellKnowledge else { return batch }
        batch.ids = unsaved
        for id in unsaved {
            guard let block = list.blocks[id] else {
                batch.forgotten.append(id)
                continue
            }
            batch.kept.append(BlockEntry(block: block, lift: list.lifts[id]))
            batch.terms[id] = list.terms[id]
        }
        if mustTellKnowledge { batch.knowledge = list.knowledge }
        unsaved = []
        mustTellKnowledge = false
        return batch
    }

    /// The batch is on its way to the disk, and the file has counted so many changes.
    package mutating func wrote(changes: UInt64) { self.changes = max(self.changes, changes) }

    /// The batch was not written.
    package mutating func giveBack(_ batch: Batch) {
        unsaved.formUnion(batch.ids)
        if batch.knowledge != nil { mustTellKnowledge = true }
    }
}

/// What a file that was adopted has changed.
package struct BlockAdoption: Sendable, Equatable {
    package var merge = BlockMerge()
    /// What is known of the list now; `nil` where that has not changed.
    package var knowledge: BlockKnowledge?

    package init(merge: BlockMerge = BlockMerge(), knowledge: BlockKnowledge? = nil) {
        self.merge = merge
        self.knowledge = knowledge
    }

    package var hasChanged: Bool { knowledge != nil || merge.hasChanged }
}

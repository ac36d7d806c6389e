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

    /// What a transaction that writes the batch leaves: how a disk behaves that neither lies nor forgets.
    package mutating func write(_ batch: BlockRegister.Batch) {
        let forgotten = Set(batch.forgotten)
        var blocks = list.blocks.filter { !forgotten.contains($0.key) }
        var lifts = list.lifts.filter { !forgotten.contains($0.key) }
        var terms = list.terms.filter { !forgotten.contains($0.key) }
        for entry in batch.kept {
            blocks[entry.block.id] = entry.block
            if let lift = entry.lift { lifts[entry.block.id] = lift }
            if let term = batch.terms[entry.block.id] { terms[entry.block.id] = term }
        }
        list = BlockList(
            blocks: Array(blocks.values), lifts: Array(lifts.values), terms: terms,
            knowledge: batch.knowledge ?? list.knowledge)
        changes = batch.count(after: changes)
    }
}

/// What is left of a list whose file cannot be opened where it lies.
package enum BlockRemains: Sendable {
    /// File and marker could be read from a copy, as on a full or read-only disk. Its members are those of
    /// ``BlockRegister/adopt(_:marker:behind:now:)``.
    case copy(BlockFile, marker: BlockMarker, behind: String, now: Int64)
    /// There is neither a file nor a marker, for sure: a node that never had a list has not lost one.
    case nothing
    /// What the directory holds cannot be seen.
    case hidden
}

/// The block list of one node: the value that decides, and everything that is decided about keeping it. What is known
/// of the list, what a file that was found means, what is written first, and when a change may be confirmed as durable.
///
/// It does nothing itself. Whoever drives it
///
/// 1. reports what was found at the start: `adopt` for a file, `failed` where none could be opened;
/// 2. changes the list by `change`, `reported`, `complete`, `bootstrap` and `confirm`: in force at once, in memory;
/// 3. writes what `take` gives, in one transaction, one batch at a time, and says `wrote` or `giveBack`. Only then has
///    the marker beside the file to count `markerDue`, late or never; then `counted`;
/// 4. confirms a change when `isDurable` says so of the `receipt` that was taken after it;
/// 5. calls `adopt` for each further file: one that could not be read before, was replaced or put back, or that another
///    process has written. Memory gives nothing up; what the file lacks is in the next batch.
///
/// A process that ends loses the value and keeps file and marker; the next one begins with a new value. So a simulation
/// needs a `BlockFile?` and a `BlockMarker` for a disk, and may write them late (`BlockFile.write`), lose them or put
/// old ones back at any moment.
package struct BlockRegister: Sendable {
    /// What goes by requests. Before any file was read it is unknown, unless there is none that could be read.
    package private(set) var list: BlockList
    /// Durable changes of the list, as far as this process knows.
    package private(set) var changes: UInt64 = 0
    /// How many changes the marker has yet to count; `nil` where it has counted all. Never before the file has them: a
    /// marker that is ahead of its file says that the file was put back.
    package private(set) var markerDue: UInt64?
    /// Whether the node belongs to a cluster: only then must a node without a list wait for one.
    private let isClustered: Bool

    /// Whether what is in memory is the whole list: from a file, from peers or by an operator's word.
    private var isWhole = false
    /// A file's word on it was taken.
    private var isRead = false
    /// An attempt to open a file has failed in a way that hides whether there is a list.
    private var hasFailed = false
    /// Counts what changes the list in memory.
    private var edition: UInt64 = 0
    /// By id, orders that the file lacks or has otherwise, and since which edition; 0 where a file lacks what an earlier one
    /// had.
    private var unsaved: [String: UInt64] = [:]
    /// Since which edition the file is to say something else of the list as a whole.
    private var unsavedKnowledge: UInt64?
    /// The batch that is being written.
    private var onItsWay: Batch?
    /// Counts the files that were adopted: a batch goes to the file that it was made for.
    private var fileNumber: UInt64 = 0
    /// While the list is not known, and members are looked for that report theirs.
    private var join: BlockListJoin?

    /// What peers are sent of the changes, by which they notice a state that was put back; `nil` while nothing was
    /// read, or the list is not known.
    package var toldChanges: UInt64? { isRead && list.knowledge == .known ? changes : nil }

    /// Nothing has been read yet.
    ///
    /// - Parameter isClustered: whether the node belongs to a cluster.
    package init(isClustered: Bool) {
        self.isClustered = isClustered
        list = .unknown("the store has not been read yet")
    }

    // MARK: What is found

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

    /// The file cannot be opened. Once a list has been read, that changes nothing.
    package mutating func failed(_ reason: String, _ remains: BlockRemains) -> BlockAdoption {
        guard !isWhole, !isRead else { return BlockAdoption() }
        let before = list.knowledge
        switch remains {
        case .copy(let file, let marker, let behind, let now):
            return adopt(file, marker: marker, behind: behind, now: now)
        case .nothing:
            list.doubt(isClustered ? .none : .known)
        case .hidden:
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
        let lacking = ids.filter { !list.hasSame($0, as: file.list) }
        unsaved = Dictionary(
            uniqueKeysWithValues: lacking.map { ($0, unsaved[$0] ?? onItsWay?.editions[$0] ?? 0) })
        adoptKnowledge(file, marker, behind: behind)
        changes = max(changes, file.changes)
        // What is counted from now on goes beyond the marker again.
        if case .present(let counted?) = marker { changes = max(changes, counted) }
        unsavedKnowledge =
            list.knowledge == file.list.knowledge ? nil : unsavedKnowledge ?? onItsWay?.knowledgeEdition ?? 0
        isWhole = isWhole || list.knowledge == .known
        isRead = true
        fileNumber += 1
        onItsWay = nil
        return BlockAdoption(
            merge: merge, knowledge: before == list.knowledge ? nil : list.knowledge)
    }

    /// Where memory knows the list, the file's own word on it does not count.
    private mutating func adoptKnowledge(_ file: BlockFile, _ marker: BlockMarker, behind: String) {
        guard !isWhole else { return }
        var knowledge = file.list.knowledge
        // What this process has counted is no word for the file: it may come from the marker.
        if case .present(let counted?) = marker, counted > file.changes {
            // One that says itself that it is not whole says why.
            if case .unknown = knowledge {} else { knowledge = .unknown(behind) }
        }
        // Without a cluster there is nobody to wait for.
        if knowledge == .none, !isClustered { knowledge = .known }
        list.doubt(knowledge)
    }

    // MARK: What changes it

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
            edition += 1
            for id in list.takeTouched() where unsaved[id] == nil { unsaved[id] = edition }
            if list.knowledge != before, unsavedKnowledge == nil { unsavedKnowledge = edition }
            // An operator or peers have said so: a file that is read later adds to it.
            if list.knowledge == .known, before != .known {
                isWhole = true
                changes = max(changes, UInt64(clamping: now))
            }
        }
        return try body(&list)
    }

    /// A peer has reported orders. What has ended long ago goes by the way.
    ///
    /// - Parameter now: Unix seconds.
    package mutating func reported(_ entries: [BlockEntry], strayLifts: [BlockLift] = [], now: Int64) -> BlockMerge {
        change(now: now) { list in
            let merge = list.merge(entries, strayLifts: strayLifts, now: now)
            list.prune(now: now)
            return merge
        }
    }

    /// An operator says that there are no other blocks than those that are known here.
    ///
    /// - Parameter unixSeconds: now.
    /// - Returns: why the list was not known; `nil` when it was, and nothing has changed.
    package mutating func confirm(unixSeconds: Int64) -> String? {
        guard let reason = list.unknown else { return nil }
        change(now: unixSeconds) { $0.confirm() }
        join = nil
        return reason
    }

    // MARK: A list that is not known

    /// What is to be done about a list that is not known.
    package enum Completion: Sendable, Equatable {
        /// Nothing: it is known.
        case isKnown
        /// Lists are to be exchanged with these members, unless that is under way; and `complete` is to be asked again
        /// soon.
        case exchange(with: [String])
        /// It has just become known, and why it was not.
        case completed(was: String)
    }

    /// Looks for a whole list, as long as it is not known (``BlockListJoin``). To be called several times a second.
    ///
    /// - Parameters:
    ///   - members: names of all other nodes that have not left.
    ///   - now: nanoseconds of a monotonic clock.
    ///   - unixSeconds: the same moment.
    package mutating func complete(members: [String], now: UInt64, unixSeconds: Int64) -> Completion {
        guard list.unknown != nil else {
            join = nil
            return .isKnown
        }
        let join = self.join ?? BlockListJoin(now: now)
        self.join = join
        if join.isWhole(members: members, now: now), let reason = confirm(unixSeconds: unixSeconds) {
            return .completed(was: reason)
        }
        return .exchange(with: join.missing(of: members))
    }

    /// Lists have been exchanged with a peer completely.
    ///
    /// - Parameters:
    ///   - isKnown: whether that peer's own list is known.
    ///   - now: nanoseconds of a monotonic clock.
    package mutating func exchanged(with peer: String, isKnown: Bool, now: UInt64) {
        join?.answered(peer, isKnown: isKnown, now: now)
    }

    /// What becomes of an operator's order to begin with the list that this node has.
    package enum Bootstrap: Sendable, Equatable {
        /// The list is known: nothing has to be begun.
        case isKnown
        /// A peer may yet report a list: `bootstrap` is to be asked again soon, with the same `orderedAt`.
        case wait
        /// From now on the list counts as whole. `isNew`: this node never had one.
        case begun(isNew: Bool, was: String)
    }

    /// Taken when no peer with a known list answers.
    ///
    /// - Parameters:
    ///   - orderedAt: when the order was given; like `now`, nanoseconds of a monotonic clock.
    ///   - members: names of all other nodes that have not left; `nil` where there is no cluster to ask.
    package mutating func bootstrap(
        orderedAt: UInt64, members: [String]?, now: UInt64, unixSeconds: Int64
    ) -> Bootstrap {
        let isNew = list.knowledge == .none
        let mayBegin =
            join.map { $0.isAlone(members: members ?? [], since: orderedAt, now: now) }
            ?? (members == nil && now >= orderedAt + BlockListJoin.settling)
        if list.unknown != nil, !mayBegin { return .wait }
        guard let reason = confirm(unixSeconds: unixSeconds) else { return .isKnown }
        return .begun(isNew: isNew, was: reason)
    }

    // MARK: What is confirmed

    /// Names everything that has been taken in up to a moment.
    package struct Receipt: Sendable, Equatable {
        fileprivate let edition: UInt64
    }

    /// For everything that has been taken in so far.
    package var receipt: Receipt { Receipt(edition: edition) }

    /// Whether the file has everything that the receipt names, so that it may be confirmed. The marker is not waited for: a
    /// file that is ahead of it is believed.
    package func isDurable(_ receipt: Receipt) -> Bool {
        let named = 0...receipt.edition
        let isLacking =
            [unsavedKnowledge, onItsWay?.knowledgeEdition].contains { $0.map(named.contains) ?? false }
            || unsaved.values.contains(where: named.contains)
            || onItsWay?.editions.values.contains(where: named.contains) ?? false
        return isRead && !isLacking
    }

    // MARK: What is written

    /// There is something for `take`, unless a batch is on its way.
    package var hasUnsaved: Bool { !unsaved.isEmpty || unsavedKnowledge != nil }

    /// What a transaction writes: all of it, or nothing.
    package struct Batch: Sendable {
        /// Orders as they are now.
        package var kept: [BlockEntry] = []
        /// By id, of those that have a duration.
        package var terms: [String: BlockTerm] = [:]
        /// Ids of orders that are forgotten.
        package var forgotten: [String] = []
        /// What the file is to say of the list; `nil` where it says so already.
        package var knowledge: BlockKnowledge?
        /// By id, of all that is kept or forgotten.
        fileprivate var editions: [String: UInt64] = [:]
        fileprivate var knowledgeEdition: UInt64?
        /// Changes that are known to have been counted, in this file or in an earlier one.
        fileprivate var counted: UInt64 = 0
        fileprivate var fileNumber: UInt64 = 0

        package init() {}
        package var isEmpty: Bool { editions.isEmpty && knowledge == nil }

        /// The count of changes that the file has with this batch, where it had `changes` before. It never goes back.
        package func count(after changes: UInt64) -> UInt64 {
            let (sum, overflow) = max(changes, counted).addingReportingOverflow(1)
            return overflow ? .max : sum
        }
    }

    /// Everything that the file lacks; it counts as on its way until ``wrote(_:changes:)`` or ``giveBack(_:)``. Empty
    /// where there is nothing, and while a batch is on its way.
    package mutating func take() -> Batch {
        var batch = Batch()
        guard hasUnsaved, onItsWay == nil else { return batch }
        (batch.counted, batch.fileNumber) = (changes, fileNumber)
        (batch.editions, batch.knowledgeEdition) = (unsaved, unsavedKnowledge)
        for id in unsaved.keys {
            guard let block = list.blocks[id] else {
                batch.forgotten.append(id)
                continue
            }
            batch.kept.append(BlockEntry(block: block, lift: list.lifts[id]))
            batch.terms[id] = list.terms[id]
        }
        if unsavedKnowledge != nil { batch.knowledge = list.knowledge }
        unsaved = [:]
        unsavedKnowledge = nil
        onItsWay = batch
        return batch
    }

    /// The batch is on the disk, and the file has counted so many changes. Where a file has been adopted since, what that
    /// one lacks is to be written all the same.
    package mutating func wrote(_ batch: Batch, changes: UInt64) {
        self.changes = max(self.changes, changes)
        guard batch.fileNumber == fileNumber else { return }
        onItsWay = nil
        markerDue = max(markerDue ?? 0, changes)
    }

    /// The batch was not written.
    package mutating func giveBack(_ batch: Batch) {
        guard batch.fileNumber == fileNumber else { return }
        onItsWay = nil
        unsaved.merge(batch.editions, uniquingKeysWith: min)
        unsavedKnowledge = batch.knowledgeEdition ?? unsavedKnowledge
    }

    /// The marker has counted so many changes.
    package mutating func counted(_ changes: UInt64) {
        if let due = markerDue, due <= changes { markerDue = nil }
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

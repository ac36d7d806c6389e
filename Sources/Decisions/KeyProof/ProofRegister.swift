// SPDX-License-Identifier: Apache-2.0

/// What a node keeps of the proof of its keys: canaries by label, orders to forget some, and how long it has run. The
/// value that is kept, and everything that is decided about keeping it: what is adopted from a file, what is written,
/// and when it may be confirmed. `KeyProof` decides what the canaries are; it reports each change once, and begins with
/// what was kept.
///
/// Whoever drives it
///
/// 1. gives it each file that is opened, by `adopt`, also one that was found again, replaced or put back;
/// 2. reports what `KeyProof` wants kept, by `keep`, `drop` and `noteRan`;
/// 3. writes what `take` gives in one transaction, one batch at a time, and says `wrote` or `giveBack`;
/// 4. confirms a change when `isDurable` says so of the `receipt` that was taken after it.
///
/// A process that ends loses the value and keeps the file. So a simulation needs a `File` for a disk, and may write it
/// late (`File.write`), lose it or put an old one back at any moment. Generic, since a store keeps rows, and not what
/// they say.
package struct ProofRegister<Label, Canary, Forget>: Sendable
where Label: Hashable & Sendable, Canary: Sendable, Forget: Hashable & Sendable {
    /// What a file says.
    package struct File: Sendable {
        package var canaries: [Label: Canary]
        package var forgets: Set<Forget>
        /// How long nodes have run from this file, seconds.
        package var ranSeconds: Int

        package init(canaries: [Label: Canary] = [:], forgets: Set<Forget> = [], ranSeconds: Int = 0) {
            self.canaries = canaries
            self.forgets = forgets
            self.ranSeconds = ranSeconds
        }

        /// What a transaction that writes the batch leaves: how a disk behaves that neither lies nor forgets.
        package mutating func write(_ batch: Batch) {
            for (label, canary) in batch.kept { canaries[label] = canary }
            for label in batch.dropped { canaries[label] = nil }
            forgets.formUnion(batch.forgets)
            ranSeconds = max(ranSeconds, batch.ranSeconds ?? 0)
        }
    }

    package private(set) var canaries: [Label: Canary] = [:]
    package private(set) var forgets: Set<Forget> = []
    /// How long the node has run in all its lives, seconds; never goes back.
    package private(set) var ranSeconds = 0

    /// Counts what is reported.
    private var edition: UInt64 = 0
    /// Labels of which the file lacks the canary, or has one that was dropped, and since which edition; 0 where a file lacks
    /// what an earlier one had.
    private var unsaved: [Label: UInt64] = [:]
    private var unsavedForgets: [Forget: UInt64] = [:]
    private var ranIsUnsaved = false
    /// The batch that is being written.
    private var onItsWay: Batch?
    /// Counts the files that were adopted: a batch goes to the file that it was made for.
    private var fileNumber: UInt64 = 0

    package init() {}

    // MARK: What is found

    /// Takes over what a file says. What was reported and is not written yet is later than the file, and stays.
    ///
    /// - Parameter isAnother: it is not the file that was adopted before. What it lacks stays, too, and is written to
    ///   it; of the same file, another process has taken it away.
    package mutating func adopt(_ file: File, isAnother: Bool) {
        let announced = unsaved.merging(onItsWay?.editions ?? [:], uniquingKeysWith: min)
        let toldForgets = unsavedForgets.merging(onItsWay?.forgetEditions ?? [:], uniquingKeysWith: min)
        var next = file
        for label in announced.keys { next.canaries[label] = canaries[label] }
        next.forgets.formUnion(toldForgets.keys)
        (unsaved, unsavedForgets) = (announced, toldForgets)
        if isAnother {
            for (label, canary) in canaries where next.canaries[label] == nil && announced[label] == nil {
                next.canaries[label] = canary
                unsaved[label] = 0
            }
            for order in forgets where next.forgets.insert(order).inserted { unsavedForgets[order] = 0 }
            ranIsUnsaved = true
        }
        ranIsUnsaved = ranIsUnsaved || onItsWay?.ranSeconds != nil
        (canaries, forgets) = (next.canaries, next.forgets)
        ranSeconds = max(ranSeconds, file.ranSeconds)
        fileNumber += 1
        onItsWay = nil
    }

    // MARK: What is reported

    /// From now on this canary proves the key.
    package mutating func keep(_ canary: Canary, for label: Label) {
        edition += 1
        canaries[label] = canary
        unsaved[label] = unsaved[label] ?? edition
    }

    /// Nothing proves the key any more.
    package mutating func drop(_ label: Label) {
        edition += 1
        canaries[label] = nil
        unsaved[label] = unsaved[label] ?? edition
    }

    /// Orders to forget are never taken away.
    package mutating func keep(_ order: Forget) {
        edition += 1
        forgets.insert(order)
        unsavedForgets[order] = unsavedForgets[order] ?? edition
    }

    /// How long the node has run in all its lives, seconds. Less than before is passed over.
    package mutating func noteRan(seconds: Int) {
        guard seconds > ranSeconds else { return }
        (ranSeconds, ranIsUnsaved) = (seconds, true)
    }

    // MARK: What is confirmed

    /// Names all canaries and orders that have been reported up to a moment. The time that the node has run is no part
    /// of it.
    package struct Receipt: Sendable, Equatable {
        fileprivate let edition: UInt64
    }

    /// For everything that has been reported so far.
    package var receipt: Receipt { Receipt(edition: edition) }

    /// Whether a file that was adopted has everything that the receipt names, so that it may be confirmed.
    package func isDurable(_ receipt: Receipt) -> Bool {
        let lacking = [
            unsaved.values.min(), unsavedForgets.values.min(), onItsWay?.editions.values.min(),
            onItsWay?.forgetEditions.values.min(),
        ]
        return fileNumber > 0 && !lacking.contains { $0.map { $0 <= receipt.edition } ?? false }
    }

    // MARK: What is written

    /// What a transaction writes: all of it, or nothing.
    package struct Batch: Sendable {
        package fileprivate(set) var kept: [Label: Canary] = [:]
        package fileprivate(set) var dropped: [Label] = []
        package fileprivate(set) var forgets: [Forget] = []
        /// `nil` where the file has it.
        package fileprivate(set) var ranSeconds: Int?
        fileprivate var editions: [Label: UInt64] = [:]
        fileprivate var forgetEditions: [Forget: UInt64] = [:]
        fileprivate var fileNumber: UInt64 = 0

        package init() {}

        /// A loss of power must not take it back once it was said to be written.
        package var mustLast: Bool { !kept.isEmpty || !dropped.isEmpty || !forgets.isEmpty }
        package var isEmpty: Bool { !mustLast && ranSeconds == nil }
    }

    /// Everything that the file lacks; it counts as on its way until ``wrote(_:)`` or ``giveBack(_:)``. Empty where there is
    /// nothing, and while a batch is on its way.
    package mutating func take() -> Batch {
        var batch = Batch()
        guard onItsWay == nil else { return batch }
        batch.fileNumber = fileNumber
        (batch.editions, batch.forgetEditions) = (unsaved, unsavedForgets)
        for label in unsaved.keys {
            if let canary = canaries[label] { batch.kept[label] = canary } else { batch.dropped.append(label) }
        }
        batch.forgets = Array(unsavedForgets.keys)
        batch.ranSeconds = ranIsUnsaved ? ranSeconds : nil
        (unsaved, unsavedForgets, ranIsUnsaved) = ([:], [:], false)
        onItsWay = batch.isEmpty ? nil : batch
        return batch
    }

    /// The batch is in the file.
    package mutating func wrote(_ batch: Batch) {
        if batch.fileNumber == fileNumber { onItsWay = nil }
    }

    /// The batch was not written. What has been reported since is later, and stays.
    package mutating func giveBack(_ batch: Batch) {
        guard batch.fileNumber == fileNumber else { return }
        onItsWay = nil
        unsaved.merge(batch.editions, uniquingKeysWith: min)
        unsavedForgets.merge(batch.forgetEditions, uniquingKeysWith: min)
        ranIsUnsaved = ranIsUnsaved || batch.ranSeconds != nil
    }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// What happens to HSMs and their catalogues, to time, and what operators say.
extension KeyProof {
    /// An HSM has told its keys.
    ///
    /// - Parameter extent: whether these are all. What a part does not name has not vanished; and as long as a token is
    ///   being read, keys that are seen for the first time wait for it.
    package mutating func listed(
        hsm: Int, entries: [CatalogueEntry], extent: KeyListing.Extent = .whole, now: UInt64
    ) -> ProofActions {
        var actions = ProofActions()
        guard isThere(hsm) else { return actions }
        hsms[hsm].round &+= 1
        let round = hsms[hsm].round
        let before = hsms[hsm].catalogue
        hsms[hsm].catalogue.removeAll(keepingCapacity: true)
        for entry in entries {
            let record = place(for: entry.label)
            guard records[record].slots[hsm].round != round else { continue }
            hsms[hsm].catalogue.append(record)
            see(entry, in: record, hsm: hsm, round: round, now: now, into: &actions)
        }
        for record in before where records[record].slots[hsm].round != round {
            if extent == .whole {
                vanish(record, hsm: hsm, now: now, into: &actions)
            } else {
                hsms[hsm].catalogue.append(record)
            }
        }
        if extent != .growing { settle(hsm, now: now, into: &actions) }
        issueChecks(into: &actions)
        return actions
    }

    private mutating func see(
        _ entry: CatalogueEntry, in record: Int, hsm: Int, round: UInt64, now: UInt64, into actions: inout ProofActions
    ) {
        records[record].slots[hsm].round = round
        let slot = records[record].slots[hsm]
        if slot.isPresent, slot.reference == entry.reference, slot.usage == entry.usage { return }
        forget(record, hsm: hsm)
        records[record].slots[hsm].isListed = true
        records[record].slots[hsm].isRemembered = true
        records[record].slots[hsm].reference = entry.reference
        records[record].slots[hsm].usage = entry.usage
        assess(record, now: now, into: &actions)
    }

    private mutating func vanish(_ record: Int, hsm: Int, now: UInt64, into actions: inout ProofActions) {
        forget(record, hsm: hsm)
        recant(record, hsm: hsm)
        records[record].slots[hsm].isListed = false
        records[record].slots[hsm].isRemembered = false
        actions.news.append(.vanished(label: records[record].label, hsm: names[hsm]))
        assess(record, now: now, into: &actions)
        dropIfEmpty(record)
    }

    /// An HSM's worker has ended. Nothing is known about its keys until the next one tells them; what it was asked will
    /// not be answered.
    package mutating func workerEnded(hsm: Int, now: UInt64) -> ProofActions {
        var actions = ProofActions()
        guard isThere(hsm) else { return actions }
        unsettled.insert(hsm)
        if hsms[hsm].outstanding > 0 { tickets = tickets.filter { $0.value.hsm != hsm } }
        hsms[hsm].outstanding = 0
        hsms[hsm].urgent.removeAll()
        hsms[hsm].ordinary.removeAll()
        for record in hsms[hsm].catalogue where records[record].slots[hsm].isListed {
            forget(record, hsm: hsm)
            records[record].slots[hsm].isListed = false
            assess(record, now: now, into: &actions)
        }
        issueChecks(into: &actions)
        return actions
    }

    /// An HSM has failed to come up: keys seen for the first time do not wait for it.
    package mutating func settled(hsm: Int, now: UInt64) -> ProofActions {
        var actions = ProofActions()
        guard isThere(hsm) else { return actions }
        settle(hsm, now: now, into: &actions)
        issueChecks(into: &actions)
        return actions
    }

    mutating func settle(_ hsm: Int, now: UInt64, into actions: inout ProofActions) {
        guard unsettled.contains(hsm) else { return }
        unsettled.remove(hsm)
        guard unsettled.isEmpty else { return }
        for record in records.indices where records[record].stage == .firstSight {
            endStage(record, now: now, into: &actions)
        }
    }

    /// Does what is due. Cheap when nothing is.
    package mutating func tick(now: UInt64) -> ProofActions {
        var actions = ProofActions()
        while let thing = due.take(by: now) {
            let (record, place) = thing.quotientAndRemainder(dividingBy: names.count + 1)
            if place == names.count {
                endStage(record, now: now, into: &actions)
            } else {
                checkAgain(record, hsm: place, now: now, into: &actions)
            }
        }
        issueChecks(into: &actions)
        return actions
    }

    private mutating func checkAgain(_ record: Int, hsm: Int, now: UInt64, into actions: inout ProofActions) {
        let slot = records[record].slots[hsm]
        guard slot.isPresent, slot.work == .idle else { return }
        if records[record].trusting != nil || records[record].canary == nil {
            assess(record, now: now, into: &actions)
        } else if !slot.isUnprovable {
            enqueue(record, hsm: hsm, isUrgent: false)
        }
    }

    /// A request waits for this key: its checks go first.
    package mutating func wanted(_ label: KeyLabel) {
        guard let record = places[label] else { return }
        for hsm in names.indices {
            if case .queued(_, isUrgent: false) = records[record].slots[hsm].work {
                enqueue(record, hsm: hsm, isUrgent: true)
            }
        }
    }

    /// An operator says that this HSM holds the right key. It makes a new canary, which decides; until then nothing
    /// serves the key.
    package mutating func trust(_ label: KeyLabel, hsm: Int, now: UInt64) -> Result<ProofActions, TrustRefusal> {
        guard isThere(hsm) else { return .failure(.unknownHSM) }
        guard let record = places[label], records[record].slots[hsm].isPresent else { return .failure(.notListed) }
        guard records[record].slots[hsm].canMake else { return .failure(.usageNotPermitted) }
        var actions = ProofActions()
        for other in names.indices {
            records[record].slots[other].work = .idle
            due.clear(check(of: record, other))
        }
        records[record].slots[hsm].failures = 0
        records[record].draft = nil
        records[record].offer = nil
        records[record].trusting = hsm
        assess(record, now: now, into: &actions)
        issueChecks(into: &actions)
        return .success(actions)
    }
}

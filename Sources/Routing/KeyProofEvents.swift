// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// What happens to HSMs and their catalogues, and to time.
extension KeyProof {
    /// An HSM has told its keys. Several entries of one label are several objects of which one may be the key.
    ///
    /// - Parameter extent: whether these are all. What a part does not name has not vanished; and as long as a token is
    ///   being read, keys that are seen for the first time wait for it.
    package mutating func listed(
        hsm: Int, entries: [CatalogueEntry], extent: KeyListing.Extent = .whole, now: UInt64
    ) -> ProofActions {
        var actions = ProofActions()
        guard isThere(hsm) else { return actions }
        hsms[hsm].round &+= 1
        if extent != .growing { hsms[hsm].hasTold = true }
        let round = hsms[hsm].round
        let before = hsms[hsm].catalogue
        hsms[hsm].catalogue.removeAll(keepingCapacity: true)
        var further: [Int: [KeyObject]] = [:]
        var firsts: [(record: Int, object: KeyObject)] = []
        firsts.reserveCapacity(entries.count)
        for entry in entries {
            let record = place(for: entry.label)
            guard records[record].slots[hsm].round != round else {
                further[record, default: []].append(KeyObject(entry))
                continue
            }
            records[record].slots[hsm].round = round
            hsms[hsm].catalogue.append(record)
            firsts.append((record, KeyObject(entry)))
        }
        for (record, object) in firsts {
            see([object] + (further[record] ?? []), in: record, hsm: hsm, now: now, into: &actions)
        }
        for record in before where records[record].slots[hsm].round != round {
            if extent == .whole {
                vanish(record, hsm: hsm, now: now, into: &actions)
            } else {
                hsms[hsm].catalogue.append(record)
            }
        }
        if extent != .growing { settle(hsm, now: now, into: &actions) }
        issueChecks(now: now, into: &actions)
        return actions
    }

    /// These objects of the label lie on the HSM's token, one at least.
    private mutating func see(
        _ objects: [KeyObject], in record: Int, hsm: Int, now: UInt64, into actions: inout ProofActions
    ) {
        let slot = records[record].slots[hsm]
        let isKept = slot.isPresent && objects.contains { slot.object.isUnchanged(in: $0) }
        if isKept, objects.count == 1, slot.others.isEmpty {
            // What may be read for the first time is taken in; an end date may have moved.
            if let object = objects.first, object != slot.object { records[record].slots[hsm].object = object }
            return
        }
        let count = slot.isPresent ? slot.others.count + 1 : 1
        if objects.count > 1, objects.count != count {
            actions.news.append(.several(label: records[record].label, hsm: names[hsm], count: objects.count))
        }
        if isKept, let object = objects.first(where: { slot.object.isUnchanged(in: $0) }) {
            let others = objects.filter { $0.reference != object.reference }
            records[record].slots[hsm].object = object
            records[record].slots[hsm].others = others
            records[record].slots[hsm].refuted.removeAll { old in !objects.contains { $0.reference == old } }
            // It does not open the canary; one that has come may.
            if slot.isDifferent { tryAnother(record, hsm: hsm) }
            return assess(record, now: now, into: &actions)
        }
        let lastOpened = slot.isListed ? slot.lastOpened : nil
        recant(record, hsm: hsm)
        forget(record, hsm: hsm)
        records[record].slots[hsm].isListed = true
        records[record].slots[hsm].isRemembered = true
        records[record].slots[hsm].object = objects.first ?? KeyObject()
        records[record].slots[hsm].others = Array(objects.dropFirst())
        // Another value may have lain under the old handle for a while.
        records[record].slots[hsm].lastOpened = lastOpened
        assess(record, now: now, into: &actions)
    }

    /// Key stores offer only these keys of the HSM from now on: it lists the others no more, which is no alarm.
    package mutating func withdrawn(
        hsm: Int, except isOffered: (KeyLabel) -> Bool, now: UInt64
    ) -> ProofActions {
        var actions = ProofActions()
        guard isThere(hsm) else { return actions }
        let withdrawn = hsms[hsm].catalogue.filter { !isOffered(records[$0].label) }
        hsms[hsm].catalogue.removeAll { !isOffered(records[$0].label) }
        for record in withdrawn { vanish(record, hsm: hsm, isAlarm: false, now: now, into: &actions) }
        issueChecks(now: now, into: &actions)
        return actions
    }

    private mutating func vanish(
        _ record: Int, hsm: Int, isAlarm: Bool = true, now: UInt64, into actions: inout ProofActions
    ) {
        forget(record, hsm: hsm)
        recant(record, hsm: hsm)
        records[record].slots[hsm].isListed = false
        records[record].slots[hsm].isRemembered = false
        if isAlarm { actions.news.append(.vanished(label: records[record].label, hsm: names[hsm])) }
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
        (hsms[hsm].outstanding, hsms[hsm].outstandingRoutine, hsms[hsm].routineFrom) = (0, 0, 0)
        hsms[hsm].urgent.removeAll()
        hsms[hsm].ordinary.removeAll()
        hsms[hsm].routine.removeAll()
        for record in hsms[hsm].catalogue where records[record].slots[hsm].isListed {
            forget(record, hsm: hsm)
            recant(record, hsm: hsm)
            records[record].slots[hsm].isListed = false
            assess(record, now: now, into: &actions)
        }
        issueChecks(now: now, into: &actions)
        return actions
    }

    /// An HSM has failed to come up: keys seen for the first time do not wait for it.
    package mutating func settled(hsm: Int, now: UInt64) -> ProofActions {
        var actions = ProofActions()
        guard isThere(hsm) else { return actions }
        settle(hsm, now: now, into: &actions)
        issueChecks(now: now, into: &actions)
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
        issueChecks(now: now, into: &actions)
        return actions
    }

    /// When `tick` has something to do.
    package var nextDue: UInt64? {
        var next = due.next
        for hsm in hsms where !hsm.routine.isEmpty && hsm.outstandingRoutine == 0 {
            next = min(next ?? .max, hsm.routineFrom)
        }
        return next
    }

    private mutating func checkAgain(_ record: Int, hsm: Int, now: UInt64, into actions: inout ProofActions) {
        let slot = records[record].slots[hsm]
        guard slot.isPresent, slot.work == .idle else { return }
        if records[record].trusting != nil || records[record].canary == nil {
            assess(record, now: now, into: &actions)
        } else if !slot.isUnprovable {
            let isRoutine = slot.verdict == .proven && slot.failures == 0
            enqueue(record, hsm: hsm, isRoutine ? .routine : .ordinary)
        }
    }

    /// A request waits for this key: its checks go first.
    package mutating func wanted(_ label: KeyLabel) {
        guard let record = places[label] else { return }
        for hsm in names.indices {
            if case .queued(_, .ordinary) = records[record].slots[hsm].work { enqueue(record, hsm: hsm, .urgent) }
        }
    }

    /// An HSM has done something with the key for a request: the canary is opened again before long.
    package mutating func used(_ label: KeyLabel, hsm: Int) {
        guard let record = places[label], names.indices.contains(hsm),
            used.insert(record * HSMSet.capacity + hsm).inserted
        else { return }
        let thing = check(of: record, hsm)
        guard let last = records[record].slots[hsm].lastOpened, let next = due[thing] else { return }
        due.set(thing, at: min(next, last &+ pause(upTo: limits.usedRecheck)))
    }
}

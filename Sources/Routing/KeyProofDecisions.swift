// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// What follows from what is known about one label: who is asked what, and who may serve.
extension KeyProof {
    /// Decides anew about one record. Call it after everything that has changed it.
    mutating func assess(_ record: Int, now: UInt64, into actions: inout ProofActions) {
        cancelTrustInVain(record)
        markUnprovable(record)
        if let maker = records[record].trusting {
            askToMake(record, hsm: maker)
        } else {
            switch records[record].stage {
            case .unseen: beginFirstSight(record, now: now, into: &actions)
            case .firstSight, .making:
                if !records[record].isListed {
                    records[record].stage = .unseen
                    records[record].draft = nil
                    due.clear(timer(of: record))
                } else if records[record].stage == .making {
                    chooseMaker(record)
                }
            case .agreeing:
                askToTry(record)
                askToOpen(record)
                if !records[record].slots.contains(where: \.isUndecided) {
                    endStage(record, now: now, into: &actions)
                }
            case .provisional, .decided:
                askToTry(record)
                askToOpen(record)
            case .disputed: askToOpen(record)
            }
        }
        publish(record, into: &actions)
    }

    /// The time of a record's stage is over, or what it waited for has come.
    mutating func endStage(_ record: Int, now: UInt64, into actions: inout ProofActions) {
        due.clear(timer(of: record))
        switch records[record].stage {
        case .firstSight:
            records[record].stage = .making
            assess(record, now: now, into: &actions)
        case .agreeing:
            // Stored from the moment at which it may serve: what it has let through must decide after a restart.
            records[record].stage = .provisional
            due.set(timer(of: record), at: now &+ limits.provisional)
            if let canary = records[record].canary { actions.canaries.append(canary) }
            publish(record, into: &actions)
        case .provisional:
            records[record].stage = .decided
            publish(record, into: &actions)
        case .unseen, .making, .decided, .disputed: break
        }
    }

    private mutating func beginFirstSight(_ record: Int, now: UInt64, into actions: inout ProofActions) {
        guard records[record].isListed else { return }
        records[record].stage = .firstSight
        if unsettled.isEmpty {
            endStage(record, now: now, into: &actions)
        } else {
            due.set(timer(of: record), at: now &+ limits.firstSight)
        }
    }

    /// An operator's word was about a key that could make a canary. When the HSM's catalogue says that it cannot any
    /// more, or that the key is gone, everything goes on as it was before. A worker that has ended says nothing.
    private mutating func cancelTrustInVain(_ record: Int) {
        guard let maker = records[record].trusting else { return }
        let slot = records[record].slots[maker]
        guard !slot.isRemembered || (slot.isPresent && !slot.canMake) else { return }
        records[record].trusting = nil
    }

    /// Tells what can be proven: a key that may not decrypt never can, and without a canary somebody has to make one.
    private mutating func markUnprovable(_ record: Int) {
        let stage = records[record].stage
        let makersAreMissing =
            records[record].canary == nil && stage == .making && !records[record].slots.contains(where: \.canMake)
        for hsm in names.indices where records[record].slots[hsm].isPresent {
            var reason: String?
            if !records[record].slots[hsm].usage.contains(.decrypt) {
                reason = "its CKA_DECRYPT is false, so that the key can never be proven"
            } else if makersAreMissing {
                reason = "no HSM may both encrypt and decrypt with the key, and no canary of it is known"
            }
            if let reason {
                if records[record].slots[hsm].verdict == .unprovable(reason) { continue }
                forget(record, hsm: hsm)
                records[record].slots[hsm].verdict = .unprovable(reason)
            } else if case .unprovable = records[record].slots[hsm].verdict {
                records[record].slots[hsm].verdict = .unproven
            }
        }
    }

    /// One HSM at a time makes the first canary; not always the same one, so that many keys spread over all.
    private mutating func chooseMaker(_ record: Int) {
        guard records[record].draft == nil, !records[record].slots.contains(where: { $0.work != .idle }) else { return }
        for step in names.indices {
            let hsm = (record + step) % names.count
            if records[record].slots[hsm].canMake, due[check(of: record, hsm)] == nil {
                enqueue(record, hsm: hsm, isUrgent: false)
                return
            }
        }
    }

    private mutating func askToMake(_ record: Int, hsm: Int) {
        let slot = records[record].slots[hsm]
        guard slot.canMake, slot.work == .idle, due[check(of: record, hsm)] == nil else { return }
        enqueue(record, hsm: hsm, isUrgent: true)
    }

    /// Every key that can be checked is in a line, or at its HSM, or has a time for its next check; this keeps it so.
    private mutating func askToOpen(_ record: Int) {
        for hsm in names.indices where records[record].slots[hsm].isPresent && !records[record].slots[hsm].isUnprovable
        {
            guard records[record].slots[hsm].work == .idle, due[check(of: record, hsm)] == nil else { continue }
            enqueue(record, hsm: hsm, isUrgent: false)
        }
    }

    /// Says who may serve from now on, and who may no more.
    private mutating func publish(_ record: Int, into actions: inout ProofActions) {
        if records[record].shared != records[record].shareable?.sealed {
            records[record].shared = records[record].shareable?.sealed
            sharedVersion &+= 1
        }
        let before = records[record].served
        let after = records[record].mayServe
        guard before != after else { return }
        records[record].served = after
        for hsm in names.indices where before.contains(hsm) != after.contains(hsm) {
            let placement = KeyPlacement(label: records[record].label, hsm: hsm)
            if after.contains(hsm) { actions.granted.append(placement) } else { actions.revoked.append(placement) }
        }
    }

    /// Nothing is known any more about a key on an HSM; an answer under way is about something else.
    mutating func forget(_ record: Int, hsm: Int) {
        if records[record].draftedBy == hsm { records[record].draft = nil }
        records[record].slots[hsm].forget()
        records[record].proven.remove(hsm)
        if records[record].offer?.hsm == hsm { records[record].offer?.hsm = nil }
        due.clear(check(of: record, hsm))
    }

    // MARK: Lines

    /// Puts a slot's next check in its HSM's line.
    mutating func enqueue(_ record: Int, hsm: Int, isUrgent: Bool) {
        let stamp = newStamp()
        due.clear(check(of: record, hsm))
        records[record].slots[hsm].work = .queued(stamp: stamp, isUrgent: isUrgent)
        let entry = LineEntry(record: record, stamp: stamp)
        if isUrgent { hsms[hsm].urgent.append(entry) } else { hsms[hsm].ordinary.append(entry) }
        let most = 4 * records.count + 64
        if hsms[hsm].urgent.count + hsms[hsm].ordinary.count > most { sweepLines(of: hsm) }
    }

    /// Leftovers in the lines are dropped when their turn comes, or here when they are too many.
    private mutating func sweepLines(of hsm: Int) {
        let records = records
        hsms[hsm].urgent.keep { records[$0.record].slots[hsm].work == .queued(stamp: $0.stamp, isUrgent: true) }
        hsms[hsm].ordinary.keep { records[$0.record].slots[hsm].work == .queued(stamp: $0.stamp, isUrgent: false) }
    }

    /// Gives every HSM as many checks as it may have.
    mutating func issueChecks(into actions: inout ProofActions) {
        for hsm in hsms.indices {
            while hsms[hsm].outstanding < limits.outstanding, let check = nextCheck(of: hsm) {
                actions.checks.append(check)
            }
        }
    }

    private mutating func nextCheck(of hsm: Int) -> ProofCheck? {
        while true {
            let (entry, isUrgent): (LineEntry, Bool)
            if let first = hsms[hsm].urgent.take() {
                (entry, isUrgent) = (first, true)
            } else if let first = hsms[hsm].ordinary.take() {
                (entry, isUrgent) = (first, false)
            } else {
                return nil
            }
            let record = entry.record
            guard records[record].slots[hsm].work == .queued(stamp: entry.stamp, isUrgent: isUrgent) else { continue }
            guard let (kind, purpose) = question(record, hsm: hsm) else {
                records[record].slots[hsm].work = .idle
                continue
            }
            let ticket = newTicket()
            tickets[ticket] = CheckTicket(record: record, hsm: hsm, purpose: purpose)
            records[record].slots[hsm].work = .outstanding(ticket: ticket)
            hsms[hsm].outstanding += 1
            return ProofCheck(
                ticket: ticket, hsm: hsm, label: records[record].label, key: records[record].slots[hsm].reference,
                kind: kind)
        }
    }

    private func question(_ record: Int, hsm: Int) -> (ProofCheck.Kind, CheckTicket.Purpose)? {
        if let offer = records[record].offer, offer.hsm == hsm, records[record].canary != nil {
            return (.open(offer.canary.sealed), .trial)
        }
        if records[record].makesCanary(hsm) {
            guard let draft = records[record].draft, records[record].draftedBy == hsm else { return (.make, .make) }
            return (.open(draft.sealed), .confirm)
        }
        guard let canary = records[record].canary else { return nil }
        return (.open(canary.sealed), .open)
    }
}

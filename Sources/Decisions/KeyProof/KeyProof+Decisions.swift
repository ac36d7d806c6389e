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
            weigh(record, now: now, into: &actions)
            switch records[record].stage {
            case .unseen: beginFirstSight(record, now: now, into: &actions)
            case .firstSight, .making:
                if !records[record].isListed {
                    records[record].stage = .unseen
                    records[record].draft = nil
                    records[record].outvoted = []
                    due.clear(timer(of: record))
                } else if records[record].stage == .making {
                    chooseMaker(record)
                }
            case .agreeing:
                askToOpen(record)
                if !records[record].slots.contains(where: \.isUndecided) {
                    endStage(record, now: now, into: &actions)
                }
            case .announced:
                askToOpen(record)
                if mayServeNow(record) { endStage(record, now: now, into: &actions) }
            case .provisional, .decided, .disputed: askToOpen(record)
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
        case .agreeing: agree(record, now: now, into: &actions)
        case .announced:
            if cluster.hasOthers, !cluster.hasExchanged(since: records[record].announcedSince) {
                if !cluster.peers.isEmpty {
                    unconfirmed.insert(record)
                    records[record].canary?.history.isUnconfirmed = true
                }
                actions.news.append(.decidedAlone(label: records[record].label))
            }
            serve(record, now: now, into: &actions)
        case .provisional:
            records[record].stage = .decided
            publish(record, into: &actions)
        case .unseen, .making, .decided, .disputed: break
        }
    }

    /// This node's HSMs agree. Where there are other nodes they are informed before anything is encrypted: of two that
    /// see a key for the first time, the second one learns what the first one holds.
    mutating func announceOrServe(_ record: Int, now: UInt64, into actions: inout ProofActions) {
        records[record].outvoted = []
        records[record].stage = .announced
        announce(record)
        guard cluster.hasOthers else { return serve(record, now: now, into: &actions) }
        let isAnybodyThere = cluster.peers.contains(where: \.isLive)
        let since = isAnybodyThere ? now : max(aloneSince, now < limits.alone ? 0 : now - limits.alone)
        due.set(timer(of: record), at: max(now, since &+ limits.alone))
        publish(record, into: &actions)
    }

    /// From now on the canary serves. It is stored from this moment: what it has let through must decide after a
    /// restart.
    mutating func serve(_ record: Int, now: UInt64, into actions: inout ProofActions) {
        let ran = ran(now: now)
        records[record].stage = .provisional
        records[record].canary?.history.servingSince = ran
        due.set(timer(of: record), at: now &+ limits.provisional)
        store(record, into: &actions)
        publish(record, into: &actions)
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

    /// Decides what can be proven: a key that may not decrypt never can, and without a canary somebody has to make one.
    private mutating func markUnprovable(_ record: Int) {
        let stage = records[record].stage
        let makersAreMissing =
            records[record].canary == nil && stage == .making && !records[record].slots.contains(where: \.canMake)
        for hsm in names.indices where records[record].slots[hsm].isPresent {
            let slot = records[record].slots[hsm]
            var reason: String?
            if !slot.object.usage.contains(.decrypt), !slot.others.contains(where: { $0.usage.contains(.decrypt) }) {
                reason = "its CKA_DECRYPT is false, so that the key can never be proven"
            } else if makersAreMissing, !slot.others.isEmpty {
                reason = "\(slot.others.count + 1) keys of this label lie on its token, and no canary tells which one"
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
            guard !records[record].outvoted.contains(hsm) else { continue }
            if records[record].slots[hsm].canMake, due[check(of: record, hsm)] == nil {
                return enqueue(record, hsm: hsm, .ordinary)
            }
        }
        // Those who were to make another one cannot: whoever can does.
        let isHopeless = !names.indices.contains {
            records[record].slots[$0].canMake && !records[record].outvoted.contains($0)
        }
        guard isHopeless, !records[record].outvoted.isEmpty else { return }
        records[record].outvoted = []
        chooseMaker(record)
    }

    private mutating func askToMake(_ record: Int, hsm: Int) {
        let slot = records[record].slots[hsm]
        guard slot.canMake, slot.work == .idle, due[check(of: record, hsm)] == nil else { return }
        enqueue(record, hsm: hsm, .urgent)
    }

    /// Every key that can be checked is in a line, or at its HSM, or has a time for its next check; this keeps it so.
    private mutating func askToOpen(_ record: Int) {
        for hsm in names.indices where records[record].slots[hsm].isPresent && !records[record].slots[hsm].isUnprovable
        {
            guard records[record].slots[hsm].work == .idle, due[check(of: record, hsm)] == nil else { continue }
            enqueue(record, hsm: hsm, .ordinary)
        }
    }

    /// Says who may serve from now on, and who may no more.
    mutating func publish(_ record: Int, into actions: inout ProofActions) {
        announce(record)
        let before = (records[record].served, records[record].encrypting)
        let after = (records[record].mayServe, records[record].mayEncrypt)
        guard before != after else { return }
        (records[record].served, records[record].encrypting) = after
        for hsm in names.indices {
            let had = (before.0.contains(hsm), before.1.contains(hsm))
            let has = (after.0.contains(hsm), after.1.contains(hsm))
            guard had != has else { continue }
            let holding = KeyHolding(label: records[record].label, hsm: hsm)
            if (has.0 && !had.0) || (has.1 && !had.1) { actions.granted.append(holding) }
            if (had.0 && !has.0) || (had.1 && !has.1) { actions.revoked.append(holding) }
        }
    }

    /// Nothing is known any more about a key on an HSM; an answer under way is about something else.
    mutating func forget(_ record: Int, hsm: Int) {
        if records[record].draftedBy == hsm { records[record].draft = nil }
        records[record].slots[hsm].forget()
        records[record].proven.remove(hsm)
        used.remove(record * HSMSet.capacity + hsm)
        if records[record].trying?.hsm == hsm { records[record].trying = nil }
        due.clear(check(of: record, hsm))
    }

    // MARK: Lines

    /// Puts a slot's next check in its HSM's line.
    mutating func enqueue(_ record: Int, hsm: Int, _ urgency: CheckUrgency) {
        let stamp = newStamp()
        due.clear(check(of: record, hsm))
        records[record].slots[hsm].work = .queued(stamp: stamp, urgency)
        let entry = LineEntry(record: record, stamp: stamp)
        switch urgency {
        case .routine: hsms[hsm].routine.append(entry)
        case .ordinary: hsms[hsm].ordinary.append(entry)
        case .urgent: hsms[hsm].urgent.append(entry)
        }
        let most = 4 * records.count + 64
        if hsms[hsm].urgent.count + hsms[hsm].ordinary.count + hsms[hsm].routine.count > most { sweepLines(of: hsm) }
    }

    /// Leftovers in the lines are dropped when their turn comes, or here when they are too many.
    private mutating func sweepLines(of hsm: Int) {
        let records = records
        hsms[hsm].urgent.keep { records[$0.record].slots[hsm].work == .queued(stamp: $0.stamp, .urgent) }
        hsms[hsm].ordinary.keep { records[$0.record].slots[hsm].work == .queued(stamp: $0.stamp, .ordinary) }
        hsms[hsm].routine.keep { records[$0.record].slots[hsm].work == .queued(stamp: $0.stamp, .routine) }
    }

    /// Gives every HSM as many checks as it may have.
    mutating func issueChecks(now: UInt64, into actions: inout ProofActions) {
        for hsm in hsms.indices {
            while hsms[hsm].outstanding < limits.outstanding, let check = nextCheck(of: hsm, now: now) {
                actions.checks.append(check)
            }
        }
    }

    private mutating func nextCheck(of hsm: Int, now: UInt64) -> ProofCheck? {
        while true {
            let (entry, urgency): (LineEntry, CheckUrgency)
            if let first = hsms[hsm].urgent.take() {
                (entry, urgency) = (first, .urgent)
            } else if let first = hsms[hsm].ordinary.take() {
                (entry, urgency) = (first, .ordinary)
            } else if hsms[hsm].outstandingRoutine == 0, hsms[hsm].routineFrom <= now,
                let first = hsms[hsm].routine.take()
            {
                (entry, urgency) = (first, .routine)
            } else {
                return nil
            }
            let record = entry.record
            guard records[record].slots[hsm].work == .queued(stamp: entry.stamp, urgency) else { continue }
            guard let (kind, purpose) = question(record, hsm: hsm) else {
                records[record].slots[hsm].work = .idle
                continue
            }
            let ticket = newTicket()
            tickets[ticket] = CheckTicket(
                record: record, hsm: hsm, purpose: purpose, issuedAt: now, isRoutine: urgency == .routine)
            records[record].slots[hsm].work = .outstanding(ticket: ticket)
            hsms[hsm].outstanding += 1
            if urgency == .routine { hsms[hsm].outstandingRoutine += 1 }
            return ProofCheck(
                ticket: ticket, hsm: hsm, label: records[record].label,
                key: records[record].slots[hsm].object.reference, kind: kind)
        }
    }

    private func question(_ record: Int, hsm: Int) -> (ProofCheck.Kind, CheckTicket.Purpose)? {
        if let trying = records[record].trying, trying.hsm == hsm, records[record].trusting == nil {
            return (.open(trying.canary.sealed), .trial(trying.canary))
        }
        if records[record].makesCanary(hsm) {
            guard let draft = records[record].draft, records[record].draftedBy == hsm else { return (.make, .make) }
            return (.open(draft.sealed), .confirm)
        }
        guard let canary = records[record].canary else { return nil }
        return (.open(canary.sealed), .open)
    }
}

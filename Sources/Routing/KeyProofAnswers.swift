// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// What an HSM's answer to a check means.
extension KeyProof {
    /// A canary was made. `digest`: SHA-256 of its block.
    package mutating func made(
        ticket: UInt64, _ sealed: SealedCanary, digest: [UInt8], now: UInt64, unixSeconds: Int64
    ) -> ProofActions {
        answer(ticket, now: now) { proof, check, actions in
            guard check.purpose == .make else { return proof.failed(check, Self.wrongAnswer, now, &actions) }
            let (record, hsm) = (check.record, check.hsm)
            var canary = Canary(
                label: proof.records[record].label, sealed: sealed, digest: digest, maker: proof.names[hsm],
                madeAt: unixSeconds, isTrusted: proof.records[record].trusting == hsm)
            if canary.isTrusted { canary.history.replaces = proof.knownOrders(record) }
            proof.records[record].draft = canary
            proof.records[record].draftedBy = hsm
            // A canary that its own maker cannot open would be evidence against everybody else.
            proof.enqueue(record, hsm: hsm, .urgent)
        }
    }

    /// A canary was opened. `digest`: SHA-256 of the block in it.
    package mutating func opened(ticket: UInt64, digest: [UInt8], now: UInt64) -> ProofActions {
        answer(ticket, now: now) { proof, check, actions in
            switch check.purpose {
            case .make: proof.failed(check, Self.wrongAnswer, now, &actions)
            case .trial(let asked): proof.tried(check, asked, isOpen: digest == asked.digest)
            case .confirm:
                if proof.records[check.record].draft?.digest == digest {
                    proof.adopt(check.record, maker: check.hsm, now: now, into: &actions)
                } else {
                    proof.failed(check, Self.ownCanary, now, &actions)
                }
            case .open:
                if proof.records[check.record].canary?.digest == digest {
                    proof.prove(check.record, hsm: check.hsm, now: now, into: &actions)
                } else {
                    proof.differ(check.record, hsm: check.hsm, now: now, into: &actions)
                }
            }
        }
    }

    /// A canary was neither made nor opened. `reason`: in words, for people.
    package mutating func refused(
        ticket: UInt64, _ refusal: CanaryRefusal, reason: String, now: UInt64
    ) -> ProofActions {
        answer(ticket, now: now) { proof, check, actions in
            switch (refusal, check.purpose) {
            case (.keyGone, _): proof.keyIsGone(check)
            case (.wrongKey, .open): proof.differ(check.record, hsm: check.hsm, now: now, into: &actions)
            case (.wrongKey, .trial(let asked)): proof.tried(check, asked, isOpen: false)
            case (.wrongKey, .confirm): proof.failed(check, Self.ownCanary, now, &actions)
            case (.unclear, .open): proof.isUnclear(check, reason, now, &actions)
            case (.wrongKey, .make), (.unclear, _), (.failed, _): proof.failed(check, reason, now, &actions)
            }
        }
    }

    private static let wrongAnswer = "the worker answered another question than it was asked"
    private static let ownCanary = "it cannot open what it has encrypted itself"

    /// Finds out what the answer is to. One that nobody waits for any more only makes room for another check.
    private mutating func answer(
        _ number: UInt64, now: UInt64, _ judge: (inout KeyProof, CheckTicket, inout ProofActions) -> Void
    ) -> ProofActions {
        var actions = ProofActions()
        guard let check = tickets.removeValue(forKey: number) else { return actions }
        hsms[check.hsm].outstanding -= 1
        if check.isRoutine {
            hsms[check.hsm].outstandingRoutine -= 1
            let took = now > check.issuedAt ? now - check.issuedAt : 0
            hsms[check.hsm].routineFrom = now &+ (took &* (limits.share - 1))
        }
        if records[check.record].slots[check.hsm].work == .outstanding(ticket: number) {
            records[check.record].slots[check.hsm].work = .idle
            if case .trial = check.purpose { records[check.record].trying = nil }
            judge(&self, check, &actions)
            assess(check.record, now: now, into: &actions)
        }
        issueChecks(now: now, into: &actions)
        return actions
    }

    // MARK: Verdicts

    /// The maker has opened its own canary: from now on this one is the key's.
    private mutating func adopt(_ record: Int, maker: Int, now: UInt64, into actions: inout ProofActions) {
        guard let canary = records[record].draft else { return }
        replaceCanary(record, with: canary)
        let (label, name) = (canary.label, names[maker])
        actions.news.append(.canaryMade(label: label, hsm: name))
        if canary.isTrusted {
            records[record].trusting = nil
            records[record].stage = .decided
            due.clear(timer(of: record))
            // Whatever was found out with the canary before says nothing about this one.
            for hsm in names.indices where records[record].slots[hsm].isPresent { forget(record, hsm: hsm) }
            actions.news.append(.trusted(label: label, hsm: name))
        } else {
            records[record].stage = .agreeing
            due.set(timer(of: record), at: now &+ limits.firstSight)
        }
        prove(record, hsm: maker, now: now, into: &actions)
    }

    /// From now on the key is proven by this canary. Who has opened the one before has not opened this one.
    mutating func replaceCanary(_ record: Int, with canary: Canary?) {
        records[record].canary = canary
        records[record].draft = nil
        records[record].trying = nil
        records[record].trials = []
        records[record].provers = []
        unconfirmed.remove(record)
    }

    mutating func prove(_ record: Int, hsm: Int, now: UInt64, into actions: inout ProofActions) {
        due.set(check(of: record, hsm), at: now &+ pause(upTo: limits.recheck))
        records[record].slots[hsm].failures = 0
        records[record].slots[hsm].unclear = 0
        records[record].slots[hsm].lastOpened = now
        used.remove(record * HSMSet.capacity + hsm)
        hsms[hsm].lastOpened = now
        if records[record].provers.insert(hsms[hsm].serial).inserted { store(record, into: &actions) }
        guard records[record].slots[hsm].verdict != .proven, let canary = records[record].canary else { return }
        records[record].slots[hsm].verdict = .proven
        records[record].proven.insert(hsm)
        records[record].outvoted.remove(hsm)
        actions.news.append(.proven(label: canary.label, hsm: names[hsm], maker: canary.maker))
    }

    /// Has the record's canary stored, where it decides or is disputed. What neither serves nor is disputed is not.
    mutating func store(_ record: Int, into actions: inout ProofActions) {
        switch records[record].stage {
        case .unseen, .firstSight, .making, .agreeing, .announced: return
        case .provisional, .decided, .disputed: break
        }
        guard let canary = records[record].storable else { return }
        if let earlier = actions.canaries.lastIndex(where: { $0.label == canary.label }) {
            actions.canaries[earlier] = canary
        } else {
            actions.canaries.append(canary)
        }
    }

    /// The HSM works, and the object that it was asked with is another key.
    private mutating func differ(_ record: Int, hsm: Int, now: UInt64, into actions: inout ProofActions) {
        guard let canary = records[record].canary else { return }
        let slot = records[record].slots[hsm]
        if !slot.isDifferent { recant(record, hsm: hsm) }
        if let lastOpened = slot.lastOpened {
            actions.news.append(
                .swapped(label: canary.label, hsm: names[hsm], lastOpened: lastOpened, found: now))
        }
        records[record].slots[hsm].lastOpened = nil
        records[record].slots[hsm].failures = 0
        records[record].slots[hsm].unclear = 0
        records[record].proven.remove(hsm)
        if tryAnother(record, hsm: hsm) { return }
        due.set(check(of: record, hsm), at: now &+ pause(upTo: limits.recheck))
        let verdict = KeyVerdict.different(than: canary.maker)
        let isNew = slot.verdict != verdict
        records[record].slots[hsm].verdict = verdict
        switch records[record].stage {
        // Everybody is heard first.
        case .agreeing: break
        case .announced, .provisional, .decided:
            if isContradictory(record, now: now) {
                dispute(record, hsm: hsm, now: now, into: &actions)
            } else if isNew {
                actions.news.append(.differs(label: canary.label, hsm: names[hsm], maker: canary.maker))
            }
        case .unseen, .firstSight, .making, .disputed:
            if isNew { actions.news.append(.differs(label: canary.label, hsm: names[hsm], maker: canary.maker)) }
        }
    }

    /// Of several objects of one label on a token the one that opens the canary is the key. Returns whether there is
    /// one that was not asked yet.
    @discardableResult
    mutating func tryAnother(_ record: Int, hsm: Int) -> Bool {
        let slot = records[record].slots[hsm]
        guard !slot.others.isEmpty else { return false }
        let refuted = slot.refuted + [slot.object.reference]
        guard let next = slot.others.firstIndex(where: { !refuted.contains($0.reference) }) else {
            // Next time from the first on.
            records[record].slots[hsm].refuted = []
            return false
        }
        forget(record, hsm: hsm)
        records[record].slots[hsm].others[next] = slot.object
        records[record].slots[hsm].object = slot.others[next]
        records[record].slots[hsm].refuted = refuted
        // Until one opens the canary, people are told the same as before.
        if slot.isDifferent { records[record].slots[hsm].verdict = slot.verdict }
        return true
    }

    /// While a canary is young, nobody knows whose key is the right one: an HSM that disagrees makes a dispute, unless
    /// those that have proven it outnumber those that disagree or have not said anything.
    private func isContradictory(_ record: Int, now: UInt64) -> Bool {
        guard let since = records[record].canary?.history.servingSince else {
            return records[record].stage == .announced && !isOutnumbering(record)
        }
        let age = UInt64(clamping: ran(now: now).subtractingReportingOverflow(since).partialValue)
        return age < limits.young / 1_000_000_000 && !isOutnumbering(record)
    }

    private func isOutnumbering(_ record: Int) -> Bool {
        let (provers, others) = votes(record)
        return provers > others
    }

    /// How many HSMs have opened the canary, here or at peers, and how many of this node's hold another key or have not
    /// said anything.
    private func votes(_ record: Int) -> (provers: Int, others: Int) {
        var provers = records[record].provers
        if let canary = records[record].canary {
            for claim in records[record].claims.values where claim.canary.isSame(as: canary) {
                provers.formUnion(claim.canary.history.provers)
            }
        }
        let others = names.indices.count { hsm in
            guard isThere(hsm) else { return false }
            let slot = records[record].slots[hsm]
            if slot.isDifferent { return true }
            if provers.contains(hsms[hsm].serial) || slot.isUnprovable { return false }
            return !hsms[hsm].hasTold || slot.isRemembered
        }
        return (provers.count, others)
    }

    /// All who were asked at first sight have answered, or have had their time.
    mutating func agree(_ record: Int, now: UInt64, into actions: inout ProofActions) {
        let different = names.indices.filter { records[record].slots[$0].isDifferent }
        guard let first = different.first, let canary = records[record].canary else {
            return announceOrServe(record, now: now, into: &actions)
        }
        let (provers, others) = votes(record)
        if provers > others {
            for hsm in different {
                actions.news.append(.differs(label: canary.label, hsm: names[hsm], maker: canary.maker))
            }
            return announceOrServe(record, now: now, into: &actions)
        }
        // Nothing has been encrypted yet: where the others may be the majority, one of them makes the canary.
        let isFresh = different.contains { records[record].slots[$0].canMake && !records[record].outvoted.contains($0) }
        guard others > provers, isFresh else { return dispute(record, hsm: first, now: now, into: &actions) }
        records[record].outvoted = records[record].outvoted.union(records[record].proven)
        replaceCanary(record, with: nil)
        for hsm in names.indices where records[record].slots[hsm].isPresent { forget(record, hsm: hsm) }
        records[record].stage = .making
        assess(record, now: now, into: &actions)
    }

    /// Refused everywhere on this node until an operator says which key is the right one.
    private mutating func dispute(_ record: Int, hsm: Int, now: UInt64, into actions: inout ProofActions) {
        guard let canary = records[record].canary else { return }
        refuseEverywhere(
            record, "\(names[hsm]) and \(canary.maker) hold different keys under this label", into: &actions)
        actions.news.append(.disputed(label: canary.label, hsm: names[hsm], maker: canary.maker))
        publish(record, into: &actions)
    }

    mutating func refuseEverywhere(_ record: Int, _ text: String, into actions: inout ProofActions) {
        records[record].stage = .disputed(text)
        records[record].canary?.dispute = text
        records[record].outvoted = []
        due.clear(timer(of: record))
        store(record, into: &actions)
    }

    /// Nothing was found out. Who has proven its key before keeps it.
    private mutating func failed(
        _ check: CheckTicket, _ reason: String, _ now: UInt64, _ actions: inout ProofActions
    ) {
        let (record, hsm) = (check.record, check.hsm)
        var isAboutKey = check.purpose == .open
        if case .trial = check.purpose { isAboutKey = true }
        if !isAboutKey { records[record].draft = nil }
        let failures = records[record].slots[hsm].failures + 1
        records[record].slots[hsm].failures = failures
        due.set(self.check(of: record, hsm), at: now &+ limits.retry(afterFailures: failures))
        let slot = records[record].slots[hsm]
        let isKnown = isAboutKey && (slot.verdict == .proven || slot.isDifferent)
        if !isKnown {
            records[record].slots[hsm].verdict = .failing(reason)
            records[record].proven.remove(hsm)
        }
        if failures == 1 {
            actions.news.append(.checkFailed(label: records[record].label, hsm: names[hsm], reason: reason))
        }
    }

    /// The canary was refused as a wrong key would refuse it, by a token that makes no known answer: nobody can tell
    /// whether the token or the key is at fault. Again and again, while canaries of other keys open, it is the key; where
    /// none does, four times as often is as bad as that.
    private mutating func isUnclear(
        _ check: CheckTicket, _ reason: String, _ now: UInt64, _ actions: inout ProofActions
    ) {
        let (record, hsm) = (check.record, check.hsm)
        if records[record].slots[hsm].unclear == 0 { records[record].slots[hsm].unclearSince = now }
        records[record].slots[hsm].unclear += 1
        let (count, since) = (records[record].slots[hsm].unclear, records[record].slots[hsm].unclearSince)
        let doesTokenWork = hsms[hsm].lastOpened.map { $0 > since } ?? false
        let isKey = count >= (doesTokenWork ? limits.unclear : 4 * limits.unclear)
        if isKey, records[record].slots[hsm].verdict == .proven {
            records[record].slots[hsm].verdict = .failing(reason)
            records[record].slots[hsm].failures = 0
            records[record].proven.remove(hsm)
        }
        failed(check, "it does not open the canary, and makes no known answer: \(reason)", now, &actions)
    }

    private mutating func keyIsGone(_ check: CheckTicket) {
        let (record, hsm) = (check.record, check.hsm)
        if tryAnother(record, hsm: hsm) { return }
        forget(record, hsm: hsm)
        records[record].slots[hsm].isGone = true
    }
}

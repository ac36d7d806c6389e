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
            proof.records[record].draft = Canary(
                label: proof.records[record].label, sealed: sealed, digest: digest, maker: proof.names[hsm],
                madeAt: unixSeconds, isTrusted: proof.records[record].trusting == hsm)
            proof.records[record].draftedBy = hsm
            // A canary that its own maker cannot open would be evidence against everybody else.
            proof.enqueue(record, hsm: hsm, isUrgent: true)
        }
    }

    /// A canary was opened. `digest`: SHA-256 of the block in it.
    package mutating func opened(ticket: UInt64, digest: [UInt8], now: UInt64) -> ProofActions {
        answer(ticket, now: now) { proof, check, actions in
            switch check.purpose {
            case .make: proof.failed(check, Self.wrongAnswer, now, &actions)
            case .trial: proof.tried(check, digest: digest, now: now, into: &actions)
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
            case (.keyGone, _): proof.keyIsGone(check, now, &actions)
            case (.wrongKey, .open): proof.differ(check.record, hsm: check.hsm, now: now, into: &actions)
            case (.wrongKey, .trial): proof.tried(check, digest: nil, now: now, into: &actions)
            case (.wrongKey, .confirm): proof.failed(check, Self.ownCanary, now, &actions)
            case (.wrongKey, .make), (.failed, _): proof.failed(check, reason, now, &actions)
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
        if records[check.record].slots[check.hsm].work == .outstanding(ticket: number) {
            records[check.record].slots[check.hsm].work = .idle
            let timer = timer(of: check.record)
            if let end = due[timer], end <= now {
                due.clear(timer)
                endStage(check.record, now: now, into: &actions)
            }
            judge(&self, check, &actions)
            assess(check.record, now: now, into: &actions)
        }
        issueChecks(into: &actions)
        return actions
    }

    // MARK: Verdicts

    /// The maker has opened its own canary: from now on this one is the key's.
    private mutating func adopt(_ record: Int, maker: Int, now: UInt64, into actions: inout ProofActions) {
        guard let canary = records[record].draft else { return }
        records[record].canary = canary
        records[record].draft = nil
        let (label, name) = (canary.label, names[maker])
        actions.news.append(.canaryMade(label: label, hsm: name))
        if canary.isTrusted {
            records[record].trusting = nil
            records[record].stage = .decided
            // What peers offer may fit this one.
            records[record].refused = [:]
            contested.remove(record)
            due.clear(timer(of: record))
            // Whatever was found out with the canary before says nothing about this one.
            for hsm in names.indices where records[record].slots[hsm].isPresent { forget(record, hsm: hsm) }
            actions.canaries.append(canary)
            actions.news.append(.trusted(label: label, hsm: name))
        } else {
            records[record].stage = .agreeing
            due.set(timer(of: record), at: now &+ limits.firstSight)
        }
        prove(record, hsm: maker, now: now, into: &actions)
    }

    mutating func prove(_ record: Int, hsm: Int, now: UInt64, into actions: inout ProofActions) {
        due.set(check(of: record, hsm), at: now &+ recheckPause())
        records[record].slots[hsm].failures = 0
        guard records[record].slots[hsm].verdict != .proven, let canary = records[record].canary else { return }
        records[record].slots[hsm].verdict = .proven
        records[record].proven.insert(hsm)
        actions.news.append(.proven(label: canary.label, hsm: names[hsm], maker: canary.maker))
    }

    /// The HSM works, and holds another key. While the canary is young, nobody knows whose key is the right one.
    private mutating func differ(_ record: Int, hsm: Int, now: UInt64, into actions: inout ProofActions) {
        guard let canary = records[record].canary else { return }
        due.set(check(of: record, hsm), at: now &+ recheckPause())
        let verdict = KeyVerdict.different(than: canary.maker)
        let isNew = records[record].slots[hsm].verdict != verdict
        records[record].slots[hsm].failures = 0
        records[record].slots[hsm].verdict = verdict
        records[record].proven.remove(hsm)
        recant(record, hsm: hsm)
        switch records[record].stage {
        case .agreeing, .provisional:
            let text = "\(names[hsm]) and \(canary.maker) hold different keys under this label"
            records[record].stage = .disputed(text)
            records[record].canary?.dispute = text
            // Only an operator decides from now on, not what a peer said before.
            records[record].offer = nil
            due.clear(timer(of: record))
            if let disputed = records[record].canary { actions.canaries.append(disputed) }
            actions.news.append(.disputed(label: canary.label, hsm: names[hsm], maker: canary.maker))
        case .unseen, .firstSight, .making, .decided, .disputed:
            if isNew { actions.news.append(.differs(label: canary.label, hsm: names[hsm], maker: canary.maker)) }
        }
    }

    /// Nothing was found out. Who has proven its key before keeps it.
    private mutating func failed(
        _ check: CheckTicket, _ reason: String, _ now: UInt64, _ actions: inout ProofActions
    ) {
        let (record, hsm) = (check.record, check.hsm)
        let isAboutKey = check.purpose == .open || check.purpose == .trial
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

    private mutating func keyIsGone(_ check: CheckTicket, _ now: UInt64, _ actions: inout ProofActions) {
        forget(check.record, hsm: check.hsm)
        records[check.record].slots[check.hsm].isGone = true
    }
}

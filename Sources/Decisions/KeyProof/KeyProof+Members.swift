// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// HSMs come and go while the node runs. Each has a position, which is its number for all of its life.
extension KeyProof {
    /// True while an HSM has this position.
    func isThere(_ hsm: Int) -> Bool { hsms.indices.contains(hsm) && !hsms[hsm].isVacant }

    /// An HSM has got a position, and will list its keys, or fail to come up. Keys seen for the first time wait for it.
    ///
    /// - Parameter hsm: a position that is nobody's, or the first after all that were ever taken.
    package mutating func joined(hsm: Int, name: String) {
        guard hsm >= 0, hsm <= names.count, hsm < HSMSet.capacity, !isThere(hsm) else { return }
        if hsm == names.count { grow() }
        names[hsm] = name
        hsms[hsm].isVacant = false
        hsms[hsm].serial = name
        unsettled.insert(hsm)
    }

    /// What an HSM's token is called everywhere: nodes use it between them to say which HSMs hold a key.
    ///
    /// - Parameter serial: empty where the token gives none; its name in the configuration stands for it then.
    package mutating func identified(hsm: Int, serial: String) {
        guard isThere(hsm) else { return }
        hsms[hsm].serial = serial.isEmpty || serial.utf8.count > 255 ? names[hsm] : serial
    }

    /// An HSM is gone for good: its keys are not missed.
    package mutating func removed(hsm: Int, now: UInt64) -> ProofActions {
        guard isThere(hsm) else { return ProofActions() }
        var actions = workerEnded(hsm: hsm, now: now)
        let catalogue = hsms[hsm].catalogue
        for record in records.indices where !records[record].trials.isEmpty { discardTrials(record, hsm: hsm) }
        names[hsm] = ""
        // The count of catalogues goes on: slots remember by it which of them they were in.
        hsms[hsm] = ProofHSM(isVacant: true, round: hsms[hsm].round)
        for record in catalogue {
            records[record].slots[hsm] = KeySlot()
            records[record].outvoted.remove(hsm)
            due.clear(check(of: record, hsm))
            assess(record, now: now, into: &actions)
            dropIfEmpty(record)
        }
        settle(hsm, now: now, into: &actions)
        issueChecks(now: now, into: &actions)
        return actions
    }

    /// True while it is still to be found out which of the keys that an HSM lists it may serve.
    package func isUndecided(hsm: Int) -> Bool {
        guard isThere(hsm) else { return false }
        return hsms[hsm].catalogue.contains { records[$0].slots[hsm].isUndecided && !records[$0].isStuck }
    }

    /// True while it is to be found out whether anybody may serve one of the keys that an HSM lists.
    package func hasPending(hsm: Int) -> Bool {
        guard isThere(hsm) else { return false }
        return hsms[hsm].catalogue.contains { standing(of: records[$0].label) == .pending }
    }

    /// One position more. The numbers of what is due depend on how many there are.
    private mutating func grow() {
        let (before, after) = (names.count + 1, names.count + 2)
        names.append("")
        hsms.append(ProofHSM(isVacant: true))
        for record in records.indices { records[record].slots.append(KeySlot()) }
        due.renumber { thing in
            let (record, position) = thing.quotientAndRemainder(dividingBy: before)
            return record * after + (position == before - 1 ? after - 1 : position)
        }
    }
}

extension KeyRecord {
    /// Nothing more is found out about it until a person has said something.
    fileprivate var isStuck: Bool {
        if case .disputed = stage, trusting == nil { true } else { false }
    }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// What the key proof is asked.
extension KeyProof {
    /// HSMs that may serve the key. On the way of every request.
    package func holders(of label: KeyLabel) -> HSMSet {
        guard let record = places[label] else { return [] }
        return records[record].served
    }

    /// HSMs that may be given an operation: those that have proven the key and whose copy allows it; where none has
    /// proven it, those that need not. On the way of every request.
    package func servers(of label: KeyLabel, for operation: LaneOperation) -> HSMSet {
        guard let place = places[label] else { return [] }
        let proven = operation == .encrypt ? records[place].encrypting : records[place].served
        return proven.isEmpty ? withoutProof(place, for: operation) : proven
    }

    /// The worker's number of the key on an HSM; `nil` where it lists none.
    package func reference(of label: KeyLabel, hsm: Int) -> UInt32? {
        guard let place = places[label], names.indices.contains(hsm), records[place].slots[hsm].isPresent else {
            return nil
        }
        return records[place].slots[hsm].object.reference
    }

    /// HSMs that list the label, and hold another key under it than the canary's. What nobody else opens may be theirs.
    package func different(_ label: KeyLabel) -> HSMSet {
        guard let place = places[label] else { return [] }
        var result = HSMSet()
        for hsm in names.indices where records[place].slots[hsm].isPresent && records[place].slots[hsm].isDifferent {
            result.insert(hsm)
        }
        return result
    }

    /// HSMs that may be given an operation without proof, because the key's attributes allow none anywhere. KMS never
    /// uses such a key (it demands both usages when a key is created), but what was once made with a key that may now
    /// only open must still be opened.
    ///
    /// To decrypt with a wrong key yields nothing, so that is always allowed. To encrypt is allowed where no canary
    /// was ever made and no HSM's copy may both encrypt and decrypt: where there is anything to prove, it must be
    /// proven.
    package func withoutProof(of label: KeyLabel, for operation: LaneOperation) -> HSMSet {
        places[label].map { withoutProof($0, for: operation) } ?? []
    }

    func withoutProof(_ place: Int, for operation: LaneOperation) -> HSMSet {
        let record = records[place]
        let needed: KeyUsage
        switch operation {
        case .decrypt: needed = .decrypt
        case .encrypt:
            guard record.canary == nil, record.draft == nil,
                !record.slots.contains(where: {
                    $0.isRemembered && $0.object.usage.isSuperset(of: [.encrypt, .decrypt])
                })
            else { return [] }
            needed = .encrypt
        case .openSession, .closeSession, .knownAnswer: return []
        }
        var result = HSMSet()
        for hsm in names.indices {
            let slot = record.slots[hsm]
            if slot.isPresent, slot.isUnprovable, slot.others.isEmpty, slot.object.usage.contains(needed) {
                result.insert(hsm)
            }
        }
        return result
    }

    /// HSMs that list the key, do not serve it, and may turn out to hold it by a check under way or about to be.
    package func hopeful(of label: KeyLabel) -> HSMSet {
        guard let record = places[label] else { return [] }
        return hopeful(records[record])
    }

    /// Those, and HSMs that listed the key before their worker ended: worth waiting for while one is on its way back.
    package func mayProve(_ label: KeyLabel) -> HSMSet {
        guard let record = places[label] else { return [] }
        if case .disputed = records[record].stage, records[record].trusting == nil { return [] }
        var result = hopeful(records[record])
        for hsm in names.indices {
            let slot = records[record].slots[hsm]
            if slot.isRemembered, !slot.isListed { result.insert(hsm) }
        }
        return result
    }

    func hopeful(_ record: KeyRecord) -> HSMSet {
        if case .disputed = record.stage, record.trusting == nil { return [] }
        var result = HSMSet()
        for hsm in names.indices where record.slots[hsm].isPresent && !record.served.contains(hsm) {
            switch record.slots[hsm].verdict {
            case .unproven, .proven: result.insert(hsm)
            case .failing: if record.slots[hsm].work != .idle { result.insert(hsm) }
            case .different, .unprovable: continue
            }
        }
        return result
    }

    package func standing(of label: KeyLabel) -> KeyStanding {
        guard let place = places[label], records[place].isListed else { return .unlisted }
        // On the way of every request: so far nothing is copied.
        guard records[place].served.isEmpty else { return .served }
        let record = records[place]
        if case .disputed(let text) = record.stage { return .disputed(text) }
        if record.trusting != nil || !hopeful(record).isEmpty { return .pending }
        let present = names.indices.filter { record.slots[$0].isPresent }
        if let hsm = present.first(where: { record.slots[$0].isAmbiguous }) {
            return .ambiguous(
                "\(names[hsm]) has \(record.slots[hsm].others.count + 1) keys of this label, and "
                    + (record.canary == nil ? "no canary tells which one is meant" : "not one opens the key's canary"))
        }
        for hsm in present {
            switch record.slots[hsm].verdict {
            case .failing(let reason): return .failing("\(names[hsm]): \(reason)")
            case .different, .unprovable, .unproven, .proven: continue
            }
        }
        for hsm in present {
            switch record.slots[hsm].verdict {
            case .different(let maker):
                return .excluded("\(names[hsm]) holds another key under this label than \(maker)")
            case .unprovable(let reason): return .excluded("\(names[hsm]): \(reason)")
            case .failing, .unproven, .proven: continue
            }
        }
        return .pending
    }

    /// Labels that none of these HSMs may be given an operation for, the first ones in order. Those that no HSM may be
    /// given any for, because their own attributes forbid it, are nothing that another node could make good.
    package func unserved(by usable: HSMSet, limit: Int = .max) -> [KeyLabel] {
        let unserved = places.filter { _, record in
            if records[record].isOfNoUse { return false }
            if records[record].served.contains(where: usable.contains) { return false }
            return withoutProof(record, for: .decrypt).union(withoutProof(record, for: .encrypt))
                .intersection(usable).isEmpty
        }
        return Array(unserved.keys.sorted().prefix(max(limit, 0)))
    }

    /// The canary that decides, or that a dispute is about.
    package func canary(of label: KeyLabel) -> Canary? { places[label].flatMap { records[$0].canary } }

    /// How many keys an HSM lists, counting a label once.
    package func keyCount(hsm: Int) -> Int { hsms.indices.contains(hsm) ? hsms[hsm].catalogue.count : 0 }

    /// Labels of the keys that an HSM lists, sorted.
    package func labels(hsm: Int) -> [KeyLabel] {
        hsms.indices.contains(hsm) ? hsms[hsm].catalogue.map { records[$0].label }.sorted() : []
    }

    /// What the key's attributes on this HSM allow; nothing where it lists no such key.
    package func usage(of label: KeyLabel, hsm: Int) -> KeyUsage {
        guard let place = places[label], names.indices.contains(hsm), records[place].slots[hsm].isRemembered else {
            return []
        }
        return records[place].slots[hsm].object.usage
    }

    /// Every key that is listed, or has a canary, sorted by label.
    package func matrix() -> [KeyProofRow] {
        places.values.map { records[$0] }.sorted { $0.label < $1.label }.map { record in
            var dispute: String?
            if case .disputed(let text) = record.stage { dispute = text }
            return KeyProofRow(
                label: record.label, canaryMaker: record.canary?.maker, dispute: dispute,
                complaints: complaints(record),
                verdicts: record.slots.map { $0.isRemembered ? $0.verdict : nil })
        }
    }

    private func complaints(_ record: KeyRecord) -> [String] {
        var complaints: [String] = []
        for hsm in names.indices where record.slots[hsm].isPresent {
            let slot = record.slots[hsm]
            if !slot.others.isEmpty {
                complaints.append("\(names[hsm]) has \(slot.others.count + 1) keys of this label")
            }
            // Where it is so everywhere, that is how the key is meant.
            if !slot.object.usage.contains(.encrypt), !record.encrypting.isEmpty {
                complaints.append("\(names[hsm]) may not encrypt with it (CKA_ENCRYPT is false)")
            }
        }
        return complaints
    }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// Decides which HSM may serve which key. A label is not an identity: an HSM serves a key only after it has opened the
/// key's canary, a block that was encrypted once under it.
///
/// Events go in, `ProofActions` come out. No clock, no I/O, no lock: time is an argument (nanoseconds of any monotonic
/// clock), and so is the seed that spreads the checks. The driver computes the digests, makes the checks, and feeds
/// their answers back with their tickets. docs/internals/key-proof.md has the rules and the reasons.
package struct KeyProof: Sendable {
    /// One for each place that was ever taken; empty where it is nobody's.
    var names: [String] = []
    let limits: ProofLimits
    var records: [KeyRecord] = []
    /// Places in `records` that are free.
    var vacant: [Int] = []
    var places: [KeyLabel: Int] = [:]
    var hsms: [ProofHSM] = []
    var tickets: [UInt64: CheckTicket] = [:]
    var due = KeyProofDueQueue()
    /// HSMs that have neither told their keys nor failed to come up.
    var unsettled: HSMSet = []
    /// Records whose key a peer proves by a canary that no HSM here opens.
    var contested: Set<Int> = []
    /// Grows whenever what is shared with peers changes.
    package internal(set) var sharedVersion: UInt64 = 0
    private var lastTicket: UInt64 = 0
    private var lastStamp: UInt64 = 0
    private var random: RandomChoice

    /// - Parameters:
    ///   - hsms: the names of those to begin with, by place (`HSMSet.capacity` at most).
    ///   - canaries: what was stored, one for each label.
    ///   - unixSeconds: the time of day, to tell how old the canaries are.
    ///   - seed: of the random numbers that spread the checks.
    package init(
        hsms names: [String], canaries: [Canary], limits: ProofLimits = ProofLimits(), now: UInt64, unixSeconds: Int64,
        seed: UInt64
    ) {
        self.limits = limits
        random = RandomChoice(seed: seed)
        for (hsm, name) in names.enumerated() { joined(hsm: hsm, name: name) }
        for canary in canaries {
            let record = place(for: canary.label)
            if let other = records[record].canary, other.madeAt > canary.madeAt { continue }
            records[record].canary = canary
            restoreStage(record, now: now, unixSeconds: unixSeconds)
        }
    }

    private mutating func restoreStage(_ record: Int, now: UInt64, unixSeconds: Int64) {
        guard let canary = records[record].canary else { return }
        due.clear(timer(of: record))
        let age = UInt64(clamping: unixSeconds.subtractingReportingOverflow(canary.madeAt).partialValue)
        let (nanoseconds, overflow) = age.multipliedReportingOverflow(by: 1_000_000_000)
        if let dispute = canary.dispute {
            records[record].stage = .disputed(dispute)
        } else if canary.isTrusted || overflow || nanoseconds >= limits.provisional {
            records[record].stage = .decided
        } else {
            // A canary from the future is as good as new: the clock was set back, and who was late is not known.
            records[record].stage = .provisional
            due.set(timer(of: record), at: now &+ (limits.provisional - nanoseconds))
        }
    }

    // MARK: Questions

    /// HSMs that may serve the key. On the way of every request.
    package func holders(of label: KeyLabel) -> HSMSet {
        guard let record = places[label] else { return [] }
        return records[record].served
    }

    /// HSMs that may be given an operation without proof, because the key's attributes allow none anywhere. KMS never
    /// uses such a key (it demands both usages when a key is created), but what was once made with a key that may now
    /// only open must still be opened.
    ///
    /// To decrypt with a wrong key yields nothing, so that is always allowed. To encrypt is allowed where no canary
    /// was ever made and no HSM's copy may both encrypt and decrypt: where there is anything to prove, it must be
    /// proven.
    package func withoutProof(of label: KeyLabel, for operation: LaneOperation) -> HSMSet {
        guard let place = places[label] else { return [] }
        let record = records[place]
        let needed: KeyUsage
        switch operation {
        case .decrypt: needed = .decrypt
        case .encrypt:
            guard record.canary == nil, record.draft == nil,
                !record.slots.contains(where: { $0.isRemembered && $0.usage.isSuperset(of: [.encrypt, .decrypt]) })
            else { return [] }
            needed = .encrypt
        case .openSession, .closeSession: return []
        }
        var result = HSMSet()
        for hsm in names.indices {
            let slot = record.slots[hsm]
            if slot.isPresent, slot.isUnprovable, slot.usage.contains(needed) { result.insert(hsm) }
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

    package func standing(of label: KeyLabel) -> KeyStanding {
        guard let place = places[label], records[place].isListed else { return .unlisted }
        // On the way of every request: so far nothing is copied.
        guard records[place].served.isEmpty else { return .served }
        let record = records[place]
        if case .disputed(let text) = record.stage { return .disputed(text) }
        if record.trusting != nil || !hopeful(record).isEmpty { return .pending }
        for hsm in names.indices where record.slots[hsm].isPresent {
            switch record.slots[hsm].verdict {
            case .different(let maker):
                return .excluded("\(names[hsm]) holds another key under this label than \(maker)")
            case .unprovable(let reason), .failing(let reason): return .excluded("\(names[hsm]): \(reason)")
            case .unproven, .proven: continue
            }
        }
        return .pending
    }

    /// Labels that none of these HSMs may be given an operation for, the first ones in order. Those that no HSM may be
    /// given any for, because their own attributes forbid it, are nothing that another node could make good.
    package func unserved(by usable: HSMSet, limit: Int) -> [KeyLabel] {
        let unserved = places.filter { label, record in
            if records[record].isOfNoUse { return false }
            if records[record].served.contains(where: usable.contains) { return false }
            return withoutProof(of: label, for: .decrypt).union(withoutProof(of: label, for: .encrypt))
                .intersection(usable).isEmpty
        }
        return Array(unserved.keys.sorted().prefix(max(limit, 0)))
    }

    /// The canary that decides, or that a dispute is about.
    package func canary(of label: KeyLabel) -> Canary? { places[label].flatMap { records[$0].canary } }

    /// When `tick` has something to do.
    package var nextDue: UInt64? { due.next }

    /// Every key that is listed, or has a canary, sorted by label.
    package func matrix() -> [KeyProofRow] {
        places.values.map { records[$0] }.sorted { $0.label < $1.label }.map { record in
            var dispute: String?
            if case .disputed(let text) = record.stage { dispute = text }
            return KeyProofRow(
                label: record.label, canaryMaker: record.canary?.maker, dispute: dispute,
                verdicts: record.slots.map { $0.isRemembered ? $0.verdict : nil })
        }
    }

    private func hopeful(_ record: KeyRecord) -> HSMSet {
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

    // MARK: Numbers

    /// The thing in `due` that stands for a slot's next check.
    func check(of record: Int, _ hsm: Int) -> Int { record * (names.count + 1) + hsm }

    /// The thing in `due` that stands for the end of a record's stage.
    func timer(of record: Int) -> Int { record * (names.count + 1) + names.count }

    mutating func newTicket() -> UInt64 {
        lastTicket &+= 1
        return lastTicket
    }

    mutating func newStamp() -> UInt64 {
        lastStamp &+= 1
        return lastStamp
    }

    /// Pause until a key is checked again: half of the limit and a random part of the other half.
    mutating func recheckPause() -> UInt64 {
        let half = limits.recheck / 2
        return half + random.next() % max(half, 1)
    }

    // MARK: Records

    /// The record of a label; a new one if there is none.
    mutating func place(for label: KeyLabel) -> Int {
        if let record = places[label] { return record }
        let fresh = KeyRecord(label: label, hsms: names.count)
        let record: Int
        if let old = vacant.popLast() {
            record = old
            records[record] = fresh
        } else {
            record = records.count
            records.append(fresh)
        }
        places[label] = record
        return record
    }

    /// Forgets a label that no HSM names and that has no canary. One with a canary stays: it is proof for later.
    mutating func dropIfEmpty(_ record: Int) {
        guard records[record].canary == nil, !records[record].isRemembered else { return }
        for hsm in names.indices { due.clear(check(of: record, hsm)) }
        due.clear(timer(of: record))
        contested.remove(record)
        places[records[record].label] = nil
        records[record] = KeyRecord(label: "", hsms: names.count)
        vacant.append(record)
    }
}

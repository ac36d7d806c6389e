// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import StatusVocabulary

/// Decides which HSM may serve which key. A label is not an identity: an HSM serves a key only after it has opened the
/// key's canary, a block that was encrypted once under it.
///
/// Events go in, `ProofActions` come out. No clock, no I/O, no lock: time is an argument (nanoseconds of any monotonic
/// clock), and so is the seed that spreads the checks. The driver computes the digests, makes the checks, and feeds
/// their answers back with their tickets. docs/internals/key-proof.md has the rules and the reasons.
///
/// This file is the machine: events, questions, and what answers to checks mean. `KeyProofRecords` has what is known of a
/// key, `KeyProof+Decisions` which canary decides and what follows, `KeyProof+Sharing` what nodes send each other,
/// `KeyProof+Contests` what follows where they differ, `KeyDecision` whether a key may be used.
package struct KeyProof: Sendable {
    /// One for each position that was ever taken; empty where it is nobody's.
    var names: [String] = []
    let limits: ProofLimits
    var records: [KeyRecord] = []
    /// Positions in `records` that are free.
    var vacant: [Int] = []
    var positions: [KeyLabel: Int] = [:]
    var hsms: [ProofHSM] = []
    var tickets: [UInt64: CheckTicket] = [:]
    var due = KeyProofDueQueue()
    /// HSMs that have neither listed their keys nor failed to come up.
    var unsettled: HSMSet = []
    var cluster = ProofCluster()
    /// Since when no other node has been live, nanoseconds.
    var aloneSince: UInt64
    /// Keys that requests have used since their last check, as `record * HSMSet.capacity + hsm`. Beside the records, so
    /// that a request that marks one copies none of them while somebody looks at all.
    var used: Set<Int> = []
    /// Records about which nodes hold different keys.
    var contested: Set<Int> = []
    /// Records that no other node could be asked about yet.
    var unconfirmed: Set<Int> = []
    /// Exchanges of canaries that were begun, by the peer's name.
    var exchanges: [String: UInt64] = [:]
    /// Orders to forget, by label. They outlive the canaries that they name.
    var forgets: [KeyLabel: [ForgetOrder]] = [:]
    /// Grows whenever what is sent to peers changes.
    package internal(set) var sharedVersion: UInt64 = 1
    /// How long the node had run before `startedAt`, seconds.
    private let ranBefore: Int64
    private let startedAt: UInt64
    private var lastTicket: UInt64 = 0
    private var lastStamp: UInt64 = 0
    private var random: RandomChoice

    /// - Parameters:
    ///   - hsms: the names of those to begin with, by position (`HSMSet.capacity` at most).
    ///   - canaries: what was stored, one for each label.
    ///   - forgets: orders that were stored.
    ///   - ran: how long the node has run in its earlier lives, seconds.
    ///   - unixSeconds: the time of day, for the age of canaries that do not say it.
    ///   - seed: of the random numbers that spread the checks.
    package init(
        hsms names: [String], canaries: [Canary], forgets orders: [ForgetOrder] = [],
        limits: ProofLimits = ProofLimits(), now: UInt64, ran: Int64 = 0, unixSeconds: Int64, seed: UInt64
    ) {
        self.limits = limits
        random = RandomChoice(seed: seed)
        (startedAt, ranBefore, aloneSince) = (now, max(ran, 0), now)
        for (hsm, name) in names.enumerated() { joined(hsm: hsm, name: name) }
        for order in orders { remember(order) }
        for canary in canaries where !isForgotten(canary) {
            let record = position(for: canary.label)
            if let other = records[record].canary, other.madeAt > canary.madeAt { continue }
            records[record].canary = canary
            records[record].provers = Set(canary.history.provers)
            restoreStage(record, now: now, unixSeconds: unixSeconds)
        }
    }

    private mutating func restoreStage(_ record: Int, now: UInt64, unixSeconds: Int64) {
        guard let canary = records[record].canary else { return }
        due.clear(timer(of: record))
        if canary.history.isUnconfirmed || canary.history.wasContested { unconfirmed.insert(record) }
        let age = UInt64(clamping: unixSeconds.subtractingReportingOverflow(canary.madeAt).partialValue)
        let (nanoseconds, overflow) = age.multipliedReportingOverflow(by: 1_000_000_000)
        if let dispute = canary.dispute {
            records[record].stage = .disputed(dispute)
        } else if canary.isTrusted || overflow || nanoseconds >= limits.provisional {
            records[record].stage = .decided
        } else {
            // A canary from the future is as good as new: the clock was set back, and who was late is not known.
            records[record].stage = .provisional
            if canary.history.servingSince == nil { records[record].canary?.history.servingSince = ranBefore }
            due.set(timer(of: record), at: now &+ (limits.provisional - nanoseconds))
        }
        announce(record)
    }

    // MARK: Numbers

    /// How long the node has run in all its lives, seconds. To be stored now and then, and given to `init`.
    package func ran(now: UInt64) -> Int64 {
        ranBefore &+ Int64(clamping: (now > startedAt ? now - startedAt : 0) / 1_000_000_000)
    }

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
    mutating func pause(upTo limit: UInt64) -> UInt64 {
        let half = limit / 2
        return half + random.next() % max(half, 1)
    }

    // MARK: Records

    /// The record of a label; a new one if there is none.
    mutating func position(for label: KeyLabel) -> Int {
        if let record = positions[label] { return record }
        let fresh = KeyRecord(label: label, hsms: names.count)
        let record: Int
        if let old = vacant.popLast() {
            record = old
            records[record] = fresh
        } else {
            record = records.count
            records.append(fresh)
        }
        positions[label] = record
        return record
    }

    /// Forgets a label that no HSM names and that has no canary. One with a canary stays: it is proof for later.
    mutating func dropIfEmpty(_ record: Int) {
        guard records[record].canary == nil, !records[record].isRemembered, records[record].claims.isEmpty else {
            return
        }
        for hsm in names.indices { due.clear(check(of: record, hsm)) }
        due.clear(timer(of: record))
        contested.remove(record)
        unconfirmed.remove(record)
        positions[records[record].label] = nil
        records[record] = KeyRecord(label: "", hsms: names.count)
        vacant.append(record)
    }

    /// Counts a change of what peers are sent of a record.
    mutating func announce(_ record: Int) {
        let now = records[record].shareable
        guard records[record].announced != now else { return }
        sharedVersion &+= 1
        let isOther =
            if let now, let before = records[record].announced { !now.isSame(as: before) } else { true }
        if isOther { records[record].announcedSince = sharedVersion }
        records[record].announced = now
    }
}

// MARK: - What happens to HSMs and their catalogues, and to time

extension KeyProof {
    /// An HSM has listed its keys. Several entries of one label are several objects of which one may be the key.
    ///
    /// - Parameter extent: whether these are all. What a part does not name has not vanished; and as long as a token is
    ///   being read, keys that are seen for the first time wait for it.
    package mutating func listed(
        hsm: Int, entries: [CatalogueEntry], extent: KeyListing.Extent = .whole, now: UInt64
    ) -> ProofActions {
        var actions = ProofActions()
        guard isThere(hsm) else { return actions }
        hsms[hsm].round &+= 1
        if extent != .growing { hsms[hsm].hasListed = true }
        let round = hsms[hsm].round
        let before = hsms[hsm].catalogue
        hsms[hsm].catalogue.removeAll(keepingCapacity: true)
        var further: [Int: [KeyObject]] = [:]
        var firsts: [(record: Int, object: KeyObject)] = []
        firsts.reserveCapacity(entries.count)
        for entry in entries {
            let record = position(for: entry.label)
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
        discardTrials(record, hsm: hsm)
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
        discardTrials(record, hsm: hsm)
        records[record].slots[hsm].isListed = false
        records[record].slots[hsm].isRemembered = false
        if isAlarm { actions.news.append(.vanished(label: records[record].label, hsm: names[hsm])) }
        assess(record, now: now, into: &actions)
        dropIfEmpty(record)
    }

    /// An HSM's worker has ended. Nothing is known about its keys until the next one lists them; what it was asked will
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
            discardTrials(record, hsm: hsm)
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
            let (record, position) = thing.quotientAndRemainder(dividingBy: names.count + 1)
            if position == names.count {
                endStage(record, now: now, into: &actions)
            } else {
                checkAgain(record, hsm: position, now: now, into: &actions)
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
        guard let record = positions[label] else { return }
        for hsm in names.indices {
            if case .queued(_, .ordinary) = records[record].slots[hsm].work { enqueue(record, hsm: hsm, .urgent) }
        }
    }

    /// An HSM has done something with the key for a request: the canary is opened again before long.
    package mutating func used(_ label: KeyLabel, hsm: Int) {
        guard let record = positions[label], names.indices.contains(hsm),
            used.insert(record * HSMSet.capacity + hsm).inserted
        else { return }
        let thing = check(of: record, hsm)
        guard let last = records[record].slots[hsm].lastOpened, let next = due[thing] else { return }
        due.set(thing, at: min(next, last &+ pause(upTo: limits.usedRecheck)))
    }
}

// MARK: - What the key proof is asked

extension KeyProof {
    /// HSMs that may serve the key. On the way of every request.
    package func holders(of label: KeyLabel) -> HSMSet {
        guard let record = positions[label] else { return [] }
        return records[record].served
    }

    /// HSMs that may be given an operation: those that have proven the key and whose copy allows it; where none has
    /// proven it, those that need not. On the way of every request.
    package func servers(of label: KeyLabel, for operation: LaneOperation) -> HSMSet {
        guard let position = positions[label] else { return [] }
        let proven = operation == .encrypt ? records[position].encrypting : records[position].served
        return proven.isEmpty ? withoutProof(position, for: operation) : proven
    }

    /// The worker's number of the key on an HSM; `nil` where it lists none.
    package func reference(of label: KeyLabel, hsm: Int) -> UInt32? {
        guard let position = positions[label], names.indices.contains(hsm), records[position].slots[hsm].isPresent
        else {
            return nil
        }
        return records[position].slots[hsm].object.reference
    }

    /// HSMs that list the label, and hold another key under it than the canary's. What nobody else opens may be theirs.
    package func different(_ label: KeyLabel) -> HSMSet {
        guard let position = positions[label] else { return [] }
        var result = HSMSet()
        for hsm in names.indices
        where records[position].slots[hsm].isPresent && records[position].slots[hsm].isDifferent {
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
        positions[label].map { withoutProof($0, for: operation) } ?? []
    }

    func withoutProof(_ position: Int, for operation: LaneOperation) -> HSMSet {
        let record = records[position]
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
        guard let record = positions[label] else { return [] }
        return hopeful(records[record])
    }

    /// Those, and HSMs that listed the key before their worker ended: worth waiting for while one is on its way back.
    package func mayProve(_ label: KeyLabel) -> HSMSet {
        guard let record = positions[label] else { return [] }
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
        guard let position = positions[label], records[position].isListed else { return .unlisted }
        // On the way of every request: so far nothing is copied.
        guard records[position].served.isEmpty else { return .served }
        let record = records[position]
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
        let unserved = positions.filter { _, record in
            if records[record].isOfNoUse { return false }
            if records[record].served.contains(where: usable.contains) { return false }
            return withoutProof(record, for: .decrypt).union(withoutProof(record, for: .encrypt))
                .intersection(usable).isEmpty
        }
        return Array(unserved.keys.sorted().prefix(max(limit, 0)))
    }

    /// The canary that decides, or that a dispute is about.
    package func canary(of label: KeyLabel) -> Canary? { positions[label].flatMap { records[$0].canary } }

    /// How many keys an HSM lists, counting a label once.
    package func keyCount(hsm: Int) -> Int { hsms.indices.contains(hsm) ? hsms[hsm].catalogue.count : 0 }

    /// Labels of the keys that an HSM lists, sorted.
    package func labels(hsm: Int) -> [KeyLabel] {
        hsms.indices.contains(hsm) ? hsms[hsm].catalogue.map { records[$0].label }.sorted() : []
    }

    /// What the key's attributes on this HSM allow; nothing where it lists no such key.
    package func usage(of label: KeyLabel, hsm: Int) -> KeyUsage {
        guard let position = positions[label], names.indices.contains(hsm), records[position].slots[hsm].isRemembered
        else {
            return []
        }
        return records[position].slots[hsm].object.usage
    }

    /// Every key that is listed, or has a canary, sorted by label.
    package func matrix() -> [KeyProofRow] {
        positions.values.map { records[$0] }.sorted { $0.label < $1.label }.map { record in
            var dispute: String?
            if case .disputed(let text) = record.stage { dispute = text }
            return KeyProofRow(
                label: record.label, canaryMaker: record.canary?.maker, dispute: dispute,
                complaints: complaints(record), isOfNoUse: record.isOfNoUse,
                verdicts: record.slots.map { $0.isRemembered ? $0.verdict : nil })
        }
    }

    /// Whether an HSM has listed its keys since it came: before, what it holds is not known.
    package func hasListed(hsm: Int) -> Bool { hsms.indices.contains(hsm) && hsms[hsm].hasListed }

    private func complaints(_ record: KeyRecord) -> [String] {
        var complaints: [String] = []
        // Where it is so everywhere, that is how the key is meant.
        let mayOpen = record.slots.contains { $0.canOpen }
        for hsm in names.indices where record.slots[hsm].isPresent {
            let slot = record.slots[hsm]
            if !slot.others.isEmpty {
                complaints.append("\(names[hsm]) has \(slot.others.count + 1) keys of this label")
            }
            if slot.object.usage.isDisjoint(with: [.encrypt, .decrypt]) {
                guard !record.isOfNoUse else { continue }
                complaints.append(
                    "\(names[hsm]) may neither encrypt nor decrypt with it (CKA_ENCRYPT and CKA_DECRYPT are false)")
            } else if !slot.object.usage.contains(.encrypt), !record.encrypting.isEmpty {
                complaints.append("\(names[hsm]) may not encrypt with it (CKA_ENCRYPT is false)")
            } else if !slot.object.usage.contains(.decrypt), mayOpen {
                complaints.append(
                    "\(names[hsm]) may not decrypt with it, and so cannot prove it (CKA_DECRYPT is false)")
            }
        }
        return complaints
    }
}

// MARK: - What an HSM's answer to a check means

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

    /// From now on the key is proven by this canary. An HSM that has opened the one before has not opened this one.
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
        if !slot.isDifferent { discardTrials(record, hsm: hsm) }
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
        // Everybody speaks first.
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
        // Until one opens the canary, people are shown the same as before.
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
            return !hsms[hsm].hasListed || slot.isRemembered
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

    /// Nothing was found out. An HSM that has proven its key before keeps it.
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

    /// The canary was refused as a wrong key would refuse it, by a token that makes no known answer: nobody knows
    /// whether the token or the key is at fault. Again and again, while canaries of other keys open, it is the key;
    /// where none does, four times as often is as bad as that.
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

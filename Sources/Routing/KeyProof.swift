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
    /// Grows whenever what is told to peers changes.
    package internal(set) var sharedVersion: UInt64 = 1
    /// How long the node had run before `startedAt`, seconds.
    private let ranBefore: Int64
    private let startedAt: UInt64
    private var lastTicket: UInt64 = 0
    private var lastStamp: UInt64 = 0
    private var random: RandomChoice

    /// - Parameters:
    ///   - hsms: the names of those to begin with, by place (`HSMSet.capacity` at most).
    ///   - canaries: what was stored, one for each label.
    ///   - forgets: orders that were stored.
    ///   - ran: how long the node has run in its earlier lives, seconds.
    ///   - unixSeconds: the time of day, to tell how old canaries are that do not say it.
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
            let record = place(for: canary.label)
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
        guard records[record].canary == nil, !records[record].isRemembered, records[record].claims.isEmpty else {
            return
        }
        for hsm in names.indices { due.clear(check(of: record, hsm)) }
        due.clear(timer(of: record))
        contested.remove(record)
        unconfirmed.remove(record)
        places[records[record].label] = nil
        records[record] = KeyRecord(label: "", hsms: names.count)
        vacant.append(record)
    }

    /// Counts a change of what peers are told of a record.
    mutating func announce(_ record: Int) {
        let now = records[record].shareable
        guard records[record].told != now else { return }
        sharedVersion &+= 1
        let isOther =
            if let now, let before = records[record].told { !now.isSame(as: before) } else { true }
        if isOther { records[record].toldSince = sharedVersion }
        records[record].told = now
    }
}

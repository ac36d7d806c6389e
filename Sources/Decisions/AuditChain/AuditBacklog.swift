// SPDX-License-Identifier: Apache-2.0

/// What is done where records cannot be written.
package enum FullDiskRule: String, Sendable, CaseIterable {
    /// Requests are answered; what could not be written is told by a gap record.
    case `continue`
    /// Requests are answered with an error until records can be written again.
    case refuse
}

/// What becomes of an answer that waited for its record.
package enum AuditVerdict: Sendable, Equatable {
    /// It may leave: its record is with the kernel, or the rule is to go on without.
    case answer
    /// It may not: there is no record of it.
    case refuse
}

/// For how long records were not written before their answers left, and what that has cost.
package struct AuditGap: Sendable, Equatable {
    /// CLOCK_MONOTONIC, nanoseconds.
    package var from: UInt64
    /// Why, in words.
    package var cause: String
    package var late: UInt64 = 0
    package var lost: UInt64 = 0
    package var refused: UInt64 = 0
    /// Records, by number, whose requests were refused after they had been given their places.
    package var unanswered: ClosedRange<UInt64>?

    package init(from: UInt64, cause: String) {
        self.from = from
        self.cause = cause
    }
}

/// Records on their way to the disk, and the answers that wait for them.
///
/// It can be: **well** (no `gap`): answers wait for their records. It goes to **troubled** when a write fails, when the
/// oldest answer has waited for `patience`, or when there is no room for more; what waits is decided by the rule at once.
/// Troubled: answers do not wait; with `continue` records are kept as long as there is room. It goes back to well with
/// `recovered`, when the writer has written all that was kept.
///
/// Pure: `Ticket` is what is handed back with the verdict. Times are CLOCK_MONOTONIC, nanoseconds.
package struct AuditBacklog<Ticket> {
    package struct Settings: Sendable, Equatable {
        package var rule: FullDiskRule
        /// How long an answer waits for its record.
        package var patience: UInt64
        /// How much may wait, bytes.
        package var capacity: Int

        package init(rule: FullDiskRule, patience: UInt64, capacity: Int) {
            self.rule = rule
            self.patience = patience
            self.capacity = capacity
        }
    }

    private struct Entry {
        var record: RecordText
        /// `nil` once it has been answered.
        var ticket: Ticket?
        var since: UInt64
        /// Of what is done all the same: it is never refused.
        var mustStand: Bool
    }

    /// A record that the writer has taken, by its place in the chain.
    private struct Taken {
        var ticket: Ticket?
        var since: UInt64
        var mustStand: Bool
        var seq: UInt64
    }

    /// An answer that may leave, or may not.
    package typealias Released = (ticket: Ticket, verdict: AuditVerdict)

    package let settings: Settings
    /// What was not written in time since it has been troubled; `nil` while it is well.
    package private(set) var gap: AuditGap?
    /// Of gaps that are over, in all.
    package private(set) var past = (gaps: UInt64(0), late: UInt64(0), lost: UInt64(0), refused: UInt64(0))
    /// Why what is written cannot be brought to the disk itself; `nil` while it can.
    package private(set) var syncTrouble: String?
    private var waiting: [Entry] = []
    private var waitingBytes = 0
    private var taken: [Taken] = []
    private var takenDone = 0
    private var takenBytes = 0
    private var lastTick: UInt64?
    /// Before this nothing has waited: the whole process stood still.
    private var graceFrom: UInt64 = 0

    package init(_ settings: Settings) { self.settings = settings }

    /// Whether requests are refused for want of records.
    package var isRefusing: Bool { settings.rule == .refuse && (gap != nil || syncTrouble != nil) }

    /// Whether the writer has something to do.
    package var hasWork: Bool { !waiting.isEmpty }

    /// Answers that wait.
    package var isAwaited: Bool {
        waiting.contains { $0.ticket != nil } || taken[takenDone...].contains { $0.ticket != nil }
    }

    /// Bytes of records that are kept in memory.
    package var keptBytes: Int { waitingBytes + takenBytes }

    /// A record, and the answer that waits for it. Returns the verdict where it is known at once; else the ticket is kept.
    ///
    /// - Parameter mustStand: it is of something that is done whatever becomes of its record: it is lost only where there
    ///   is no room.
    package mutating func submit(
        _ record: RecordText, _ ticket: Ticket?, mustStand: Bool = false, now: UInt64
    ) -> AuditVerdict? {
        let hasRoom = keptBytes + record.bytes.count <= settings.capacity
        if gap == nil, !hasRoom { gap = AuditGap(from: now, cause: "more waits to be written than there is room for") }
        if gap != nil {
            if settings.rule == .refuse, !mustStand {
                gap?.refused += 1
                return .refuse
            }
            guard hasRoom else {
                gap?.lost += 1
                return .answer
            }
            gap?.late += 1
        }
        let isHeld = gap == nil && ticket != nil
        waiting.append(Entry(record: record, ticket: isHeld ? ticket : nil, since: now, mustStand: mustStand))
        waitingBytes += record.bytes.count
        return isHeld ? nil : .answer
    }

    /// A record that no answer waits for, of what is done all the same.
    package mutating func note(_ record: RecordText, now: UInt64) {
        _ = submit(record, nil, mustStand: true, now: now)
    }

    /// The records that wait, for the writer, which gives them the numbers after `seq`. It takes no others before it has
    /// written these.
    ///
    /// - Parameter limit: most records.
    package mutating func take(after seq: UInt64, limit: Int) -> [RecordText] {
        let count = min(waiting.count, limit)
        taken.removeAll(keepingCapacity: true)
        takenDone = 0
        var records: [RecordText] = []
        records.reserveCapacity(count)
        for (index, entry) in waiting[..<count].enumerated() {
            records.append(entry.record)
            taken.append(
                Taken(
                    ticket: entry.ticket, since: entry.since, mustStand: entry.mustStand, seq: seq &+ 1 &+ UInt64(index)
                ))
            waitingBytes -= entry.record.bytes.count
            takenBytes += entry.record.bytes.count
        }
        if count == waiting.count {
            waiting.removeAll(keepingCapacity: true)
        } else {
            waiting.removeFirst(count)
        }
        return records
    }

    /// So many of the records that were taken are with the kernel.
    package mutating func wrote(_ count: Int) -> [Released] {
        var released: [Released] = []
        let end = min(count, taken.count)
        guard end > takenDone else { return [] }
        released.reserveCapacity(end - takenDone)
        for index in takenDone..<end {
            if let ticket = taken[index].ticket { released.append((ticket, .answer)) }
        }
        takenDone = end
        if end == taken.count {
            taken.removeAll(keepingCapacity: true)
            takenDone = 0
            takenBytes = 0
        }
        return released
    }

    /// Nothing can be written. Decides on all answers that wait.
    package mutating func failed(_ cause: String, now: UInt64) -> [Released] {
        if gap == nil { gap = AuditGap(from: now, cause: cause) }
        gap?.cause = cause
        return settle()
    }

    /// To be called every few milliseconds while answers wait.
    ///
    /// - Parameter interval: between two calls.
    package mutating func tick(now: UInt64, interval: UInt64) -> [Released] {
        if let lastTick, now > lastTick, now - lastTick > 5 * interval { graceFrom = now }
        lastTick = now
        guard gap == nil else { return [] }
        let oldest = taken[takenDone...].first { $0.ticket != nil }?.since ?? waiting.first { $0.ticket != nil }?.since
        guard let oldest else { return [] }
        let since = max(oldest, graceFrom)
        guard now > since, now - since >= settings.patience else { return [] }
        return failed("the disk takes longer than \(settings.patience / 1_000_000) ms for a write", now: now)
    }

    /// Nothing waited since: the watch has begun anew.
    package mutating func rest() { lastTick = nil }

    private mutating func settle() -> [Released] {
        var released: [Released] = []
        for index in takenDone..<taken.count {
            guard let ticket = taken[index].ticket else { continue }
            taken[index].ticket = nil
            let isRefused = settings.rule == .refuse && !taken[index].mustStand
            released.append((ticket, isRefused ? .refuse : .answer))
            guard isRefused else {
                gap?.late += 1
                continue
            }
            gap?.refused += 1
            let seq = taken[index].seq
            let known = gap?.unanswered
            gap?.unanswered = min(known?.lowerBound ?? seq, seq)...max(known?.upperBound ?? seq, seq)
        }
        var kept: [Entry] = []
        for var entry in waiting {
            if let ticket = entry.ticket {
                let isRefused = settings.rule == .refuse && !entry.mustStand
                released.append((ticket, isRefused ? .refuse : .answer))
                entry.ticket = nil
                if isRefused {
                    gap?.refused += 1
                    waitingBytes -= entry.record.bytes.count
                    continue
                }
                gap?.late += 1
            }
            kept.append(entry)
        }
        waiting = kept
        return released
    }

    /// All that was taken and kept is written. Returns the gap that is over, to be recorded next; `nil` while there is more
    /// to be written first, or there was none.
    package mutating func recovered() -> AuditGap? {
        guard let gap, waiting.isEmpty, taken.isEmpty else { return nil }
        past.gaps += 1
        past.late += gap.late
        past.lost += gap.lost
        past.refused += gap.refused
        self.gap = nil
        return gap
    }

    /// What is written is on the disk itself, or why it cannot be brought there.
    package mutating func synced(_ trouble: String?) { syncTrouble = trouble }
}

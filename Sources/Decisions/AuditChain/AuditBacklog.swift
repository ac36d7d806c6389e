// SPDX-License-Identifier: Apache-2.0

/// What is done where records cannot be written.
package enum FullDiskRule: String, Sendable, CaseIterable {
    /// Requests are answered; what could not be written is told by a gap record.
    case `continue`
    /// Requests are answered with an error until records can be written again.
    case refuse
}

/// What becomes of an answer.
package enum AuditVerdict: Sendable, Equatable {
    /// It may leave: its record is with the kernel, or the rule is to go on without.
    case answer
    /// It may not: there is no record of it.
    case refuse
}

/// For how long records could not be written, and what that has cost.
package struct AuditGap: Sendable, Equatable {
    /// CLOCK_MONOTONIC, nanoseconds.
    package var from: UInt64
    /// Why, in words.
    package var cause: String
    package var late: UInt64 = 0
    package var lost: UInt64 = 0
    package var refused: UInt64 = 0

    package init(from: UInt64, cause: String) {
        self.from = from
        self.cause = cause
    }
}

/// Records on their way from the journal to the segments.
///
/// It can be: **well** (no `gap`): a record that is in the journal may be answered. It goes to **troubled** when a segment
/// or the journal cannot be written, when a write to a segment has taken `patience`, or when there is no room for more.
/// Troubled: with `continue` records are kept as long as there is room; with `refuse` there are none. It goes back to well
/// with `recovered`, when all that was kept is in a segment.
///
/// Pure. Times are CLOCK_MONOTONIC, nanoseconds.
package struct AuditBacklog: Sendable {
    package struct Settings: Sendable, Equatable {
        package var rule: FullDiskRule
        /// How long a write to a segment may take.
        package var patience: UInt64
        /// How much may wait, bytes.
        package var capacity: Int

        package init(rule: FullDiskRule, patience: UInt64, capacity: Int) {
            self.rule = rule
            self.patience = patience
            self.capacity = capacity
        }
    }

    package let settings: Settings
    /// What came to no segment in time since it has been troubled; `nil` while it is well.
    package private(set) var gap: AuditGap?
    /// Of gaps that are over, in all.
    package private(set) var past = (gaps: UInt64(0), late: UInt64(0), lost: UInt64(0), refused: UInt64(0))
    /// Why what is written cannot be brought to the disk itself; `nil` while it can.
    package private(set) var syncTrouble: String?
    private var waiting: [RecordText] = []
    private var waitingBytes = 0
    private var takenBytes = 0
    /// Since when the writer has been at work on what it took.
    private var writingSince: UInt64?

    package init(_ settings: Settings) { self.settings = settings }

    /// Whether requests are refused for want of records.
    package var isRefusing: Bool { settings.rule == .refuse && (gap != nil || syncTrouble != nil) }

    /// Whether the writer has something to take.
    package var hasWork: Bool { !waiting.isEmpty }

    /// Bytes of records that are in no segment yet.
    package var keptBytes: Int { waitingBytes + takenBytes }

    /// Whether a record is to be kept: `nil`, and `keep` comes next. Else what becomes of its answer without.
    ///
    /// - Parameters:
    ///   - size: of its text, bytes.
    ///   - mustStand: it is of something that is done whatever becomes of its record: it is lost only where there is no
    ///     room.
    package mutating func admit(_ size: Int, mustStand: Bool, now: UInt64) -> AuditVerdict? {
        look(now)
        let hasRoom = size <= settings.capacity - keptBytes
        if gap == nil, !hasRoom { gap = AuditGap(from: now, cause: "more waits to be written than there is room for") }
        guard gap != nil || syncTrouble != nil else { return nil }
        if settings.rule == .refuse, !mustStand {
            gap?.refused += 1
            return .refuse
        }
        guard !hasRoom else { return nil }
        gap?.lost += 1
        return .answer
    }

    /// Keeps a record until it is in a segment.
    ///
    /// - Parameter trouble: why the journal does not have it; `nil` where it has.
    package mutating func keep(
        _ record: RecordText, trouble: String?, mustStand: Bool, now: UInt64
    ) -> AuditVerdict {
        if let trouble {
            if gap == nil { gap = AuditGap(from: now, cause: trouble) }
            if settings.rule == .refuse, !mustStand {
                gap?.refused += 1
                return .refuse
            }
        }
        gap?.late += 1
        waiting.append(record)
        waitingBytes += record.bytes.count
        return .answer
    }

    /// Notices a write that takes too long. To be called now and then where nothing is recorded.
    package mutating func look(_ now: UInt64) {
        guard gap == nil, let since = writingSince, now > since, now - since >= settings.patience else { return }
        gap = AuditGap(
            from: now, cause: "the disk takes longer than \(settings.patience / 1_000_000) ms for a write")
    }

    // MARK: The writer

    /// The records that wait. The writer takes no others before it has written these.
    package mutating func take() -> [RecordText] {
        defer {
            waiting.removeAll(keepingCapacity: waiting.count <= 4_096)
            (takenBytes, waitingBytes) = (waitingBytes, 0)
        }
        return waiting
    }

    /// The writer turns to the disk.
    package mutating func writes(now: UInt64) { writingSince = now }

    /// All that was taken is with the kernel.
    package mutating func wrote() {
        takenBytes = 0
        writingSince = nil
    }

    /// Nothing can be written.
    package mutating func failed(_ cause: String, now: UInt64) {
        if gap == nil { gap = AuditGap(from: now, cause: cause) }
        gap?.cause = cause
        writingSince = nil
    }

    /// All that was taken and kept is written. Returns the gap that is over, to be recorded next; `nil` while there is more
    /// to be written first, or there was none.
    package mutating func recovered() -> AuditGap? {
        guard let gap, waiting.isEmpty, takenBytes == 0 else { return nil }
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

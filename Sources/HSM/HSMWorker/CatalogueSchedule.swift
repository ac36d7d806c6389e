// SPDX-License-Identifier: Apache-2.0

/// When the keeper reads the token's keys, and for how long. Pure; times are CLOCK_MONOTONIC in nanoseconds.
///
/// The first round begins at once and takes what it takes. Later ones cost the token at most a tenth of one session's
/// time, however slow it is: what a round costs delays the next one, and what is only read again waits for it.
package struct CatalogueSchedule: Sendable {
    /// A round may take one part in so many of the time from its beginning to the next one's.
    package static let share: UInt64 = 10
    /// First and longest pause between two listings that are sent while a first round goes on, nanoseconds.
    package static let firstReportPause: UInt64 = 1_000_000_000
    package static let longestReportPause: UInt64 = 30_000_000_000

    private let interval: UInt64
    /// When the next round is due; 0 is at once.
    package private(set) var next: UInt64 = 0
    /// True from `begin` to `end`.
    package private(set) var isReading = false
    /// True when a handle led nowhere: the round is to read every offered key again.
    package private(set) var isUrgent = false
    /// True once a round has ended.
    package private(set) var hasRead = false
    private var cost: UInt64 = 0
    private var lastCost: UInt64 = 0
    private var lastEnd: UInt64 = 0
    private var isDemanded = false
    private var isDemandUrgent = false
    private var nextReport: UInt64 = 0
    private var reportPause = CatalogueSchedule.firstReportPause

    /// - Parameter interval: from one round to the next, where rounds cost little, nanoseconds.
    package init(interval: UInt64) { self.interval = max(interval, 1) }

    /// True when there is something to read now.
    package func isDue(_ now: UInt64) -> Bool { isReading || now >= next }

    /// True while there is time for objects that are known already.
    package var mayReadAgain: Bool { cost < interval / Self.share }

    /// Somebody asks for a round: at once, but for at most half of the keeper's time.
    ///
    /// - Parameter isUrgent: a handle has led nowhere, so that what is known of the others is in doubt, too.
    package mutating func demand(isUrgent: Bool) {
        if isReading {
            isDemanded = true
            isDemandUrgent = isDemandUrgent || isUrgent
        } else {
            self.isUrgent = self.isUrgent || isUrgent
            next = min(next, hasRead ? lastEnd &+ lastCost : 0)
        }
    }

    package mutating func begin(now: UInt64) {
        isReading = true
        cost = 0
        if !hasRead, nextReport == 0 { nextReport = now &+ reportPause }
    }

    /// So long the token has been kept busy by steps of the round.
    package mutating func spent(_ nanoseconds: UInt64) { cost &+= nanoseconds }

    /// True when what has been read so far is to be sent, because the first round takes long.
    package mutating func isTimeToReport(_ now: UInt64) -> Bool {
        guard !hasRead, isReading, now >= nextReport else { return false }
        reportPause = min(reportPause * 2, Self.longestReportPause)
        nextReport = now &+ reportPause
        return true
    }

    /// The round is over, or was given up.
    ///
    /// - Parameter jitter: 0..<1, spreads the rounds of many nodes over ±10 %.
    package mutating func end(now: UInt64, isComplete: Bool, jitter: Double) {
        isReading = false
        if isComplete { hasRead = true }
        (lastEnd, lastCost) = (now, cost)
        isUrgent = isDemandUrgent
        let pause = max(interval, cost.multipliedReportingOverflow(by: Self.share - 1).partialValue)
        let spread = pause / 10 * 9 + UInt64(Double(pause / 5) * min(max(jitter, 0), 1))
        next = now &+ (isDemanded ? cost : spread)
        (isDemanded, isDemandUrgent) = (false, false)
    }
}

// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

/// What becomes of traces between the request's end and the collector: how many wait, when a message is due, what an answer
/// means, how often a message is tried. Bounded in memory and in tries; what is given up is counted. Pure: times are
/// CLOCK_MONOTONIC, nanoseconds.
package struct TraceOutbox: Sendable {
    /// Most requests that wait to be sent.
    package static let capacity = 2_048
    /// Most requests in one message.
    package static let batch = 256
    /// How long the oldest waits for others to go with it.
    package static let linger: UInt64 = 1_000_000_000
    /// How often a message is tried in all.
    package static let mostTries = 4
    /// From a failed try to the next; doubled with each that follows.
    package static let firstPause: UInt64 = 1_000_000_000
    package static let longestPause: UInt64 = 30_000_000_000

    /// What became of a message.
    package enum Answer: Sendable, Equatable {
        /// It was taken, but for so many of its spans.
        case taken(rejecting: Int)
        /// It was refused, and would be again.
        case refused
        /// The collector was not reached, or cannot take it now.
        case notNow
    }

    /// What people are told: once when it begins, and once when it is over.
    package enum News: Sendable, Equatable {
        case none, failing
        /// - Parameter lost: spans that were given up meanwhile.
        case mended(lost: UInt64)
    }

    /// Spans, by what became of them.
    package struct Counts: Sendable, Equatable {
        /// A collector has taken them.
        package var sent: UInt64 = 0
        /// A collector has refused them.
        package var refused: UInt64 = 0
        /// No collector was reached in as many tries as there are.
        package var unsent: UInt64 = 0
        /// Too many waited.
        package var crowdedOut: UInt64 = 0

        package init(sent: UInt64 = 0, refused: UInt64 = 0, unsent: UInt64 = 0, crowdedOut: UInt64 = 0) {
            self.sent = sent
            self.refused = refused
            self.unsent = unsent
            self.crowdedOut = crowdedOut
        }

        package var lost: UInt64 { refused &+ unsent &+ crowdedOut }
    }

    /// The oldest first; all but the last are full, so that taking one moves none of the others.
    private var batches: [[RequestTrace]] = []
    private var count = 0
    /// When the oldest of those that wait came.
    private var oldest: UInt64 = 0
    private var underWay: [RequestTrace] = []
    /// Of the message that is under way.
    private var tries = 0
    /// In a row, whichever message it was.
    private var failures = 0
    /// Nothing is tried before.
    private var pausedUntil: UInt64 = 0
    /// The last message was not taken.
    package private(set) var isFailing = false
    private var lostBefore: UInt64 = 0
    package private(set) var counts = Counts()

    package init() {}

    /// Requests that wait, without those of the message that is under way.
    package var waiting: Int { count }

    package mutating func add(_ trace: RequestTrace, now: UInt64) {
        guard count < Self.capacity else {
            counts.crowdedOut &+= Self.spans([trace])
            return
        }
        if count == 0 { oldest = now }
        if let last = batches.indices.last, batches[last].count < Self.batch {
            batches[last].append(trace)
        } else {
            batches.append([trace])
        }
        count += 1
    }

    /// The message that is due now, to be followed by `ended`; `nil` while none is.
    ///
    /// - Parameter isLast: nothing comes any more, and nothing is waited for.
    package mutating func next(now: UInt64, isLast: Bool = false) -> [RequestTrace]? {
        guard now >= pausedUntil || isLast else { return nil }
        if underWay.isEmpty {
            guard let first = batches.first, isLast || first.count >= Self.batch || now &- oldest >= Self.linger
            else { return nil }
            underWay = batches.removeFirst()
            count -= underWay.count
            // Those that are left came later; by how much is not kept.
            oldest = now
        }
        return underWay
    }

    /// What came of the message that `next` gave.
    package mutating func ended(_ answer: Answer, now: UInt64) -> News {
        let spans = Self.spans(underWay)
        switch answer {
        case .taken(let rejected):
            let refused = min(UInt64(clamping: rejected), spans)
            counts.refused &+= refused
            counts.sent &+= spans &- refused
            isDone()
            failures = 0
            guard isFailing else { return .none }
            isFailing = false
            return .mended(lost: counts.lost &- lostBefore)
        case .refused:
            let news = fails()
            counts.refused &+= spans
            isDone()
            return news
        case .notNow:
            let news = fails()
            tries += 1
            failures += 1
            pausedUntil = now &+ min(Self.firstPause << UInt64(min(failures - 1, 16)), Self.longestPause)
            if tries >= Self.mostTries {
                counts.unsent &+= spans
                isDone()
            }
            return news
        }
    }

    /// Another collector is there: what the last one did says nothing of it.
    package mutating func begin() { (pausedUntil, tries, failures) = (0, 0, 0) }

    /// Gives up all that waits: there is no collector any more.
    package mutating func clear() {
        counts.unsent &+= Self.spans(underWay) &+ batches.reduce(0) { $0 &+ Self.spans($1) }
        (batches, count, oldest) = ([], 0, 0)
        isDone()
        (pausedUntil, failures, isFailing) = (0, 0, false)
    }

    private mutating func isDone() { (underWay, tries) = ([], 0) }

    private mutating func fails() -> News {
        guard !isFailing else { return .none }
        isFailing = true
        lostBefore = counts.lost
        return .failing
    }

    private static func spans(_ traces: [RequestTrace]) -> UInt64 {
        traces.reduce(0) { $0 &+ UInt64($1.recording?.spanCount ?? 0) }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How long one call of an HSM takes at present, in two figures, both aged by time and not by count alone, so that an
/// HSM that has become slower or faster is known for it within a second, whatever its load. Times are nanoseconds.
///
/// - `mean`: of its recent calls, rare slow ones included, because the rate at which lanes become free follows from it.
/// - `mostly`: that, and one and a half times by how much calls differ from it: what nearly all of them take at most.
/// - `centre`: what the next call can be expected to take. A call counts with twice the centre at most, or with what calls
///   take usually, tails apart, so that one of 150 ms among a dozen of 2 ms prices nothing. A moving average that goes with
///   the peak (as Finagle's) gives such an HSM up for another that is ten times as slow. With twice the centre alone, one
///   whose calls vary much (of exponential time) would look a fifth faster than it is, and take calls from one that always
///   takes the same. When it has really become slow, every call says so: after some in a row they count in full.
///
/// A call that is still under way says nothing here; calls that outlast their patience are counted, until one answers.
package struct ServiceEstimate: Sendable {
    /// In which time the weight of a call in the mean halves.
    private static let halfLife = 250_000_000.0
    /// A call counts in the centre with the time since the last one over this and that time together, …
    private static let memory = 4_000_000_000.0
    /// … and with this at least.
    private static let leastShare = 1.0 / 128
    private static let outlier = 2.0
    /// So many calls in a row beyond that, and one more, are no outliers: the HSM has become slower. Not if they have come
    /// within less than half of the time of the slowest: they may all have waited for that one.
    private static let outliersInARow = 6
    /// So many calls in a row that take less than half of the centre: it has become faster. Half of the calls of an HSM whose
    /// calls vary much may be as quick.
    private static let quickInARow = 16
    /// By how many times their usual difference from the mean nearly all calls are longer than that at most.
    private static let differences = 1.5
    /// An HSM that nobody asks is expected to be as it was for so long, …
    private static let staleAfter: UInt64 = 2_000_000_000
    /// … and then to have become twice as fast in each such time, until it is asked again: once, for the next request
    /// waits for what that shows. It would otherwise never get the chance to show that it is fast again.
    private static let hopeTime = 2_000_000_000.0
    /// It is only hoped to be as fast as that when it was so much slower.
    private static let hope = 0.6
    /// So many calls in a row that outlast their patience, with no answer since they began, are a silence.
    package static let silence = 2

    private var sum = 0.0
    private var weight = 0.0
    /// How much the calls differ from the mean, all together.
    private var differing = 0.0
    /// When the last call has returned.
    private(set) var lastAt: UInt64 = 0
    /// 0 before the first answer.
    package private(set) var centre = 0.0
    private var samples = 0
    /// Calls in a row that are outliers, since when, the quickest and the slowest of them; those that are quick, and the
    /// slowest of them.
    private var outliers = 0
    private var outliersSince: UInt64 = 0
    private var quickestOutlier = 0.0
    private var slowestOutlier = 0.0
    private var quick = 0
    private var slowestQuick = 0.0
    /// What a probe says that a call may take; 0 before the first.
    private(set) var guess = 0.0
    private var centreAt: UInt64 = 0
    /// When it was last asked, or answered.
    private var touchedAt: UInt64 = 0
    /// When it had last been asked before a try.
    private var touchedBeforeTry: UInt64?
    private var unanswered = 0

    package init() {}

    /// A call has returned. `isAnswer`: the HSM has worked on it, and not just failed. `usual`: what its answers take that
    /// are no tail, at most (`LatencyTracker.usual`); 0 while that is not known.
    package mutating func record(_ duration: UInt64, isAnswer: Bool = true, usual: UInt64 = 0, now: UInt64) {
        if now > lastAt {
            let keep = Self.half(of: min(Double(now - lastAt) / Self.halfLife, 60))
            sum *= keep
            weight *= keep
            differing *= keep
            lastAt = now
        }
        differing += abs(Double(duration) - (mean ?? Double(duration)))
        sum += Double(duration)
        weight += 1
        unanswered = 0
        if isAnswer { move(to: Double(duration), usual: Double(usual), now: now) }
    }

    /// A probe took this long for one call: a guess, until there is an answer. The way of a probe is another one.
    package mutating func probed(_ duration: UInt64) {
        unanswered = 0
        guess = Double(duration)
    }

    /// It is given a call.
    package mutating func asked(now: UInt64) {
        touchedBeforeTry = isTry(now: now) ? touchedAt : nil
        touchedAt = now
    }

    /// A call that began at `calledAt` has outlasted its patience. It is no silence where the HSM has answered others
    /// meanwhile.
    package mutating func kept(since calledAt: UInt64) { if lastAt <= calledAt { unanswered += 1 } }

    private mutating func move(to value: Double, usual: Double, now: UInt64) {
        let elapsed = now > centreAt ? Double(now - centreAt) : 0
        (centreAt, touchedAt) = (now, now)
        // A try that comes back quickly gives hope: the next one need not wait.
        if let before = touchedBeforeTry, value < centre / 2 { touchedAt = before }
        touchedBeforeTry = nil
        samples += 1
        // Also the first one may be an outlier.
        guard samples > 1 else { return centre = guess > 0 ? min(value, Self.outlier * guess) : value }
        let share = max(elapsed / (elapsed + Self.memory), 1 / Double(samples), Self.leastShare)
        if let level = newLevel(value, now: now) {
            centre = level
            (sum, differing) = (level * weight, 0)
            (outliers, quick) = (0, 0)
            return
        }
        let counted = min(value, max(Self.outlier * centre, usual))
        centre += share * (counted - centre)
    }

    /// What calls take from now on, when so many in a row have shown it; the least change of those that they show.
    private mutating func newLevel(_ value: Double, now: UInt64) -> Double? {
        outliers = value > Self.outlier * centre ? outliers + 1 : 0
        if outliers == 1 { (outliersSince, quickestOutlier, slowestOutlier) = (now, value, value) }
        (quickestOutlier, slowestOutlier) = (min(quickestOutlier, value), max(slowestOutlier, value))
        quick = value < centre / 2 ? quick + 1 : 0
        slowestQuick = quick == 1 ? value : max(slowestQuick, value)
        let span = now > outliersSince ? Double(now - outliersSince) : 0
        if outliers > Self.outliersInARow, span >= slowestOutlier / 2 { return quickestOutlier }
        return quick >= Self.quickInARow ? slowestQuick : nil
    }

    /// What nearly all calls take at most; `nil` before the first one.
    var mostly: Double? { weight > 0 ? (sum + Self.differences * differing) / weight : nil }

    /// `nil` before the first call.
    package var mean: Double? { weight > 0 ? sum / weight : nil }

    /// Whether it has been asked lately.
    func isRecent(now: UInt64) -> Bool { now < touchedAt &+ Self.staleAfter }

    /// It has not answered for so many calls that no other is given to it while somebody else is there.
    package var isSilent: Bool { unanswered >= Self.silence }

    /// What the next call is expected to take; 0 of an HSM that has never answered and is at nothing: it is worth a try.
    ///
    /// - Parameter isIdle: it is at no call, and it may be found out whether it has become faster.
    package func expected(isIdle: Bool, now: UInt64) -> Double {
        guard samples > 0 else { return isIdle ? 0 : guess }
        guard isIdle, now > touchedAt, now - touchedAt > Self.staleAfter else { return centre }
        return centre * Self.half(of: min(Double(now - touchedAt - Self.staleAfter) / Self.hopeTime, 60))
    }

    /// A call that it is given now is a try: it has been slower than it is expected to be.
    func isTry(now: UInt64) -> Bool { samples > 0 && expected(isIdle: true, now: now) < Self.hope * centre }

    /// 2^-x without a library: exact at whole numbers, and off by less than one per cent between them.
    private static func half(of halvings: Double) -> Double {
        let part = halvings - halvings.rounded(.down)
        return (1 - part * (0.6831 - 0.1831 * part)) / Double(1 << UInt64(halvings))
    }
}

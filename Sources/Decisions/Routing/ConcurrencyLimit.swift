// SPDX-License-Identifier: Apache-2.0

/// How many calls at a time an HSM makes use of, learned from its answers.
///
/// An HSM whose calls run side by side answers as fast with sixteen calls as with one. One that makes one call at a time
/// answers with sixteen after sixteen times as long: what it is given beyond the next call only waits inside of it, where
/// nobody can judge it, give it to another HSM or let a second call of a request pass it by. There the limit comes down.
/// It is the thought of TCP Vegas, and of Netflix's concurrency-limits and Envoy's adaptive concurrency after it; those
/// compare with a smallest latency that was measured once, and take an HSM that has become slower for one with a queue.
/// Here two things must come together:
///
/// 1. *Dependence*: among the last hundred answers, those that were sent beside more calls took longer in proportion.
///    Both are compared with what was usual in the last few answers, so that a slow spell, in which calls pile up because
///    they are slow, says little.
/// 2. *A trial*: the limit is lowered a step, and stays there only if calls then take less time. An HSM that has become
///    slower by itself does not pass it.
///
/// Where several nodes share such an HSM, none sees much of the queue depend on its own calls, and together they fill it
/// until no answer comes in time, whoever asks: work that is for nothing. So without dependence, too, the limit is halved
/// on trial while calls take more than a good half of the time that a request has: the nodes see that at the same time, so
/// that the trial shows them what they all together gain, and each finds a share.
///
/// Where calls are known to run *side by side*, more of them cost nothing however long they take, and no limit comes of
/// that: their number has varied and their time has not followed it. An HSM in a slow spell would otherwise do a part of
/// what it could. Of one whose calls have always been as many the trial shows it.
///
/// Their calls show such an HSM by another sign: calls that run side by side take different times and overtake each other;
/// calls that take different times and never overtake each other stand in *one line*, whoever sent what is between them.
/// There a fifth of the time that a request has is too much already, and one call may be all that a node has in it: what
/// more it sends only waits behind others', and is late, or sent to a second HSM, when it is long in the line.
///
/// The limit rises by itself, slowly, and at once by a quarter when there is no dependence. Times are nanoseconds.
package struct ConcurrencyLimit: Sendable {
    /// Weight of an answer in what is usual now, and in the dependence.
    private static let quick = 1.0 / 16, slow = 1.0 / 128
    /// With little variation of the calls in flight little can be concluded: so much of it is taken to have shown
    /// nothing.
    private static let doubt = 0.05
    /// Work of so much time may always stand in an HSM: it delays nobody, and no lane runs dry.
    private static let leastWork = 2_000_000.0
    private static let lowest = 2.0
    /// So many calls that none overtook, and which differed by this part of their time from one to the next, stand in one
    /// line. Those of an HSM that always takes the same never overtake each other, and do not differ.
    private static let order = 64, unevenness = 0.1
    /// Part of `tooLong` that is too long for calls in one line, and the fewest calls then.
    private static let lineShare = 0.35, lowestInLine = 1.0
    /// What a trial leaves of the limit, and by how much calls must then be faster; where calls take too long, a trial
    /// leaves less, because it must show among what other nodes do.
    private static let step = 0.75, longStep = 0.5, gain = 0.88
    /// Answers to calls of the trial that decide it. Where calls take too long there are few.
    private static let trialAnswers = 32, longTrialAnswers = 16
    /// From this dependence down calls run side by side, as long as it is not above the second one again.
    private static let apart = 0.2, together = 0.3
    /// So many answers must have come for that.
    private static let apartAfter = 64
    private static let raiseEvery: UInt64 = 1_000_000_000
    private static let decideEvery: UInt64 = 100_000_000
    private static let longestPause: UInt64 = 30_000_000_000

    private struct Trial {
        let since: UInt64
        let limitBefore: Double
        let durationBefore: Double
        /// Answers that decide it.
        let enough: Int
        var answers = 0
        var sum = 0.0
    }

    /// When the latest call was sent of those that have returned, and how many have returned since one was overtaken.
    private(set) var latestSent: UInt64 = 0
    private var inOrder = 0
    /// By which part of its time a call differs from the one that returned before it.
    private var unevenness = 0.0
    private var lastDuration = 0.0
    private var samples = 0
    private var inFlightNow = 1.0
    private var durationNow = 0.0
    private var covariance = 0.0
    private var variance = 0.0
    private var trial: Trial?
    private var decidedAt: UInt64 = 0
    private var raisedAt: UInt64 = 0
    private var notBefore: UInt64 = 0
    /// How long no trial is made after one for calls that take too long has come to nothing: twice as long each time.
    private var pause = Self.raiseEvery
    /// The number of calls has varied, and what they took has not followed it.
    private var isApart = false
    private var yieldsAt: UInt64 = 0
    /// What lowered the limit last was that calls took too long.
    package private(set) var hasYielded = false

    /// Most calls at a time; none while nothing speaks for one.
    package private(set) var limit = Double.infinity
    /// Calls beside which recent ones were made, themselves included.
    package private(set) var usualInFlight = 1.0
    /// By how much of its own share a call takes longer with more calls beside it: 0 (side by side) … 1 (one by one).
    package private(set) var dependence = 0.0

    package init() {}

    /// Its calls stand in one line, with those of others perhaps.
    package var isLine: Bool { inOrder >= Self.order && unevenness > Self.unevenness }

    /// How long after an answer the next one comes, usually, while there are calls to be answered, nanoseconds.
    var usualGap: Double { durationNow / max(inFlightNow, 1) }

    /// True when one call more than so many is of use.
    package func allows(_ inFlight: Int) -> Bool { Double(inFlight) < limit }

    /// A call has returned.
    ///
    /// - Parameters:
    ///   - duration: at most a few times what is usual: a rare slow call says nothing of the others.
    ///   - inFlight: with how many calls it was begun, itself included.
    ///   - lanes: how many calls there can be.
    ///   - tooLong: what calls must not take usually, because then most are for nothing.
    package mutating func record(
        _ duration: Double, inFlight: Int, sentAt: UInt64, lanes: Int, tooLong: Double = .infinity, now: UInt64
    ) {
        let count = Double(max(inFlight, 1))
        samples += 1
        if samples == 1 {
            (inFlightNow, durationNow, usualInFlight, lastDuration) = (count, duration, count, duration)
        }
        noteOrder(duration, inFlight: inFlight, sentAt: sentAt)
        let more = Self.bounded((count - inFlightNow) / inFlightNow)
        let longer = Self.bounded((duration - durationNow) / max(durationNow, 1))
        covariance += Self.slow * (more * longer - covariance)
        variance += Self.slow * (more * more - variance)
        inFlightNow += Self.quick * (count - inFlightNow)
        durationNow += Self.quick * (duration - durationNow)
        usualInFlight += (count - usualInFlight) / 64
        dependence = min(max(covariance / (variance + Self.doubt), 0), 1)
        if trial != nil, sentAt >= trial?.since ?? 0 {
            trial?.answers += 1
            trial?.sum += duration
        }
        noteApart()
        let tooLong = isLine ? Self.lineShare * tooLong : tooLong
        if durationNow <= tooLong {
            if durationNow < 0.8 * tooLong { pause = Self.raiseEvery }
        } else if isLine {
            return yield(lanes: lanes, tooLong: tooLong, now: now)
        } else if !isApart {
            return tryFewer(lanes: lanes, now: now)
        }
        decide(lanes: lanes, mayHurry: durationNow < tooLong / 2 || isApart && !isLine, now: now)
    }

    /// What is known of it once holds until the opposite is: while an HSM has as many calls as it may, nothing is learned.
    private mutating func noteApart() {
        guard variance > Self.doubt, samples >= Self.apartAfter else { return }
        if dependence < Self.apart { isApart = true } else if dependence > Self.together { isApart = false }
    }

    /// A call alone overtakes none, and says nothing.
    private mutating func noteOrder(_ duration: Double, inFlight: Int, sentAt: UInt64) {
        if sentAt < latestSent { inOrder = 0 } else if inFlight > 1 { inOrder += 1 }
        latestSent = max(latestSent, sentAt)
        unevenness += Self.quick * (min(abs(duration - lastDuration) / max(duration, 1), 1) - unevenness)
        lastDuration = duration
    }

    /// Lowers the limit because calls take too long, and waits until that can have shown.
    private mutating func yield(lanes: Int, tooLong: Double, now: UInt64) {
        guard now >= yieldsAt else { return }
        yieldsAt = now &+ UInt64(min(max(durationNow, Double(Self.decideEvery)), 1e10))
        trial = nil
        let used = min(limit, max(inFlightNow, 1), Double(lanes))
        let floor = isLine ? Self.lowestInLine : Self.lowest
        limit = max((used * max(tooLong / durationNow, 0.5)).rounded(.down), floor)
        hasYielded = true
        raisedAt = now
    }

    /// Calls take too long, and it is not known whether they wait for each other: makes half of them, and leaves it at that
    /// only if they then take less time. Where so few are answered that nothing is learned, it stays so.
    private mutating func tryFewer(lanes: Int, now: UInt64) {
        if let current = trial {
            if now > current.since &+ UInt64(min(4 * durationNow, 1e10)), current.answers == 0 { trial = nil }
            if endTrial(pause: pause, now: now) == false { pause = min(2 &* pause, Self.longestPause) }
            return
        }
        guard now >= notBefore, now >= yieldsAt else { return }
        yieldsAt = now &+ UInt64(min(max(durationNow, Double(Self.decideEvery)), 1e10))
        let used = min(limit, max(inFlightNow, 1), Double(lanes))
        trial = Trial(since: now, limitBefore: limit, durationBefore: durationNow, enough: Self.longTrialAnswers)
        limit = max((used * Self.longStep).rounded(.down), Self.lowest)
        hasYielded = true
        raisedAt = now
    }

    private static func bounded(_ value: Double) -> Double { min(max(value, -1), 1) }

    /// Ends a trial of which enough answers have come. Where calls have not become faster, the limit is what it was, and no
    /// trial is made for so long. Returns whether they have; `nil` while there is none, or it goes on.
    private mutating func endTrial(pause: UInt64, now: UInt64) -> Bool? {
        guard let current = trial, current.answers >= current.enough else { return nil }
        trial = nil
        let isFaster = current.sum / Double(current.answers) < Self.gain * current.durationBefore
        if !isFaster {
            limit = current.limitBefore
            notBefore = now &+ pause
        }
        return isFaster
    }

    private mutating func decide(lanes: Int, mayHurry: Bool, now: UInt64) {
        if trial != nil, endTrial(pause: Self.raiseEvery, now: now) == nil { return }
        guard now >= decidedAt &+ Self.decideEvery else { return }
        decidedAt = now
        let isKnown = variance > Self.doubt && samples >= 128
        let floor = max(Self.lowest, Self.leastWork * usualInFlight / max(durationNow, 1))
        let used = min(limit, inFlightNow + 1, Double(lanes))
        if isKnown, dependence > 0.6, now >= notBefore, inFlightNow > 1.5, used > floor {
            trial = Trial(since: now, limitBefore: limit, durationBefore: durationNow, enough: Self.trialAnswers)
            limit = max(floor, (used * Self.step).rounded())
            hasYielded = false
            raisedAt = now
        } else if limit < Double(lanes) {
            let mayHurry = mayHurry && !isLine && (isApart || (isKnown || hasYielded) && dependence < Self.together)
            guard mayHurry || now >= raisedAt &+ Self.raiseEvery else { return }
            limit += mayHurry ? max(limit / 4, 1) : 1
            raisedAt = now
        }
        if limit >= Double(lanes) { limit = .infinity }
    }
}

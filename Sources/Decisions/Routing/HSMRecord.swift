// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// Whether a position belongs to an HSM.
enum Membership: Sendable {
    case member
    /// It is on its way out: gets nothing new, and finishes what it has. → `vacant`
    case retired
    /// Nobody's. → `member`
    case vacant
}

/// One HSM: its phase, its lanes, and what its answers have shown.
struct HSMRecord: Sendable {
    var traits: HSMTraits
    var membership = Membership.member
    var phase: HSMPhase = .down
    var isDrained = false
    var starts = WorkerStarts()
    var lanes: LaneBoard
    /// Lanes that the worker closed before it was ready.
    var closedEarly: Set<Int> = []
    /// Until when it gets nothing, because a lane of it has closed.
    var heldUntil: UInt64 = 0
    /// How many lanes may have a session.
    var allowed = Int.max
    /// No session is asked for before this.
    var openAgainAt: UInt64 = 0
    /// Requests under way that it got although it was out.
    var lastResorts = 0
    var latency = LatencyTracker()
    /// How long its calls take at present.
    var service = ServiceEstimate()
    /// How many calls at a time it makes use of.
    var limit = ConcurrencyLimit()
    /// What it does a second.
    var calls = SecondGauge()
    /// Its answers for which nobody waited any more.
    var thrownAway: UInt64 = 0
    /// Soft failures since the last success.
    var softFailures = 0
    /// Until when it counts as silent after a call that lasted longer than any attempt may.
    var silentUntil: UInt64 = 0
    /// Failed probes since the last one that passed.
    var failedProbes = 0
    /// Share of its answers that failed softly, lately: 0 … 1.
    var failureShare = 0.0
    var failureShareAt: UInt64 = 0
    /// When it came back, for the slow start; `nil` when it was never out.
    var backSince: UInt64?
    var hasBeenOut = false
    /// When to ask for the next probe while it is out, and the pause after that.
    var nextProbeAt: UInt64 = .max
    var probePause: UInt64 = 0
    /// What one call of the last probe took, nanoseconds, where that is longer than a request may take; else `nil`.
    private(set) var slowCall: UInt64?

    init(traits: HSMTraits, position: Int, groups: Int) {
        self.traits = traits
        lanes = LaneBoard(hsm: position, groups: groups)
    }

    var isMember: Bool { membership == .member }

    /// True when it may be given requests, as far as people have a say.
    var isOpen: Bool { isMember && !isDrained }

    /// True when it gets requests.
    var isServing: Bool { phase == .serving && isOpen }

    /// Calls that it is at, or that lie behind them; not those that have outlasted their patience: they occupy lanes.
    var inFlight: Int { lanes.busy + lanes.queued - lanes.overdue }

    /// True when it has a free lane and makes use of one more call.
    var hasFreeLane: Bool { lanes.freeCount > 0 && allowsOneMore }

    /// True when one of its lanes can be given a request.
    ///
    /// With too many lanes open nothing is sent down busy ones: they are to become free, and close.
    var hasRoom: Bool { allowsOneMore && lanes.hasRoom(depth: depth) }

    /// True when it makes use of one more call. Where calls have taken too long, those that nobody waits for any more count,
    /// too: the HSM is at them all the same.
    private var allowsOneMore: Bool { limit.allows(limit.hasYielded ? lanes.busy + lanes.queued : inFlight) }

    /// True of a call that stands in a line inside the HSM: those that were sent before it come back one after the other, and
    /// none that was sent after it has. It is its turn soon, and to ask once more is to stand in line twice. Of calls that run
    /// side by side, one that is lost is overtaken; of an HSM that has stopped, nothing comes back.
    func isInLine(_ work: LaneWork, now: UInt64) -> Bool {
        let last = service.lastAt
        guard last > work.sentAt, limit.latestSent < work.sentAt, now >= last else { return false }
        return Double(now - last) < Self.longestGap * limit.usualGap
    }

    /// How many times the usual time from one answer to the next may pass before an HSM has stopped.
    private static let longestGap = 2.0

    /// How much may be on a lane at a time.
    var depth: Int { lanes.open > allowed ? 1 : traits.depth }

    /// True when a parked lane may open a session.
    var wantsLane: Bool { lanes.open < min(allowed, lanes.states.count) && lanes.firstParked != nil }

    /// Lanes that can be expected to become free.
    var lively: Int { max(lanes.open - lanes.overdue, 0) }

    /// True while one more refused ciphertext may be looked into: a tenth of the lanes, half of them while nothing
    /// waits for a lane, and one at a time always.
    func hasRoomForCheck(beside checks: Int, isIdle: Bool) -> Bool { checks < max(lanes.open / (isIdle ? 2 : 10), 1) }

    /// True of an HSM that serves and has not failed lately: its word counts.
    func isWell(now: UInt64) -> Bool {
        phase == .serving && softFailures == 0 && failureShare(now: now) < 0.01
    }

    // MARK: Evidence

    /// Takes in whether an answer was a soft failure. The share forgets with a time constant of five seconds, and an
    /// answer weighs a sixteenth.
    mutating func noteAnswer(failed: Bool, now: UInt64) {
        failureShare = failureShare(now: now) * (1 - Self.oneFailure) + (failed ? Self.oneFailure : 0)
        failureShareAt = now
    }

    func failureShare(now: UInt64) -> Double {
        guard failureShare > 0.001, now > failureShareAt else { return failureShare }
        return failureShare * 5e9 / (5e9 + Double(now - failureShareAt))
    }

    /// A call has returned. `isAnswer`: the HSM has worked on it; a failure may be quick, and says nothing of its speed.
    mutating func returned(_ work: LaneWork, isAnswer: Bool, limits: PoolLimits, now: UInt64) {
        let duration = now > work.calledAt ? now - work.calledAt : 0
        service.record(duration, isAnswer: isAnswer, usual: latency.usual ?? 0, now: now)
        guard isAnswer else { return }
        if slowCall != nil { noteSpeed(duration, isProbe: false, limits: limits) }
        let counted = min(Double(duration), 4 * service.centre)
        limit.record(
            counted, inFlight: work.inFlight, sentAt: work.sentAt, lanes: lanes.open * depth,
            tooLong: Self.mostOfRequest * Double(limits.requestTime), now: now)
    }

    /// A probe has passed, one call of which took this long, nanoseconds.
    mutating func probed(call: UInt64, limits: PoolLimits, now: UInt64) {
        service.probed(call)
        // A probe beside many requests waits for them inside of the HSM: then their answers say how fast it is.
        let isAnswering =
            service.lastAt > 0 && now < service.lastAt &+ Self.answering && service.centre < Double(limits.requestTime)
        if !isAnswering { noteSpeed(call, isProbe: true, limits: limits) }
    }

    /// An HSM that nobody asks is as slow as its probes are. One answer in time ends that at once; where calls take about as
    /// long as a request may, it is one condition, and does not come and go.
    private mutating func noteSpeed(_ call: UInt64, isProbe: Bool, limits: PoolLimits) {
        let bound = slowCall == nil ? limits.requestTime : limits.requestTime / 10 * 8
        if call < bound { slowCall = nil } else if isProbe { slowCall = call }
    }

    /// How long after an answer an HSM is known by its answers, nanoseconds.
    private static let answering: UInt64 = 2_000_000_000
    private static let oneFailure = 1.0 / 16
    /// What an HSM's calls may usually take of the time that a request has.
    private static let mostOfRequest = 0.6

    // MARK: What the next request can expect

    /// What one more call would take, nanoseconds: more with calls under way that it would have to wait for, and more
    /// while calls fail.
    ///
    /// - Parameter mayTry: an HSM that has not been asked for long may be tried, to see whether it has become faster.
    func expected(mayTry: Bool = true, now: UInt64) -> Double {
        let inFlight = inFlight
        let alone = max(service.expected(isIdle: mayTry && inFlight == 0, now: now), Self.leastExpected)
        let crowd = limit.dependence * (Double(inFlight + 1) / limit.usualInFlight - 1)
        // One failure alone prices nothing.
        return alone * (1 + crowd) * (1 + 20 * max(failureShare(now: now) - Self.oneFailure, 0))
    }

    /// Below this, the way to the worker and back decides, nanoseconds.
    private static let leastExpected = 50_000.0

    /// How many of its lanes become free in a nanosecond while all are busy that it makes use of.
    var pace: Double? { lanes.isHeld ? nil : pace(service.mean) }

    private func pace(_ mean: Double?) -> Double? {
        guard let mean else { return nil }
        let used = min(Double(lively), limit.limit)
        let crowd = limit.dependence * (used / limit.usualInFlight - 1)
        return used / max(mean * max(1 + crowd, 0.1), 1_000)
    }

    /// Calls a second that it can do. Where it has had no call lately, rare slow ones among its last say nothing of it;
    /// where it has had none at all, a probe does. `nil` while nothing is known of it.
    func capacity(now: UInt64) -> Double? {
        guard !lanes.isHeld else { return nil }
        let mean = service.isRecent(now: now) ? service.mean : service.mean.map { min($0, service.centre) }
        return pace(mean ?? (service.guess > 0 ? service.guess : nil)).map { $0 * 1e9 }
    }

    /// Its part beside others that are as fast: by its weight, and little while it is only just back.
    func part(now: UInt64, limits: PoolLimits) -> Double {
        guard let backSince, now >= backSince, now - backSince < limits.slowStart else { return Double(traits.weight) }
        return Double(traits.weight) * max(Double(now - backSince) / Double(limits.slowStart), 0.1)
    }

    /// What is waited for before it counts as silent, and before a hedge. `isOverloaded`: the line stands.
    func patience(limits: PoolLimits, isOverloaded: Bool) -> Patience {
        Patience(latency, centre: service.centre, limits: limits, isOverloaded: isOverloaded)
    }
}

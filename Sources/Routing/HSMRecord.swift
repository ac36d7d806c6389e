// SPDX-License-Identifier: Apache-2.0

/// Whether a place belongs to an HSM.
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
    /// Refused ciphertexts that are being looked into on its account.
    var checks = 0
    /// Soft failures since the last success.
    var softFailures = 0
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

    init(traits: HSMTraits, place: Int, groups: Int) {
        self.traits = traits
        lanes = LaneBoard(hsm: place, groups: groups)
    }

    var isMember: Bool { membership == .member }

    /// True when it may be given requests, as far as people have a say.
    var isOpen: Bool { isMember && !isDrained }

    /// True when one of its lanes can be given a request.
    ///
    /// With too many lanes open nothing is sent down busy ones: they are to become free, and close.
    var hasPlace: Bool { lanes.hasPlace(depth: depth) }

    /// How much may be on a lane at a time.
    var depth: Int { lanes.open > allowed ? 1 : traits.depth }

    /// True when a parked lane may open a session.
    var wantsLane: Bool { lanes.open < min(allowed, lanes.states.count) && lanes.firstParked != nil }

    /// Lanes that can be expected to become free.
    var lively: Int { max(lanes.open - lanes.overdue, 0) }

    /// True while one more refused ciphertext may be looked into: a tenth of the lanes, half of them while nothing
    /// waits for a lane, and one at a time always.
    func hasRoomForCheck(isIdle: Bool) -> Bool { checks < max(lanes.open / (isIdle ? 2 : 10), 1) }

    /// True of an HSM that serves and has not failed lately: its word counts.
    func isWell(now: UInt64) -> Bool {
        phase == .serving && softFailures == 0 && failureShare(now: now) < 0.01
    }

    // MARK: Evidence

    /// Takes in whether an answer was a soft failure. The share forgets with a time constant of five seconds, and an
    /// answer weighs a sixteenth.
    mutating func noteAnswer(failed: Bool, now: UInt64) {
        failureShare = failureShare(now: now) * (15.0 / 16) + (failed ? 1.0 / 16 : 0)
        failureShareAt = now
    }

    func failureShare(now: UInt64) -> Double {
        guard failureShare > 0.001, now > failureShareAt else { return failureShare }
        return failureShare * 5e9 / (5e9 + Double(now - failureShareAt))
    }

    /// What the next request would cost here: expected time × (in flight + 1), dearer while it fails and while it is
    /// only just back, cheaper by its weight.
    func cost(now: UInt64, limits: PoolLimits) -> Double {
        let expected = max(latency.expected(now: now), 50_000)
        var ramp = 1.0
        if let backSince, now >= backSince, now - backSince < limits.slowStart {
            ramp = max(Double(now - backSince) / Double(limits.slowStart), 0.1)
        }
        return expected * Double(lanes.busy + lanes.queued + 1) * (1 + 20 * failureShare(now: now))
            / (Double(traits.weight) * ramp)
    }
}

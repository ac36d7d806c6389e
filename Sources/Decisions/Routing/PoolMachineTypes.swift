// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// The limits a pool works within. Times are nanoseconds.
package struct PoolLimits: Sendable {
    /// What a request has from its arrival to its answer.
    package var requestTime: UInt64
    /// Longest time one HSM may take before another is asked as well.
    package var longestAttempt: UInt64
    /// Shortest such time, however fast the HSM is: a pause of this node's own must not look like a silent HSM.
    package var shortestAttempt: UInt64
    /// How many HSMs an operation is tried on, the first one and hedges included; then, where all have failed, once more.
    package var attempts: Int
    /// How many operations of one key store may wait for a free lane.
    package var waiting: Int
    /// How many soft failures in a row take an HSM out.
    package var softFailures: Int
    /// A second HSM is asked no sooner than this, however fast the first usually is.
    package var shortestHedge: UInt64
    /// How long an HSM that is back takes to get its full share.
    package var slowStart: UInt64
    /// Requests that an HSM may get at a time while it is out, when no other can serve.
    package var lastResort: Int
    /// Pause before the next try to open a session that the token refused.
    package var sessionRetry: UInt64

    package init(
        requestTime: UInt64 = 200_000_000, longestAttempt: UInt64 = 80_000_000, shortestAttempt: UInt64 = 15_000_000,
        attempts: Int = 3,
        waiting: Int = 1024, softFailures: Int = 3, shortestHedge: UInt64 = 3_000_000,
        slowStart: UInt64 = 10_000_000_000, lastResort: Int = 1, sessionRetry: UInt64 = 2_000_000_000
    ) {
        self.requestTime = requestTime
        self.longestAttempt = longestAttempt
        self.shortestAttempt = min(shortestAttempt, longestAttempt)
        self.attempts = max(attempts, 1)
        self.waiting = waiting
        self.softFailures = max(softFailures, 1)
        self.shortestHedge = shortestHedge
        self.slowStart = max(slowStart, 1)
        self.lastResort = lastResort
        self.sessionRetry = sessionRetry
    }
}

/// What the configuration says of one HSM as far as choosing goes.
package struct HSMTraits: Sendable, Equatable {
    /// How long one of its calls may overstay before its worker is killed, nanoseconds.
    package var stuckAfter: UInt64
    /// Lower tiers first; a higher one only gets what no lower one can do.
    package var tier: Int
    /// Its share beside others of its tier, 1 or more.
    package var weight: Int
    /// How much may be on one of its lanes at a time, the call included, 1 or more. What is above 1 waits there, in the
    /// worker's socket, and is called as soon as the call before it has returned.
    package var depth: Int

    package init(stuckAfter: UInt64, tier: Int = 0, weight: Int = 100, depth: Int = 1) {
        self.stuckAfter = stuckAfter
        self.tier = tier
        self.weight = max(weight, 1)
        self.depth = max(depth, 1)
    }
}

/// What is to be kept to with one operation, beside who may do it.
package struct OperationTerms: Sendable, Equatable {
    /// HSMs that list the key's label and hold another key under it: before a ciphertext is called invalid, they are
    /// tried, too.
    package var excluded: HSMSet
    /// Another node may be asked: where nothing here serves, the operation ends at once, while there is time for that.
    package var mayPassOn: Bool
    /// Names the key store: where more waits than lanes are free, key stores take turns.
    package var share: Int
    /// How many calls the request still takes, one after the other and this one included, 1 or more. It is let into the
    /// line when all of them can be made in time: the first alone would be for nothing.
    package var calls: Int
    /// An earlier call of the same request has been made: it was let in with that, and stands before all others.
    package var isContinuation: Bool
    /// Another node has passed it on because it has more than its HSMs can do: it is done while there is room, and
    /// refused before it holds up anybody who asks here.
    package var isSurplus: Bool

    package init(
        excluded: HSMSet = [], mayPassOn: Bool = false, share: Int = 0, calls: Int = 1, isContinuation: Bool = false,
        isSurplus: Bool = false
    ) {
        self.isSurplus = isSurplus
        self.excluded = excluded
        self.mayPassOn = mayPassOn
        self.share = share
        self.calls = max(calls, 1)
        self.isContinuation = isContinuation
    }
}

/// Names an operation in the pool. The number is never used again.
package struct OperationID: Sendable, Hashable {
    package var number: UInt64
    package init(number: UInt64) { self.number = number }
}

/// Names a lane: which HSM, and which of its lanes.
package struct LaneID: Sendable, Hashable {
    package var hsm: Int
    package var lane: Int

    package init(hsm: Int, lane: Int) {
        self.hsm = hsm
        self.lane = lane
    }

    /// Which of so many groups (event loops) it belongs to. Not its number alone: HSMs of one lane each are spread, too.
    package func group(among groups: Int) -> Int { (hsm + lane) % max(groups, 1) }
}

/// "Send this operation down that lane."
package struct Dispatch: Sendable, Equatable {
    package var operation: OperationID
    package var lane: LaneID
    /// The answer must carry it; any other answer is a late one.
    package var generation: UInt64
    /// After it nobody waits for the answer, nanoseconds of the monotonic clock.
    package var deadline: UInt64
    package var question = LaneQuestion.request
}

/// "Have that lane open its session, or close it."
package struct LaneOrder: Sendable, Equatable {
    package var lane: LaneID
    package var generation: UInt64
    /// `openSession` or `closeSession`.
    package var operation: LaneOperation
}

/// "Answer the caller."
package struct Finish: Sendable, Equatable {
    package var operation: OperationID
    package var outcome: OperationOutcome
    /// The HSM that decided it.
    package var hsm: Int?
    package var attempts: Int
    /// One of its attempts was a hedge.
    package var isHedged = false
    /// How long it stood in the line, nanoseconds.
    package var waited: UInt64 = 0
}

/// "Kill this HSM's worker and start another."
package struct Restart: Sendable, Equatable {
    package var hsm: Int
    package var reason: String
}

/// "Start a worker for this HSM." Of two such orders the one that is carried out first counts.
package struct WorkerStart: Sendable, Equatable {
    package var hsm: Int
    /// Pause before it, nanoseconds.
    package var pause: UInt64

    package init(hsm: Int, pause: UInt64) {
        self.hsm = hsm
        self.pause = pause
    }
}

/// What follows from one event. Names things by ID; the driver holds them.
package struct PoolActions: Sendable, Equatable {
    package var dispatches: [Dispatch] = []
    package var finishes: [Finish] = []
    package var restarts: [Restart] = []
    package var starts: [WorkerStart] = []
    package var laneOrders: [LaneOrder] = []
    /// HSMs whose worker is to probe now.
    package var probes: [Int] = []

    package init() {}

    package var isEmpty: Bool {
        dispatches.isEmpty && finishes.isEmpty && restarts.isEmpty && starts.isEmpty && laneOrders.isEmpty
            && probes.isEmpty
    }
}

/// Why requests were sent where they were sent, counted from the start.
package struct PoolCounters: Sendable, Equatable {
    package var operations: UInt64 = 0
    /// Attempts after a failure or a silence.
    package var retries: UInt64 = 0
    /// Attempts beside one that was only slower than usual.
    package var hedges: UInt64 = 0
    /// Hedges that answered first.
    package var hedgesWon: UInt64 = 0
    /// Retries and hedges that the budget did not allow.
    package var refusedByBudget: UInt64 = 0
    /// Workers that were started before their pause was over, because nothing served what requests asked for.
    package var startsOnDemand: UInt64 = 0
    /// Requests given to an HSM that was out, because no other could serve.
    package var lastResorts: UInt64 = 0
    /// Requests refused because more was asked than the HSMs can do.
    package var overloads: UInt64 = 0
    /// Refused ciphertexts that were looked into.
    package var checks: UInt64 = 0

    package init() {}
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// The limits a pool works within.
package struct PoolLimits: Sendable {
    /// Longest time one HSM may take before another is asked, nanoseconds.
    package var attempt: UInt64
    /// How often an operation is tried, the first time included.
    package var attempts: Int
    /// How many operations may wait for a free lane.
    package var waiting: Int
    /// How many soft failures in a row put an HSM last.
    package var softFailures: Int

    package init(
        attempt: UInt64 = 80_000_000, attempts: Int = 3, waiting: Int = 1024, softFailures: Int = 3
    ) {
        self.attempt = attempt
        self.attempts = attempts
        self.waiting = waiting
        self.softFailures = softFailures
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
}

/// "Send this operation down that lane."
package struct Dispatch: Sendable, Equatable {
    package var operation: OperationID
    package var lane: LaneID
    /// The answer must carry it; any other answer is a late one.
    package var generation: UInt64
    /// After it nobody waits for the answer, nanoseconds of the monotonic clock.
    package var deadline: UInt64
}

/// "Tell the caller."
package struct Finish: Sendable, Equatable {
    package var operation: OperationID
    package var outcome: OperationOutcome
    /// The HSM that decided it.
    package var hsm: Int?
    package var attempts: Int
}

/// "Kill this HSM's worker and start another."
package struct Restart: Sendable, Equatable {
    package var hsm: Int
    package var reason: String
}

/// What follows from one event. Names things by ID; the driver holds them.
package struct PoolActions: Sendable, Equatable {
    package var dispatches: [Dispatch] = []
    package var finishes: [Finish] = []
    package var restarts: [Restart] = []

    package init() {}
}

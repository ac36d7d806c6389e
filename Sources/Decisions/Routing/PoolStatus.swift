// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol

/// State of one HSM, as people, health answers and the store have it.
package enum HSMCondition: String, Sendable, CaseIterable {
    /// Its worker has not been ready yet.
    case starting
    /// It works, and gets its share.
    case active
    /// It gets requests, and something is wrong with it.
    case degraded
    /// Its worker is there, and it must show by a probe that it works before it gets requests.
    case probing
    /// It gets no requests.
    case unavailable
}

/// Recent times of an HSM's answers, from the frame that was sent to the answer, microseconds.
package struct LatencySummary: Sendable, Equatable {
    package var p50: UInt64
    package var p95: UInt64
    package var p99: UInt64

    package init(p50: UInt64, p95: UInt64, p99: UInt64) {
        self.p50 = p50
        self.p95 = p95
        self.p99 = p99
    }
}

/// What the router has learned of an HSM.
package struct LearnedService: Sendable, Equatable {
    /// How long one of its calls usually takes at present, nanoseconds.
    package var call: UInt64
    /// How many calls at a time it makes use of.
    package var calls: Int
    /// Calls a second that it can do; `nil` while none of its lanes can be used.
    package var perSecond: Int?

    package init(call: UInt64, calls: Int, perSecond: Int?) {
        self.call = call
        self.calls = calls
        self.perSecond = perSecond
    }
}

/// What HSMs could do beside what is asked of them.
package struct SpareRoom: Sendable, Equatable {
    /// Operations a second.
    package var perSecond: Int
    /// How long one takes, nanoseconds.
    package var call: UInt64

    package init(perSecond: Int, call: UInt64) {
        self.perSecond = perSecond
        self.call = call
    }
}

/// What an HSM does.
package struct HSMWork: Sendable, Equatable {
    /// Calls that returned in the last whole second.
    package var callsPerSecond: Int
    /// Calls since the node started that returned when nobody waited for them any more: the request had its answer from
    /// another call, or its time was over.
    package var thrownAway: UInt64
    /// For how long the oldest request waits that it could do, nanoseconds; `nil` where none waits.
    package var longestWait: UInt64?

    package init(callsPerSecond: Int = 0, thrownAway: UInt64 = 0, longestWait: UInt64? = nil) {
        self.callsPerSecond = callsPerSecond
        self.thrownAway = thrownAway
        self.longestWait = longestWait
    }
}

/// One HSM of the pool, as status and health show it.
package struct HSMStatus: Sendable, Equatable {
    package var name: String
    /// Path of its PKCS#11 library.
    package var module: String
    package var condition: HSMCondition
    /// Why, in words; empty when active.
    package var reason: String
    /// When the condition was entered, nanoseconds of the monotonic clock.
    package var since: UInt64
    package var identity: TokenIdentity?
    package var capabilities: TokenCapabilities?
    package var tier: Int
    package var weight: Int
    /// An operator has taken it out of use.
    package var isDrained: Bool
    /// `nil` until there have been enough answers.
    package var latency: LatencySummary?
    /// `nil` before its first answer.
    package var learned: LearnedService?
    package var work = HSMWork()
    /// Answers since the node started that were failures of the HSM.
    package var failures: UInt64
    package var lanesOpen: Int
    package var lanesBusy: Int
    package var lanesOverdue: Int
    /// Requests that were sent down busy lanes and wait behind their calls; 0 where `depth` is 1.
    package var queued: Int
    /// Keys that it holds.
    package var keys: Int
    /// Process id of the worker; 0 while there is none.
    package var workerPID: Int32

    package init(name: String, module: String, condition: HSMCondition, reason: String, since: UInt64) {
        self.name = name
        self.module = module
        self.condition = condition
        self.reason = reason
        self.since = since
        (tier, weight, isDrained) = (0, 100, false)
        (failures, lanesOpen, lanesBusy, lanesOverdue, queued, keys, workerPID) = (0, 0, 0, 0, 0, 0, 0)
    }
}

/// What an HSM's copy of a key is worth.
package enum KeyCell: String, Sendable, CaseIterable {
    /// It has opened the key's canary: the same key.
    case proven
    /// Not yet, or not at the moment.
    case unproven
    /// It holds another key under this label: it never serves it.
    case different
    /// Its attributes do not allow a proof: it never serves it.
    case unprovable
    /// It has no key of this label.
    case absent
}

/// One cell of the matrix key × HSM.
package struct KeyCellStatus: Sendable, Equatable {
    /// Name of the HSM.
    package var hsm: String
    package var cell: KeyCell
    /// What there is to say beside it, in words; may be empty.
    package var detail: String
    /// What the key's attributes allow.
    package var usage: KeyUsage
    /// Operations that the HSM has done with the key since the node started.
    package var encrypts: UInt64
    package var decrypts: UInt64

    package init(
        _ cell: KeyCell, hsm: String, detail: String = "", usage: KeyUsage = [], encrypts: UInt64 = 0,
        decrypts: UInt64 = 0
    ) {
        self.hsm = hsm
        self.cell = cell
        self.detail = detail
        self.usage = usage
        self.encrypts = encrypts
        self.decrypts = decrypts
    }
}

/// One row of the matrix key × HSM.
package struct KeyStatus: Sendable, Equatable {
    package var label: KeyLabel
    /// Name of the HSM that made the canary; `nil` while there is none.
    package var canaryMaker: String?
    /// Why it is refused everywhere; `nil` when it is not.
    package var dispute: String?
    /// What is odd about it and keeps it from nothing, a sentence each.
    package var complaints: [String]
    /// One for each HSM, in the order of the configuration.
    package var cells: [KeyCellStatus]
    /// By all HSMs, earlier processes included.
    package var uses = KeyUses()

    package init(
        label: KeyLabel, canaryMaker: String?, dispute: String?, complaints: [String] = [], cells: [KeyCellStatus]
    ) {
        self.label = label
        self.canaryMaker = canaryMaker
        self.dispute = dispute
        self.complaints = complaints
        self.cells = cells
    }
}

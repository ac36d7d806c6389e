// SPDX-License-Identifier: Apache-2.0

/// One HSM as the node sees it.
package struct HSMStatus: Sendable, Equatable, Codable {
    /// Sessions with the token, each served by a lane.
    package struct Lanes: Sendable, Equatable, Codable {
        /// Lanes that have a session.
        package var open: Int
        /// Those of them that work on a request.
        package var inUse: Int
        /// Those of them whose call has outlasted its deadline.
        package var overdue: Int
        /// Requests that were sent down lanes in use and wait behind their calls (`depth` in the configuration).
        package var queued: Int

        package init(open: Int, inUse: Int, overdue: Int, queued: Int = 0) {
            self.open = open
            self.inUse = inUse
            self.overdue = overdue
            self.queued = queued
        }
    }

    /// How long its calls take, microseconds; the recent ones count more.
    package struct Latency: Sendable, Equatable, Codable {
        package var p50: UInt64
        package var p95: UInt64
        package var p99: UInt64

        package init(p50: UInt64, p95: UInt64, p99: UInt64) {
            self.p50 = p50
            self.p95 = p95
            self.p99 = p99
        }
    }

    /// What the router has learned from its recent calls, and goes by.
    package struct Learned: Sendable, Equatable, Codable {
        /// How long one call usually takes at present, microseconds.
        package var callMicroseconds: UInt64
        /// How many calls at a time it makes use of: more would only wait for each other inside of it.
        package var usefulCalls: Int
        /// Calls a second that it can do; `nil` while none of its lanes can be used, and of a node of an earlier version.
        package var callsPerSecond: Int?

        package init(callMicroseconds: UInt64, usefulCalls: Int, callsPerSecond: Int? = nil) {
            self.callMicroseconds = callMicroseconds
            self.usefulCalls = usefulCalls
            self.callsPerSecond = callsPerSecond
        }
    }

    /// What it does.
    package struct Work: Sendable, Equatable, Codable {
        /// Calls that returned in the last whole second.
        package var callsPerSecond: Int
        /// Calls since the node started that returned when nobody waited for them any more: the request had its answer
        /// from another call, or its time was over.
        package var thrownAway: UInt64
        /// For how long the oldest request waits that it could do, microseconds; `nil` where none waits.
        package var longestWaitMicroseconds: UInt64?

        package init(callsPerSecond: Int = 0, thrownAway: UInt64 = 0, longestWaitMicroseconds: UInt64? = nil) {
            self.callsPerSecond = callsPerSecond
            self.thrownAway = thrownAway
            self.longestWaitMicroseconds = longestWaitMicroseconds
        }
    }

    /// The HSM's name in the configuration.
    package var name: String
    /// CK_TOKEN_INFO, as far as the token has been seen.
    package var tokenLabel: String?
    package var serial: String?
    package var model: String?
    package var firmware: String?
    package var state: HSMState
    /// Why it is in this state, for people; `nil` where there is nothing to say.
    package var reason: String?
    /// When it came into this state, seconds since 1970 UTC.
    package var sinceUnixSeconds: Int64
    package var lanes: Lanes
    /// Keys that it can serve.
    package var keys: Int
    /// 0 to 9; HSMs of a higher tier are asked when none of the lower ones can serve. `nil` where only the store
    /// reports of the HSM, which does not know the configuration.
    package var tier: Int?
    /// 1 to 1000; its share among the HSMs of its tier. `nil` as with `tier`.
    package var weight: Int?
    /// Taken out of service by an operator, until an operator puts it back.
    package var drained: Bool
    /// Since when, seconds since 1970 UTC; `nil` where it is not drained, and of a node of an earlier version.
    package var drainedSinceUnixSeconds: Int64?
    /// `nil` until it has answered anything.
    package var latencyMicroseconds: Latency?
    /// `nil` until it has answered anything, and of a node of an earlier version.
    package var learned: Learned?
    /// `nil` where only the store reports of the HSM, and of a node of an earlier version.
    package var work: Work?
    /// What its library is kept from. `nil` where only the store reports of the HSM, where its worker has not begun, and of
    /// a node of an earlier version.
    package var compartment: Compartment?
    /// Why its new settings are not in force, and it goes on by the former ones; `nil` where that is not so.
    package var settingsRefused: String?
    /// What is odd about its token beside the keys that are served: labels that can be no external key id, or are no text.
    /// They name keys. `nil` where there is nothing, where only the store reports, and of a node of an earlier version.
    package var complaints: [String]?
    /// By its probes, one call takes longer than a request may take, so that requests to it time out. `nil` where that is not
    /// so, where only the store reports, and of a node of an earlier version.
    package var missesDeadline: Bool?

    package init(
        name: String, tokenLabel: String? = nil, serial: String? = nil, model: String? = nil, firmware: String? = nil,
        state: HSMState, reason: String? = nil, sinceUnixSeconds: Int64, lanes: Lanes, keys: Int, tier: Int? = nil,
        weight: Int? = nil, drained: Bool = false, latencyMicroseconds: Latency? = nil,
        learned: Learned? = nil, work: Work? = nil, compartment: Compartment? = nil,
        settingsRefused: String? = nil, complaints: [String]? = nil, missesDeadline: Bool = false
    ) {
        self.missesDeadline = missesDeadline ? true : nil
        self.complaints = complaints
        self.settingsRefused = settingsRefused
        self.compartment = compartment
        self.work = work
        self.name = name
        self.tokenLabel = tokenLabel
        self.serial = serial
        self.model = model
        self.firmware = firmware
        self.state = state
        self.reason = reason
        self.sinceUnixSeconds = sinceUnixSeconds
        self.lanes = lanes
        self.keys = keys
        self.tier = tier
        self.weight = weight
        self.drained = drained
        self.latencyMicroseconds = latencyMicroseconds
        self.learned = learned
    }

    /// Without what names keys.
    package var withoutNames: HSMStatus {
        var hsm = self
        hsm.complaints = nil
        return hsm
    }

    /// Whether requests are given to it.
    package var canServe: Bool { state.canServe && !drained }
}

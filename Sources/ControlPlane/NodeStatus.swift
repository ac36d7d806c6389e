// SPDX-License-Identifier: Apache-2.0

/// What a node knows of itself, at one moment; what people, load balancers and monitoring are shown.
package struct NodeStatus: Sendable, Equatable, Encodable {
    /// In one word what a person wants to know first.
    package enum Verdict: String, Sendable, Encodable {
        /// Every HSM is active.
        case active = "ACTIVE"
        /// The node serves, and somebody should look at an HSM.
        case degraded = "DEGRADED"
        /// No HSM can serve.
        case unavailable = "UNAVAILABLE"
    }

    /// The node's name in the configuration.
    package var node: String
    package var version: String
    /// True once the node has been told to end: it finishes what is in flight and wants no new requests.
    package var draining: Bool
    /// In the order of the configuration.
    package var hsms: [HSMStatus]

    package init(node: String, version: String, draining: Bool, hsms: [HSMStatus]) {
        self.node = node
        self.version = version
        self.draining = draining
        self.hsms = hsms
    }

    package var verdict: Verdict {
        if !hsms.contains(where: \.state.canServe) { return .unavailable }
        return hsms.allSatisfy { $0.state == .active } ? .active : .degraded
    }

    /// Whether a load balancer should send requests here.
    package var isReady: Bool { !draining && verdict != .unavailable }
}

/// One HSM as the node sees it.
package struct HSMStatus: Sendable, Equatable, Encodable {
    package enum State: String, Sendable, Encodable, CaseIterable {
        /// Its worker has not logged in yet.
        case starting
        case active
        /// It serves, and something is wrong with it.
        case degraded
        case unavailable

        /// Whether requests are given to it.
        package var canServe: Bool { self == .active || self == .degraded }
    }

    /// Sessions with the token, each served by a lane.
    package struct Lanes: Sendable, Equatable, Encodable {
        /// Lanes that have a session.
        package var open: Int
        /// Those of them that work on a request.
        package var inUse: Int
        /// Those of them whose call has outlasted its deadline.
        package var overdue: Int

        package init(open: Int, inUse: Int, overdue: Int) {
            self.open = open
            self.inUse = inUse
            self.overdue = overdue
        }
    }

    /// The HSM's name in the configuration.
    package var name: String
    /// CK_TOKEN_INFO, as far as the token has been seen.
    package var tokenLabel: String?
    package var serial: String?
    package var model: String?
    package var firmware: String?
    package var state: State
    /// Why it is in this state, for people; `nil` where there is nothing to say.
    package var reason: String?
    /// When it came into this state, seconds since 1970 UTC.
    package var sinceUnixSeconds: Int64
    package var lanes: Lanes
    /// Keys that it can serve.
    package var keys: Int

    package init(
        name: String, tokenLabel: String? = nil, serial: String? = nil, model: String? = nil, firmware: String? = nil,
        state: State, reason: String? = nil, sinceUnixSeconds: Int64, lanes: Lanes, keys: Int
    ) {
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
    }
}

/// Tells the node's status from what is known at the moment. Never asks an HSM, and never waits.
package protocol NodeStatusSource: Sendable {
    func status() -> NodeStatus
}

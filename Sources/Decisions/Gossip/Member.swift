// SPDX-License-Identifier: Apache-2.0

/// Who a node is. The name stands in its certificate; the incarnation grows with each start and each refutation.
package struct NodeIdentity: Sendable, Equatable, Codable {
    /// `node.id` of its configuration: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    package var name: String
    /// `cluster.advertise`: host and port where peers reach it.
    package var address: String
    /// `node.site`.
    package var site: String
    /// SWIM section 4.2: only the node itself raises it.
    package var incarnation: UInt64

    package init(name: String, address: String, site: String, incarnation: UInt64) {
        self.name = name
        self.address = address
        self.site = site
        self.incarnation = incarnation
    }
}

/// What is believed of a node's life.
package enum Liveness: String, Sendable, Codable, CaseIterable {
    case alive
    /// It did not answer; it is given time to say that it lives (SWIM section 4.2).
    case suspect
    /// It did not say so in time.
    case dead
    /// It said goodbye, as the last thing it did; or an operator has ordered that it be forgotten.
    case left
}

/// A node of the cluster as this node sees it.
package struct Member: Sendable, Equatable {
    package var identity: NodeIdentity
    package var liveness: Liveness
    /// What it last said of itself; `nil` until it has said anything.
    package var facts: NodeFacts?
    /// Smoothed time of a probe and its answer, microseconds; `nil` until one was measured.
    package var roundTrip: UInt32?
    /// When its liveness last changed, nanoseconds of the monotonic clock.
    package var since: UInt64
    /// When a message from itself was last received; `nil` where there are only reports of others.
    package var lastReceived: UInt64?
    /// It spoke to this node in an earlier run.
    package var isRemembered: Bool
    /// An operator has ordered that it be counted on no longer. Then it has `left`.
    package var forgotten: ForgetNodeOrder?
    /// A greater incarnation that others report, while the node itself has not spoken of it.
    package var unconfirmedIncarnation: UInt64?
    /// Digest of its configuration, as it last reported to this node itself; `nil` until it has. What others pass on of
    /// it may be made up.
    package var ownConfiguration: String?
    /// How often its list of blocks has changed, as it reported to this node itself, in this run or an earlier one.
    package var blockChanges: ChangeCount?
    /// Since when this node cannot reach it though it reaches this node, nanoseconds of the monotonic clock; `nil` where
    /// that is not so.
    package var unreachedSince: UInt64?

    package init(
        identity: NodeIdentity, liveness: Liveness, facts: NodeFacts? = nil, roundTrip: UInt32? = nil, since: UInt64,
        lastReceived: UInt64? = nil, isRemembered: Bool = false, forgotten: ForgetNodeOrder? = nil,
        unconfirmedIncarnation: UInt64? = nil, ownConfiguration: String? = nil, blockChanges: ChangeCount? = nil
    ) {
        self.identity = identity
        self.liveness = liveness
        self.facts = facts
        self.roundTrip = roundTrip
        self.since = since
        self.lastReceived = lastReceived
        self.isRemembered = isRemembered
        self.forgotten = forgotten
        self.unconfirmedIncarnation = unconfirmedIncarnation
        self.ownConfiguration = ownConfiguration
        self.blockChanges = blockChanges
    }

    /// Whether it has said anything to this node itself since this node started. Whoever was only spoken of counts for
    /// nothing: others may be mistaken, or lie.
    package var hasSpoken: Bool { lastReceived != nil }

    /// Whether orders wait for it: it has spoken to this node at some time, and has not said that it ended. Whoever is
    /// cut off may still serve.
    package var isAwaited: Bool { (hasSpoken || isRemembered) && liveness != .left }

    /// Alive or only suspected: SWIM goes on treating a suspect as a member.
    package var isLive: Bool { liveness == .alive || liveness == .suspect }
}

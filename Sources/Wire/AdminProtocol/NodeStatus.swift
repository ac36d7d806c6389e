// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// What a node knows of itself, at one moment; what people, load balancers and monitoring are shown.
package struct NodeStatus: Sendable, Equatable {
    /// In one word what a person wants to know first.
    package enum Verdict: String, Sendable, Codable {
        /// Every HSM is active and has every key, and the store works.
        case active = "ACTIVE"
        /// The node serves, and somebody should look at an HSM, a key, the store, or what other nodes say.
        case degraded = "DEGRADED"
        /// No HSM can serve and nothing can be passed on to another node, or every request is refused.
        case unavailable = "UNAVAILABLE"
    }

    /// The node's name in the configuration.
    package var node: String
    package var version: String
    /// True once the node has been asked to end: it finishes what is in flight and wants no new requests.
    package var draining: Bool
    /// In the order of the configuration.
    package var hsms: [HSMStatus]
    /// What the node keeps for its next start, and for the command line.
    package var store: StoreStatus
    /// The keys that key stores offer, by label.
    package var keys: [KeyStatus]
    /// Whether requests that no HSM here can serve are passed on to another node that can serve.
    package var canForward: Bool
    /// Why every request is refused: the list of blocks has been lost. `nil` while it is known.
    package var blocksUnknown: String?
    /// Keys that other nodes prove otherwise than this one, a sentence each that names the key and both nodes.
    package var disagreements: [String]
    /// That more is asked of the HSMs than they can do, with both figures; `nil` while it is not.
    package var overload: String?
    /// What live connections have agreed on; empty from a node that does not report it.
    package var links: [LinkStatus]
    /// Whom the listeners have turned away, the latest first; `nil` of a node that does not say.
    package var refusals: [RefusalStatus]?
    /// `nil` of a node that does not say.
    package var log: LogStatus?
    /// `nil` of a node that does not say.
    package var descriptors: DescriptorStatus?
    /// Who holds connections; `nil` of a node that does not run, or is older than this.
    package var limits: LimitsStatus?
    /// What others say of its clock; `nil` in a status from the store, and of a node of an earlier version.
    package var clock: ClockStatus?
    /// Of the key stores that have a quota; `nil` where none has, and in a status from the store.
    package var quotas: [QuotaStatus]?
    /// The credentials of the key stores, in the order of the configuration; `nil` in a status from the store, and of a
    /// node of an earlier version.
    package var credentials: [CredentialStatus]?
    /// `nil` where no audit log is written, and in a status from the store.
    package var audit: AuditStatus?
    /// What a person should know of, the gravest first: what the verdict is made from. Empty until it has been judged.
    package var conditions: [Condition]

    package init(
        node: String, version: String, draining: Bool, hsms: [HSMStatus], store: StoreStatus = .ok,
        keys: [KeyStatus] = [], canForward: Bool = false, blocksUnknown: String? = nil, disagreements: [String] = [],
        overload: String? = nil, links: [LinkStatus] = [], refusals: [RefusalStatus]? = nil, log: LogStatus? = nil,
        descriptors: DescriptorStatus? = nil, limits: LimitsStatus? = nil,
        clock: ClockStatus? = nil, quotas: [QuotaStatus]? = nil, audit: AuditStatus? = nil,
        conditions: [Condition] = [], credentials: [CredentialStatus]? = nil
    ) {
        self.credentials = credentials
        self.conditions = conditions
        self.quotas = quotas
        self.audit = audit
        self.links = links
        self.overload = overload
        self.refusals = refusals
        self.log = log
        self.descriptors = descriptors
        self.limits = limits
        self.clock = clock
        self.node = node
        self.version = version
        self.draining = draining
        self.hsms = hsms
        self.store = store
        self.keys = keys
        self.canForward = canForward
        self.blocksUnknown = blocksUnknown
        self.disagreements = disagreements
    }

    package var verdict: Verdict { Self.verdict(of: conditions) }

    package static func verdict(of conditions: [Condition]) -> Verdict {
        if conditions.contains(where: { $0.severity == .critical }) { return .unavailable }
        return conditions.contains { $0.severity == .warning } ? .degraded : .active
    }

    /// Whether a load balancer should send requests here: an HSM of this node can serve, or another node can for it. A
    /// node that refuses everything wants none: its peers may know the blocks that it has lost.
    package var isReady: Bool { !draining && verdict != .unavailable }

    /// Whether an HSM of this node is given requests.
    package var hasUsableHSM: Bool { hsms.contains(where: \.canServe) }

    /// Keys that at least one HSM may serve.
    package var keysServed: Int { keys.count(where: \.isServed) }

    /// Keys that an HSM may not serve, because it lacks them or holds others under their labels, and disputed ones.
    package var keysExcluded: Int { keys.count { !$0.isWhole } }

    /// How many HSMs of this node may still be lost before none serves the key: -1 where none does.
    package func spareHSMs(of key: KeyStatus) -> Int {
        guard key.disputed == nil else { return -1 }
        return hsms.count { $0.canServe && key.cells[$0.name]?.isServing == true } - 1
    }
}

/// Whether the node's database takes what it is given. The node serves without it.
package enum StoreStatus: Sendable, Equatable {
    case ok
    /// Why, for people.
    case failing(reason: String)
}

/// `{"state": "ok"}` or `{"state": "failing", "reason": "…"}`.
extension StoreStatus: Codable {
    private enum CodingKeys: String, CodingKey {
        case state, reason
    }

    private enum State: String, Codable {
        case ok, failing
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        switch try container.decode(State.self, forKey: .state) {
        case .ok: self = .ok
        case .failing: self = .failing(reason: try container.decode(String.self, forKey: .reason))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .ok: try container.encode(State.ok, forKey: .state)
        case .failing(let reason):
            try container.encode(State.failing, forKey: .state)
            try container.encode(reason, forKey: .reason)
        }
    }
}

/// Gives the node's status from what is known at the moment. Never asks an HSM, and never waits.
package protocol NodeStatusSource: Sendable {
    func status() -> NodeStatus
    /// The cluster as this node sees it; without a cluster, this node alone.
    func clusterHealth() -> ClusterHealth
    /// Counters and gauges in the text format of Prometheus.
    func metrics() -> String
}

// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// A change of an HSM's state, and its cause.
package struct HSMTransition: Sendable, Equatable, Codable {
    /// Seconds since 1970 UTC.
    package var atUnixSeconds: Int64
    /// The HSM's name in the configuration.
    package var hsm: String
    package var from: HSMState
    package var to: HSMState
    /// For people; `nil` where there is nothing to say.
    package var reason: String?

    package init(
        atUnixSeconds: Int64, hsm: String, from: HSMState, to: HSMState, reason: String? = nil
    ) {
        self.atUnixSeconds = atUnixSeconds
        self.hsm = hsm
        self.from = from
        self.to = to
        self.reason = reason
    }
}

/// Everything that an operator is shown of a node.
package struct AdminStatus: Sendable, Equatable {
    /// Most transitions that are reported.
    package static let transitionLimit = 50

    package var status: NodeStatus
    /// Newest first, at most `transitionLimit`.
    package var transitions: [HSMTransition]
    /// False when this is what the store remembers of a node that has ended.
    package var running: Bool
    /// When all this was so, seconds since 1970 UTC.
    package var asOfUnixSeconds: Int64

    /// Transitions beyond `transitionLimit` are left out.
    package init(status: NodeStatus, transitions: [HSMTransition], running: Bool = true, asOfUnixSeconds: Int64) {
        self.status = status
        self.transitions = Array(transitions.prefix(Self.transitionLimit))
        self.running = running
        self.asOfUnixSeconds = asOfUnixSeconds
    }

    /// A node that does not run cannot serve, whatever it could.
    package var verdict: NodeStatus.Verdict { running ? status.verdict : .unavailable }
}

/// One flat object. The verdict is reported, and follows from the conditions when it is read back.
extension AdminStatus: Codable {
    private enum CodingKeys: String, CodingKey {
        case node, version, draining, hsms, store, keys, canForward, blocksUnknown, disagreements, overload, links,
            refusals, log, descriptors, limits, clock, quotas, audit, credentials, conditions
        case transitions, running, asOfUnixSeconds, verdict
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let running = try container.decode(Bool.self, forKey: .running)
        let status = NodeStatus(
            node: try container.decode(String.self, forKey: .node),
            version: try container.decode(String.self, forKey: .version),
            draining: try container.decode(Bool.self, forKey: .draining),
            hsms: try container.decode([HSMStatus].self, forKey: .hsms),
            store: try container.decode(StoreStatus.self, forKey: .store),
            keys: try container.decode([KeyStatus].self, forKey: .keys),
            canForward: try container.decode(Bool.self, forKey: .canForward),
            blocksUnknown: try container.decodeIfPresent(String.self, forKey: .blocksUnknown),
            disagreements: try container.decode([String].self, forKey: .disagreements),
            overload: try container.decodeIfPresent(String.self, forKey: .overload),
            links: try container.decodeIfPresent([LinkStatus].self, forKey: .links) ?? [],
            refusals: try container.decodeIfPresent([RefusalStatus].self, forKey: .refusals),
            log: try container.decodeIfPresent(LogStatus.self, forKey: .log),
            descriptors: try container.decodeIfPresent(DescriptorStatus.self, forKey: .descriptors),
            limits: try container.decodeIfPresent(LimitsStatus.self, forKey: .limits),
            clock: try container.decodeIfPresent(ClockStatus.self, forKey: .clock),
            quotas: try container.decodeIfPresent([QuotaStatus].self, forKey: .quotas),
            audit: try container.decodeIfPresent(AuditStatus.self, forKey: .audit),
            conditions: try container.decodeIfPresent([Condition].self, forKey: .conditions)
                ?? (running ? Self.unnamed(try container.decode(NodeStatus.Verdict.self, forKey: .verdict)) : []),
            credentials: try container.decodeIfPresent([CredentialStatus].self, forKey: .credentials))
        self.init(
            status: status, transitions: try container.decode([HSMTransition].self, forKey: .transitions),
            running: running,
            asOfUnixSeconds: try container.decode(Int64.self, forKey: .asOfUnixSeconds))
    }

    /// A node of an earlier version says how it is, and not by which conditions.
    private static func unnamed(_ verdict: NodeStatus.Verdict) -> [Condition] {
        let text = "the node is of an earlier version, and does not name what is wrong"
        return switch verdict {
        case .active: []
        case .degraded: [Condition(code: "unnamed", severity: .warning, node: "", text: text)]
        case .unavailable: [Condition(code: "unnamed", severity: .critical, node: "", text: text)]
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(status.node, forKey: .node)
        try container.encode(status.version, forKey: .version)
        try container.encode(status.draining, forKey: .draining)
        try container.encode(status.hsms, forKey: .hsms)
        try container.encode(status.store, forKey: .store)
        try container.encode(status.keys, forKey: .keys)
        try container.encode(status.canForward, forKey: .canForward)
        try container.encodeIfPresent(status.blocksUnknown, forKey: .blocksUnknown)
        try container.encode(status.disagreements, forKey: .disagreements)
        try container.encodeIfPresent(status.overload, forKey: .overload)
        if !status.links.isEmpty { try container.encode(status.links, forKey: .links) }
        try container.encodeIfPresent(status.refusals, forKey: .refusals)
        try container.encodeIfPresent(status.log, forKey: .log)
        try container.encodeIfPresent(status.descriptors, forKey: .descriptors)
        try container.encodeIfPresent(status.limits, forKey: .limits)
        try container.encodeIfPresent(status.clock, forKey: .clock)
        try container.encodeIfPresent(status.quotas, forKey: .quotas)
        try container.encodeIfPresent(status.credentials, forKey: .credentials)
        try container.encodeIfPresent(status.audit, forKey: .audit)
        try container.encode(status.conditions, forKey: .conditions)
        try container.encode(transitions, forKey: .transitions)
        try container.encode(running, forKey: .running)
        try container.encode(asOfUnixSeconds, forKey: .asOfUnixSeconds)
        try container.encode(verdict, forKey: .verdict)
    }
}

// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// The whole cluster as one node sees it: `GET /cluster/health`. docs/reference/http-api.md documents the schema.
package struct ClusterHealth: Sendable, Equatable, Codable {
    /// Of this schema. Fields are added within a version; one that changes its meaning makes another.
    package static let schemaVersion = 1

    package var schema: Int
    /// The node that says this.
    package var node: String
    package var verdict: NodeStatus.Verdict
    /// Why the verdict is not ACTIVE, one sentence each, the gravest first.
    package var reasons: [String]
    /// What people should know besides, and nobody has to mend: one sentence each.
    package var notes: [String]
    /// Everything that a person should know of, the gravest first: what `verdict`, `reasons` and `notes` are made from.
    /// `nil` from a node of an earlier version.
    package var conditions: [Condition]?
    /// False when `[cluster]` is not configured: then the only node is this one.
    package var isClustered: Bool
    /// This node first, then by name.
    package var nodes: [ClusterNode]
    /// The keys of this node.
    package var keys: [KeyStatus]
    /// Keys of this node that at least one of its HSMs may serve, and keys that one of them may not, or that are
    /// disputed.
    package var keysServed: Int
    package var keysExcluded: Int
    package var blocks: BlockListing
    /// What this node's cluster listener has dropped since it began, by reason; reasons that never occurred are left out.
    package var dropped: [String: UInt64]
    package var asOfUnixSeconds: Int64

    package init(
        node: String, verdict: NodeStatus.Verdict, reasons: [String], notes: [String] = [],
        conditions: [Condition]? = nil, isClustered: Bool, nodes: [ClusterNode], keys: [KeyStatus],
        blocks: BlockListing, dropped: [String: UInt64] = [:],
        asOfUnixSeconds: Int64
    ) {
        schema = Self.schemaVersion
        self.node = node
        self.verdict = verdict
        self.reasons = reasons
        self.notes = notes
        self.conditions = conditions
        self.isClustered = isClustered
        self.nodes = nodes
        self.keys = keys
        keysServed = keys.count(where: \.isServed)
        keysExcluded = keys.count { !$0.isWhole }
        self.blocks = blocks
        self.dropped = dropped
        self.asOfUnixSeconds = asOfUnixSeconds
    }

    /// How many nodes may still be lost: live ones that serve all their keys, less one.
    package var spareNodes: Int {
        nodes.count { $0.isLive && !$0.draining && $0.hasUsableHSM && $0.keysUnserved == 0 } - 1
    }

    /// As it is shown to everybody who reaches the control listener. Which keys there are, and whom an operator has cut
    /// off and why, is shown at the admin socket only: labels and reasons may say more of an owner's business than
    /// everybody in the network need know. Reasons and notes name neither.
    package var withoutNames: ClusterHealth {
        var health = self
        health.keys = []
        health.conditions = conditions?.map(\.withoutNames)
        for index in health.nodes.indices {
            health.nodes[index].unservedKeys = []
            health.nodes[index].certificates = []
            health.nodes[index].conditions = nodes[index].conditions.map(\.withoutNames)
        }
        for index in health.blocks.blocks.indices {
            let block = health.blocks.blocks[index]
            // What kind of target it is stands before the first blank.
            health.blocks.blocks[index].target = String(block.target.prefix { $0 != " " })
            health.blocks.blocks[index].reason = ""
            health.blocks.blocks[index].madeBy = ""
        }
        return health
    }
}

/// One node of it.
package struct ClusterNode: Sendable, Equatable, Codable {
    package enum Liveness: String, Sendable, Codable {
        case alive, suspect, dead, left
        /// Others report it, and it has not spoken to this node yet: it counts for nothing.
        case unconfirmed
    }

    package struct HSM: Sendable, Equatable, Codable {
        package var name: String
        package var serial: String
        package var model: String
        package var state: HSMState
        package var drained: Bool

        package init(name: String, serial: String, model: String, state: HSMState, drained: Bool) {
            self.name = name
            self.serial = serial
            self.model = model
            self.state = state
            self.drained = drained
        }
    }

    /// A list of blocks that has seen fewer changes than it had: the state directory was put back to an earlier state.
    package struct Restored: Sendable, Equatable, Codable {
        /// Changes that the node reported before.
        package var rememberedChanges: UInt64
        /// Changes that it reports now.
        package var toldChanges: UInt64
        package var sinceUnixSeconds: Int64

        package init(rememberedChanges: UInt64, toldChanges: UInt64, sinceUnixSeconds: Int64) {
            self.rememberedChanges = rememberedChanges
            self.toldChanges = toldChanges
            self.sinceUnixSeconds = sinceUnixSeconds
        }
    }

    package var name: String
    package var site: String
    package var address: String
    package var liveness: Liveness
    package var sinceUnixSeconds: Int64
    package var draining: Bool
    package var version: String
    package var incarnation: UInt64
    /// Of a probe and its answer; `nil` for this node, and until one was measured.
    package var roundTripMicroseconds: UInt32?
    package var inFlight: UInt32
    /// Operations that its HSMs have done since it started.
    package var encrypts: UInt64
    package var decrypts: UInt64
    /// What differs from this node: `configuration`, `canaries`, `blocks`, `refused` (certificates).
    package var drift: [String]
    package var hsms: [HSM]
    /// Labels of keys that it offers and cannot serve at the moment; the first ones.
    package var unservedKeys: [String]
    /// How many such keys there are, where they are more than are named.
    package var unservedCount: UInt32
    /// Where another node of this name has been seen lately; left out where none was.
    package var twinAddress: String?
    /// `user@node` by whose order it is counted on no longer.
    package var forgottenBy: String?
    /// Whether orders wait for it: it may still serve.
    package var isAwaited: Bool
    /// Left out where its state was not put back, as far as this node can know.
    package var restored: Restored?
    /// Serial numbers of the certificates that it shows this node at the moment; two are two nodes of one name, or one
    /// that has just been given another certificate. Empty from a node that does not report them.
    package var certificates: [String]
    /// Nodes that it cannot reach though they reach it, by name, as it says. Empty from a node that does not report them.
    package var unreached: [String]
    /// What it reports of itself that does not follow from the rest. Empty from a node that does not report them.
    package var conditions: [Condition]
    /// When the first of the certificates that it shows ends, Unix seconds. `nil` from a node that
    /// shows none, or does not say.
    package var certificateEnd: Int64?

    package init(
        name: String, site: String, address: String, liveness: Liveness, sinceUnixSeconds: Int64, draining: Bool,
        version: String, incarnation: UInt64, roundTripMicroseconds: UInt32?, inFlight: UInt32, encrypts: UInt64,
        decrypts: UInt64, drift: [String], hsms: [HSM], unservedKeys: [String], unservedCount: UInt32? = nil,
        twinAddress: String? = nil, forgottenBy: String? = nil, isAwaited: Bool = true, restored: Restored? = nil,
        certificates: [String] = [], unreached: [String] = [], conditions: [Condition] = [],
        certificateEnd: Int64? = nil
    ) {
        self.certificateEnd = certificateEnd
        self.name = name
        self.site = site
        self.address = address
        self.liveness = liveness
        self.sinceUnixSeconds = sinceUnixSeconds
        self.draining = draining
        self.version = version
        self.incarnation = incarnation
        self.roundTripMicroseconds = roundTripMicroseconds
        self.inFlight = inFlight
        self.encrypts = encrypts
        self.decrypts = decrypts
        self.drift = drift
        self.hsms = hsms
        self.unservedKeys = unservedKeys
        self.unservedCount = unservedCount ?? UInt32(clamping: unservedKeys.count)
        self.twinAddress = twinAddress
        self.forgottenBy = forgottenBy
        self.isAwaited = isAwaited
        self.restored = restored
        self.certificates = certificates
        self.unreached = unreached
        self.conditions = conditions
    }

    /// A node of 16631be reports neither how many keys are unserved nor for whom orders wait.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let liveness = try values.decode(Liveness.self, forKey: .liveness)
        self.init(
            name: try values.decode(String.self, forKey: .name), site: try values.decode(String.self, forKey: .site),
            address: try values.decode(String.self, forKey: .address), liveness: liveness,
            sinceUnixSeconds: try values.decode(Int64.self, forKey: .sinceUnixSeconds),
            draining: try values.decode(Bool.self, forKey: .draining),
            version: try values.decode(String.self, forKey: .version),
            incarnation: try values.decode(UInt64.self, forKey: .incarnation),
            roundTripMicroseconds: try values.decodeIfPresent(UInt32.self, forKey: .roundTripMicroseconds),
            inFlight: try values.decode(UInt32.self, forKey: .inFlight),
            encrypts: try values.decode(UInt64.self, forKey: .encrypts),
            decrypts: try values.decode(UInt64.self, forKey: .decrypts),
            drift: try values.decode([String].self, forKey: .drift),
            hsms: try values.decode([HSM].self, forKey: .hsms),
            unservedKeys: try values.decode([String].self, forKey: .unservedKeys),
            unservedCount: try values.decodeIfPresent(UInt32.self, forKey: .unservedCount),
            twinAddress: try values.decodeIfPresent(String.self, forKey: .twinAddress),
            forgottenBy: try values.decodeIfPresent(String.self, forKey: .forgottenBy),
            isAwaited: try values.decodeIfPresent(Bool.self, forKey: .isAwaited) ?? (liveness != .left),
            restored: try values.decodeIfPresent(Restored.self, forKey: .restored),
            certificates: try values.decodeIfPresent([String].self, forKey: .certificates) ?? [],
            unreached: try values.decodeIfPresent([String].self, forKey: .unreached) ?? [],
            conditions: try values.decodeIfPresent([Condition].self, forKey: .conditions) ?? [],
            certificateEnd: try values.decodeIfPresent(Int64.self, forKey: .certificateEnd))
    }
}

extension ClusterNode {
    /// SWIM goes on treating a suspect as a member. Who was only reported is none yet.
    package var isLive: Bool { liveness == .alive || liveness == .suspect }

    /// How many keys it offers and cannot serve at the moment.
    package var keysUnserved: Int { max(Int(unservedCount), unservedKeys.count) }

    /// Whether it has an HSM that is given requests.
    package var hasUsableHSM: Bool { hsms.contains(where: \.canServe) }
}

extension ClusterNode.HSM {
    /// Whether requests are given to it.
    package var canServe: Bool { state.canServe && !drained }
}

// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// What a node says of itself, for the others to show, to choose by, and to compare with their own. Nothing in it is
/// secret. Kept small: it travels in every message.
package struct NodeFacts: Sendable, Equatable, Codable {
    /// Most HSMs that are reported; more than one node can have (`HSMSet.capacity` of Routing).
    package static let mostHSMs = 64
    /// Most keys that are named one by one.
    package static let mostUnservedKeys = 32
    /// Most nodes that are named as not to be reached.
    package static let mostUnreached = 16
    /// Most conditions that are reported, the gravest first, and most lines of details of one.
    package static let mostConditions = 16
    package static let mostDetails = 3
    /// Most access keys of which it is told when they were used, those that were used last.
    package static let mostCredentials = 64
    /// Most keys of which it is told how often the node has encrypted under them, those used most.
    package static let mostKeyUses = 32

    /// Grows with each change within one incarnation: of two facts of a node the one with the greater
    /// (incarnation, revision) holds.
    package var revision: UInt64
    /// True once the node has been asked to end: it finishes what it has and wants nothing new.
    package var isDraining: Bool
    /// Product version, for example `0.3.0`.
    package var version: String
    /// Digest of the configuration that all nodes must share: key stores, keys, credentials' ids, regions, AAD form.
    /// Lower-case hex.
    package var configuration: String
    /// Digest of the canaries: equal when two nodes prove keys by the same ones.
    package var canaries: String
    /// Digest of the block list.
    package var blocks: String
    /// Durable changes that the block list has seen; `nil` while the list is not known, and from a node that does not
    /// count them. It goes back when the node's state directory is put back to an earlier state, and never else.
    package var blockChanges: UInt64?
    /// Requests being worked on.
    package var inFlight: UInt32
    /// Keys used since the node started: operations that HSMs have done.
    package var encrypts: UInt64
    package var decrypts: UInt64
    package var hsms: [HSMFact]
    /// Labels of keys that the node offers and at the moment cannot serve; the first `mostUnservedKeys` by name.
    package var unservedKeys: [String]
    /// How many they are.
    package var unservedCount: UInt32
    /// All of them, where they are more than are named.
    package var unservedFilter: LabelFilter?
    /// What the node can read. One of a version that does not say it reads the first form of everything.
    package var reads: FormatVersions
    /// Highest format of ciphertext that the cluster has activated, as far as the node knows.
    package var activatedFormat: UInt8
    /// What its HSMs could do for nodes that have more than they can do; `nil` from a node that does not know, or of a
    /// version that does not say.
    package var room: NodeRoom?
    /// Where another node has answered that bears this one's name; empty when none has lately.
    package var twinAddress: String
    /// Digest of the certificates that the node refuses; `nil` where it refuses none, and from a version that cannot.
    package var refusedCertificates: String?
    /// Nodes that it cannot reach though they reach it, by name; the first `mostUnreached`. `nil` where there are none, and
    /// from a version that does not say.
    package var unreached: [String]?
    /// What it reports of itself that does not follow from the rest; the gravest `mostConditions`. `nil` where there is
    /// nothing, and from a version that does not say.
    package var conditions: [Condition]?
    /// When the first of the certificates that it shows to KMS and to its peers ends, Unix seconds. `nil` from a node that
    /// shows none, and from a version that does not say.
    package var certificateEnd: Int64?
    /// When the node itself last took a request that an access key signed, since it started; the `mostCredentials` that
    /// were used last. `nil` where none was, and from a version that does not say.
    package var credentials: [AccessKeyUse]?
    /// How often the node's host has encrypted under a key, ever; the `mostKeyUses` used most. `nil` where it has under
    /// none, and from a version that does not say.
    package var keyUses: [KeyEncryptions]?

    package init(
        revision: UInt64 = 0, isDraining: Bool = false, version: String = "", configuration: String = "",
        canaries: String = "", blocks: String = "", blockChanges: UInt64? = nil, inFlight: UInt32 = 0,
        encrypts: UInt64 = 0, decrypts: UInt64 = 0, hsms: [HSMFact] = [], unservedKeys: [String] = [],
        unservedCount: UInt32? = nil,
        unservedFilter: LabelFilter? = nil, reads: FormatVersions = .first, activatedFormat: UInt8 = 1,
        room: NodeRoom? = nil, twinAddress: String = "", refusedCertificates: String? = nil,
        unreached: [String]? = nil, conditions: [Condition]? = nil, certificateEnd: Int64? = nil,
        credentials: [AccessKeyUse]? = nil, keyUses: [KeyEncryptions]? = nil
    ) {
        self.keyUses = keyUses
        self.credentials = credentials
        self.certificateEnd = certificateEnd
        self.conditions = conditions
        self.unreached = unreached
        self.refusedCertificates = refusedCertificates
        self.room = room
        self.revision = revision
        self.isDraining = isDraining
        self.version = version
        self.configuration = configuration
        self.canaries = canaries
        self.blocks = blocks
        self.blockChanges = blockChanges
        self.inFlight = inFlight
        self.encrypts = encrypts
        self.decrypts = decrypts
        self.hsms = hsms
        self.unservedKeys = unservedKeys
        self.unservedCount = unservedCount ?? UInt32(clamping: unservedKeys.count)
        self.unservedFilter = unservedFilter
        self.reads = reads
        self.activatedFormat = activatedFormat
        self.twinAddress = twinAddress
    }

    /// Fields of earlier versions must be there; later ones may be missing or unreadable, each by itself.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            revision: try values.decode(UInt64.self, forKey: .revision),
            isDraining: try values.decode(Bool.self, forKey: .isDraining),
            version: try values.decode(String.self, forKey: .version),
            configuration: try values.decode(String.self, forKey: .configuration),
            canaries: try values.decode(String.self, forKey: .canaries),
            blocks: try values.decode(String.self, forKey: .blocks),
            blockChanges: values.readable(UInt64.self, ifPresent: .blockChanges),
            inFlight: try values.decode(UInt32.self, forKey: .inFlight),
            encrypts: try values.decode(UInt64.self, forKey: .encrypts),
            decrypts: try values.decode(UInt64.self, forKey: .decrypts),
            hsms: try values.readable(HSMFact.self, forKey: .hsms),
            unservedKeys: try values.readable(String.self, forKey: .unservedKeys),
            unservedCount: values.readable(UInt32.self, ifPresent: .unservedCount),
            unservedFilter: values.readable(LabelFilter.self, ifPresent: .unservedFilter),
            reads: values.readable(FormatVersions.self, ifPresent: .reads) ?? .first,
            activatedFormat: max(values.readable(UInt8.self, ifPresent: .activatedFormat) ?? 1, 1),
            room: values.readable(NodeRoom.self, ifPresent: .room),
            twinAddress: values.readable(String.self, ifPresent: .twinAddress) ?? "",
            refusedCertificates: values.readable(String.self, ifPresent: .refusedCertificates),
            unreached: values.readable([String].self, ifPresent: .unreached),
            conditions: values.readable([Condition].self, ifPresent: .conditions),
            certificateEnd: values.readable(Int64.self, ifPresent: .certificateEnd),
            credentials: values.readable([AccessKeyUse].self, ifPresent: .credentials),
            keyUses: values.readable([KeyEncryptions].self, ifPresent: .keyUses))
    }

    /// Whether requests may be given to it.
    package var canServe: Bool { !isDraining && hsms.contains { $0.canServe } }

    /// Whether it reports that it can answer nothing, though its HSMs serve.
    package var isStopped: Bool { conditions?.contains(where: \.stopsItsNode) ?? false }

    /// Whether the node can serve a key that it offers.
    package enum KeyService: Sendable, Equatable {
        case serves
        /// It has more unserved keys than it names, and this one is most likely among them.
        case hardly
        case doesNot
    }

    /// Tells of all keys that the node offers and cannot serve at the moment.
    ///
    /// - Parameter labels: the keys', in order.
    package mutating func setUnserved(_ labels: [String]) {
        unservedKeys = Array(labels.prefix(Self.mostUnservedKeys))
        unservedCount = UInt32(clamping: labels.count)
        let areNamed = labels.count <= Self.mostUnservedKeys
        unservedFilter = areNamed ? nil : LabelFilter(labels.map { Array($0.utf8) })
    }

    /// - Parameter label: the key's.
    package func service(of label: String) -> KeyService {
        if unservedKeys.contains(where: { $0.utf8.elementsEqual(label.utf8) }) { return .doesNot }
        return unservedFilter?.mayHold(label.utf8) == true ? .hardly : .serves
    }
}

/// When an access key was last used at a node.
package struct AccessKeyUse: Sendable, Equatable, Codable {
    /// The access key id.
    package var id: String
    /// Minutes since 1970, rounded down.
    package var minute: UInt32

    package init(id: String, minute: UInt32) {
        self.id = id
        self.minute = minute
    }
}

/// How often a node's host has encrypted under a key, ever.
package struct KeyEncryptions: Sendable, Equatable, Codable {
    package var label: String
    package var encrypts: UInt64

    package init(label: String, encrypts: UInt64) {
        self.label = label
        self.encrypts = encrypts
    }
}

/// What a node's HSMs could do beside what is asked of it.
package struct NodeRoom: Sendable, Equatable, Codable {
    /// Operations a second; 0 while the node has more than it can do itself.
    package var perSecond: UInt32
    /// How long one takes there, microseconds.
    package var callMicroseconds: UInt32

    package init(perSecond: UInt32, callMicroseconds: UInt32) {
        self.perSecond = perSecond
        self.callMicroseconds = callMicroseconds
    }
}

/// One HSM of a node, as that node sees it.
package struct HSMFact: Sendable, Equatable, Codable {
    /// Name in that node's configuration.
    package var name: String
    /// The token's serial number: what shows whether two nodes speak of one HSM. Empty until the token has been seen.
    package var serial: String
    package var manufacturer: String
    package var model: String
    package var firmware: String
    /// As the node says it. One of a later version counts as that of an HSM that cannot serve.
    package var state: StateWord<HSMState>
    /// Taken out of service by an operator.
    package var isDrained: Bool

    package init(
        name: String, serial: String, manufacturer: String, model: String, firmware: String, state: HSMState,
        isDrained: Bool
    ) {
        self.name = name
        self.serial = serial
        self.manufacturer = manufacturer
        self.model = model
        self.firmware = firmware
        self.state = StateWord(state)
        self.isDrained = isDrained
    }

    package var canServe: Bool { state.state.canServe && !isDrained }
}

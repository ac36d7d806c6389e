// SPDX-License-Identifier: Apache-2.0

/// What a node says of itself, for the others to show, to choose by, and to compare with their own. Nothing in it is
/// secret. Kept small: it travels in every message.
package struct NodeFacts: Sendable, Equatable, Codable {
    /// Most HSMs that are told; more than one node can have (`HSMSet.capacity` of Routing).
    package static let mostHSMs = 64
    /// Most keys that are named one by one.
    package static let mostUnservedKeys = 32

    /// Grows with each change within one incarnation: of two facts of a node the one with the greater
    /// (incarnation, revision) holds.
    package var revision: UInt64
    /// True once the node has been told to end: it finishes what it has and wants nothing new.
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
    /// Requests being worked on.
    package var inFlight: UInt32
    /// Keys used since the node started: operations that HSMs have done.
    package var encrypts: UInt64
    package var decrypts: UInt64
    package var hsms: [HSMFact]
    /// Labels of keys that the node offers and at the moment cannot serve; the first `mostUnservedKeys` by name.
    package var unservedKeys: [String]

    package init(
        revision: UInt64 = 0, isDraining: Bool = false, version: String = "", configuration: String = "",
        canaries: String = "", blocks: String = "", inFlight: UInt32 = 0, encrypts: UInt64 = 0, decrypts: UInt64 = 0,
        hsms: [HSMFact] = [], unservedKeys: [String] = []
    ) {
        self.revision = revision
        self.isDraining = isDraining
        self.version = version
        self.configuration = configuration
        self.canaries = canaries
        self.blocks = blocks
        self.inFlight = inFlight
        self.encrypts = encrypts
        self.decrypts = decrypts
        self.hsms = hsms
        self.unservedKeys = unservedKeys
    }

    /// Whether requests may be given to it.
    package var canServe: Bool { !isDraining && hsms.contains { $0.canServe } }
}

/// One HSM of a node, as that node sees it.
package struct HSMFact: Sendable, Equatable, Codable {
    package enum State: String, Sendable, Codable, CaseIterable {
        case active, degraded, starting, probing, unavailable
    }

    /// Name in that node's configuration.
    package var name: String
    /// The token's serial number: what tells whether two nodes speak of one HSM. Empty until the token has been seen.
    package var serial: String
    package var manufacturer: String
    package var model: String
    package var firmware: String
    package var state: State
    /// Taken out of service by an operator.
    package var isDrained: Bool

    package init(
        name: String, serial: String, manufacturer: String, model: String, firmware: String, state: State,
        isDrained: Bool
    ) {
        self.name = name
        self.serial = serial
        self.manufacturer = manufacturer
        self.model = model
        self.firmware = firmware
        self.state = state
        self.isDrained = isDrained
    }

    package var canServe: Bool { (state == .active || state == .degraded) && !isDrained }
}

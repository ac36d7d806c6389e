// SPDX-License-Identifier: Apache-2.0

/// An operator's order to refuse requests. Its meaning is the reader's: this room keeps it.
package struct StoredBlock: Sendable, Equatable {
    package var id: String
    /// What kind of thing is blocked, and which; the value is empty where the kind says all.
    package var targetKind: String
    package var targetValue: String
    package var reason: String
    package var madeBy: String
    package var madeUnixSeconds: Int
    /// `nil`: until it is lifted.
    package var expiresUnixSeconds: Int?

    package init(
        id: String, targetKind: String, targetValue: String, reason: String, madeBy: String, madeUnixSeconds: Int,
        expiresUnixSeconds: Int?
    ) {
        self.id = id
        self.targetKind = targetKind
        self.targetValue = targetValue
        self.reason = reason
        self.madeBy = madeBy
        self.madeUnixSeconds = madeUnixSeconds
        self.expiresUnixSeconds = expiresUnixSeconds
    }
}

/// That the block of this id was lifted.
package struct StoredBlockLift: Sendable, Equatable {
    package var id: String
    package var liftedBy: String
    package var liftedUnixSeconds: Int

    package init(id: String, liftedBy: String, liftedUnixSeconds: Int) {
        self.id = id
        self.liftedBy = liftedBy
        self.liftedUnixSeconds = liftedUnixSeconds
    }
}

/// Whether the block list that the store tells is all there is.
package enum StoredBlockCondition: Sendable, Equatable {
    case known
    /// The store was lost, or cannot be read: there may be blocks that it does not tell. Says why, for an operator.
    case unknown(reason: String)
}

/// The blocks and lifts, by id.
package struct StoredBlockList: Sendable, Equatable {
    package var blocks: [StoredBlock]
    package var lifts: [StoredBlockLift]
    package var condition: StoredBlockCondition

    package init(blocks: [StoredBlock], lifts: [StoredBlockLift], condition: StoredBlockCondition) {
        self.blocks = blocks
        self.lifts = lifts
        self.condition = condition
    }
}

/// Another node of the cluster, as it was last known: where a restarted node looks for its cluster.
package struct StoredPeer: Sendable, Equatable, Codable {
    package var name: String
    /// Host and port.
    package var address: String
    package var site: String
    package var incarnation: Int
    package var lastSeenUnixSeconds: Int

    package init(name: String, address: String, site: String, incarnation: Int, lastSeenUnixSeconds: Int) {
        self.name = name
        self.address = address
        self.site = site
        self.incarnation = incarnation
        self.lastSeenUnixSeconds = lastSeenUnixSeconds
    }

    enum CodingKeys: String, CodingKey {
        case name, address, site, incarnation
        case lastSeenUnixSeconds = "last_seen_unix_seconds"
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What an operator orders: `POST /blocks` on the admin socket. Exactly one of the targets is given.
package struct BlockOrder: Sendable, Equatable, Codable {
    package var everything: Bool?
    /// A key store's path prefix.
    package var keyStore: String?
    /// An external key id or a label.
    package var key: String?
    /// A pattern of principals' ARNs.
    package var principal: String?
    package var reason: String
    /// Seconds from now until it ends by itself; `nil`: never.
    package var expiresInSeconds: Int64?
    /// The user who orders it.
    package var user: String

    package init(
        everything: Bool? = nil, keyStore: String? = nil, key: String? = nil, principal: String? = nil, reason: String,
        expiresInSeconds: Int64? = nil, user: String
    ) {
        self.everything = everything
        self.keyStore = keyStore
        self.key = key
        self.principal = principal
        self.reason = reason
        self.expiresInSeconds = expiresInSeconds
        self.user = user
    }
}

/// What an operator lifts: `POST /blocks/lift`. Either an id, or a target as in `BlockOrder` (all blocks of that target
/// that this node knows), or `confirmUnknown`: "there are no other blocks than those shown", after a lost store.
package struct LiftOrder: Sendable, Equatable, Codable {
    package var id: String?
    package var everything: Bool?
    package var keyStore: String?
    package var key: String?
    package var principal: String?
    package var confirmUnknown: Bool?
    package var user: String

    package init(
        id: String? = nil, everything: Bool? = nil, keyStore: String? = nil, key: String? = nil,
        principal: String? = nil, confirmUnknown: Bool? = nil, user: String
    ) {
        self.id = id
        self.everything = everything
        self.keyStore = keyStore
        self.key = key
        self.principal = principal
        self.confirmUnknown = confirmUnknown
        self.user = user
    }
}

/// `POST /cluster/bootstrap`: the cluster begins with the list that this node has.
package struct BootstrapOrder: Sendable, Equatable, Codable {
    package var user: String

    package init(user: String) { self.user = user }
}

/// The answer to block and lift: what was done here, and under which number the other nodes' confirmations can be asked for.
package struct BlockReceipt: Sendable, Equatable, Codable {
    package var message: String
    /// Ask `GET /blocks/orders/NUMBER` for it.
    package var order: UInt64
    /// Whether it is on this node's disk. Where it is not yet, the first node of the progress reports when it is.
    package var durable: Bool

    package init(message: String, order: UInt64, durable: Bool) {
        self.message = message
        self.order = order
        self.durable = durable
    }
}

/// What is to be known of an order to block before it is given: `POST /blocks/outlook`.
package struct BlockOutlook: Sendable, Equatable, Codable {
    package struct Node: Sendable, Equatable, Codable {
        package var node: String
        /// Product version that it runs.
        package var version: String

        package init(node: String, version: String) {
            self.node = node
            self.version = version
        }
    }

    /// Live nodes whose version does not enforce the order as it is meant.
    package var unable: [Node]
    /// The order that they would, for people; left out where all enforce it.
    package var coarser: String?

    package init(unable: [Node], coarser: String?) {
        self.unable = unable
        self.coarser = coarser
    }
}

/// How far an order has come: `GET /blocks/orders/NUMBER`.
package struct BlockProgress: Sendable, Equatable, Codable {
    package struct Node: Sendable, Equatable, Codable {
        package enum State: String, Sendable, Codable {
            /// It goes by the order, and has it on its disk.
            case confirmed
            /// It goes by the order, and does not have it on its disk yet.
            case effective
            /// It has the order, and does not go by it.
            case ineffective
            /// It goes by the order, and could not write it.
            case unwritten
            case waiting
            /// It cannot be reached; it gets the order when it can be.
            case unreachable
        }

        package var node: String
        package var state: State
        /// How much a block hits there; `nil` where the node does not say, and of a lift.
        package var hits: Hits?
        /// Milliseconds from the order to the confirmation.
        package var afterMilliseconds: Int64?
        /// Why not, for people.
        package var detail: String?

        package init(
            node: String, state: State, afterMilliseconds: Int64? = nil, detail: String? = nil, hits: Hits? = nil
        ) {
            self.node = node
            self.state = state
            self.hits = hits
            self.afterMilliseconds = afterMilliseconds
            self.detail = detail
        }
    }

    /// How much a block hits on a node. No key store: nothing.
    package struct Hits: Sendable, Equatable, Codable {
        package var keyStores: Int
        /// Keys that the node offers, and that are there.
        package var keys: Int

        package init(keyStores: Int, keys: Int) {
            self.keyStores = keyStores
            self.keys = keys
        }
    }

    /// Every node of the cluster that has not left, this one first.
    package var nodes: [Node]
    /// Nothing more will be reported without a change in the cluster.
    package var isFinished: Bool

    package init(nodes: [Node], isFinished: Bool) {
        self.nodes = nodes
        self.isFinished = isFinished
    }
}

/// One block, for people and scripts: `GET /blocks`, and in `/cluster/health`.
package struct BlockView: Sendable, Equatable, Codable {
    package var id: String
    /// In words that `claviger block` takes: `--all`, `--keystore /p`, `--key k`, `--principal a`.
    package var target: String
    package var reason: String
    package var madeAtUnixSeconds: Int64
    package var expiresAtUnixSeconds: Int64?
    package var madeBy: String

    package init(
        id: String, target: String, reason: String, madeAtUnixSeconds: Int64, expiresAtUnixSeconds: Int64?,
        madeBy: String
    ) {
        self.id = id
        self.target = target
        self.reason = reason
        self.madeAtUnixSeconds = madeAtUnixSeconds
        self.expiresAtUnixSeconds = expiresAtUnixSeconds
        self.madeBy = madeBy
    }
}

/// `GET /blocks`
package struct BlockListing: Sendable, Equatable, Codable {
    /// Those in force, newest first.
    package var blocks: [BlockView]
    /// Why everything is refused until an operator or a peer says what the list is; `nil` when the list is known.
    package var unknown: String?

    package init(blocks: [BlockView], unknown: String?) {
        self.blocks = blocks
        self.unknown = unknown
    }

    /// Whether the list's files are another user's, bar their own, or something else has their place. It may hold blocks, so
    /// that nobody may declare that there are none, and until that is mended, the node can keep no order either.
    package static func isOutOfReach(_ reason: String) -> Bool {
        ["run chown ", "run chmod ", ": move it away"].contains(where: reason.contains)
    }

    /// What a node that does not know its list needs, in words for people.
    ///
    /// - Parameter reason: as `unknown` reports it.
    package static func mend(_ reason: String) -> String {
        let reason = reason.hasSuffix(".") ? String(reason.dropLast()) : reason
        if isOutOfReach(reason) { return "it cannot use its list of blocks: \(reason), then restart it" }
        return
            "it does not know what is blocked (\(reason)). Peers that know the list tell it within seconds; where no node "
            + "has one, and there are no other blocks than `claviger blocks` shows: `claviger cluster bootstrap`, or "
            + "without a cluster `claviger unblock --confirm-unknown`"
    }
}

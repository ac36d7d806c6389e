// SPDX-License-Identifier: Apache-2.0

/// What an operator cuts off.
package enum BlockTarget: Sendable, Hashable {
    /// Every key of every key store.
    case everything
    /// One key store, by its path prefix.
    case keyStore(String)
    /// A key, in every key store: by external key id or by label, whichever it is. Blocking too much is the safe side.
    case key(String)
    /// Requests of principals whose ARN the pattern matches; `*` stands for any characters.
    case principal(String)
}

/// An operator's order to refuse requests.
package struct Block: Sendable, Hashable {
    /// Unique for ever: 32 lower-case hexadecimal digits, made from random bytes. One order is one id: the same target
    /// blocked again is another.
    package var id: String
    package var target: BlockTarget
    /// Why, in the operator's words; at most 256 bytes of printable UTF-8.
    package var reason: String
    /// Unix seconds.
    package var madeAt: Int64
    /// `madeAt` and the block's duration, Unix seconds, the same on all nodes; `nil`: until it is lifted. When it ends on
    /// this node, by this node's clock, is for ``BlockTerm`` to say.
    package var expiresAt: Int64?
    /// Who gave the order: user name and node.
    package var madeBy: String

    package init(
        id: String, target: BlockTarget, reason: String, madeAt: Int64, expiresAt: Int64?, madeBy: String
    ) {
        self.id = id
        self.target = target
        self.reason = reason
        self.madeAt = madeAt
        self.expiresAt = expiresAt
        self.madeBy = madeBy
    }
}

extension Block {
    /// How long it is meant to hold, seconds; `nil`: until it is lifted.
    package var duration: Int64? { expiresAt.map { max($0.subtractingReportingOverflow(madeAt).partialValue, 0) } }
}

/// When a block with a duration ends on this node, by this node's clock. Neither merged nor compared: clocks differ.
package struct BlockTerm: Sendable, Hashable {
    /// When this node first saw the block, Unix seconds.
    package var firstSeen: Int64
    /// From then on the block has no effect here, Unix seconds. At most `firstSeen` and the block's duration.
    package var endsAt: Int64

    package init(firstSeen: Int64, endsAt: Int64) {
        self.firstSeen = firstSeen
        self.endsAt = endsAt
    }

    /// Of a block of which nothing but its own times is known: by the clock of the node that made it.
    init?(origin block: Block) {
        guard let end = block.expiresAt else { return nil }
        self.init(firstSeen: block.madeAt, endsAt: end)
    }

    /// Terms that differ by less are alike, seconds: a remainder is reported in whole seconds, and takes its time to
    /// arrive.
    static let tolerance: Int64 = 2

    /// The block is seen for the first time.
    init(firstSeen now: Int64, remaining: Int64, duration: Int64) {
        self.init(firstSeen: now, endsAt: now + min(max(remaining, 0), duration))
    }

    /// Somebody reports how long it still holds there: the latest end that anybody reports is this node's, too.
    ///
    /// - Returns: whether that is later than what was known.
    mutating func reported(remaining: Int64, duration: Int64, now: Int64) -> Bool {
        let end = min(now + min(max(remaining, 0), duration), firstSeen + duration)
        guard end > endsAt + Self.tolerance else { return false }
        endsAt = end
        return true
    }
}

/// That a block was lifted. Kept beside the block's id for good, so that no node that was away brings it back.
package struct BlockLift: Sendable, Hashable {
    /// The id of the block.
    package var id: String
    /// Unix seconds.
    package var liftedAt: Int64
    package var liftedBy: String

    package init(id: String, liftedAt: Int64, liftedBy: String) {
        self.id = id
        self.liftedAt = liftedAt
        self.liftedBy = liftedBy
    }
}

/// One order with all that belongs to it: how lists travel and are kept. A lift never goes without its block.
package struct BlockEntry: Sendable, Equatable {
    package var block: Block
    package var lift: BlockLift?
    /// Seconds for which it still holds where it comes from, 0 when it has ended there; `nil` for a block without a
    /// duration, and from a node that does not say.
    package var remaining: Int64?

    package init(block: Block, lift: BlockLift? = nil, remaining: Int64? = nil) {
        self.block = block
        self.lift = lift
        self.remaining = remaining
    }
}

/// Whether a node's list is all there is.
package enum BlockKnowledge: Sendable, Equatable {
    /// The node is new in its cluster and has never had a list.
    case none
    case known
    /// It had a list, and does not know whether this is all of it. Says why, in words for an operator.
    case unknown(String)

    /// Why a node without a list refuses requests.
    package static let newcomer = "it is new in its cluster and has had no list yet"

    /// Why every request is refused; `nil` when the list is known.
    package var doubt: String? {
        switch self {
        case .none: Self.newcomer
        case .known: nil
        case .unknown(let reason): reason
        }
    }
}

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
    /// Unix seconds; from then on it has no effect. `nil`: until it is lifted.
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

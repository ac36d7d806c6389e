// SPDX-License-Identifier: Apache-2.0

/// A key's canary as nodes send it to each other: a random block, encrypted once under the key, and the block's digest.
/// A node whose HSM opens it holds the same key. Nothing in it is secret.
package struct SharedCanary: Sendable, Hashable, Codable {
    /// Most that one message carries.
    package static let mostInMessage = 256
    package static let mostProvers = 64
    package static let mostReplaced = 64

    /// The key's label on the tokens.
    package var label: String
    /// 12 to 16 bytes.
    package var iv: [UInt8]
    /// Ciphertext and tag; at most 128 bytes.
    package var ciphertext: [UInt8]
    /// SHA-256 of the block.
    package var digest: [UInt8]
    /// The HSM that made it, and the node that reported it.
    package var maker: String
    package var node: String
    /// Unix seconds.
    package var madeAt: Int64
    /// An operator said that its maker holds the right key.
    package var isTrusted: Bool
    /// Serial numbers of the HSMs of that node that have opened it, at most `mostProvers`; absent in what versions up
    /// to 16631be send, as is all that follows.
    package var provers: [String]?
    /// It has begun to serve seconds ago, or is about to. Never sent to versions up to 16631be.
    package var isProvisional: Bool?
    /// Digests of the trusted canaries of the label that its author knew of, and replaces; at most `mostReplaced`.
    package var replaces: [[UInt8]]?
    /// When the last order to forget it was given that had no effect, because an HSM holds the key; Unix seconds.
    package var outlived: Int64?
    /// An HSM of the node that sends it holds another key under the label; absent where none does.
    package var excludes: Bool?

    package init(
        label: String, iv: [UInt8], ciphertext: [UInt8], digest: [UInt8], maker: String, node: String, madeAt: Int64,
        isTrusted: Bool, provers: [String]? = nil, isProvisional: Bool? = nil, replaces: [[UInt8]]? = nil,
        outlived: Int64? = nil, excludes: Bool? = nil
    ) {
        self.label = label
        self.iv = iv
        self.ciphertext = ciphertext
        self.digest = digest
        self.maker = maker
        self.node = node
        self.madeAt = madeAt
        self.isTrusted = isTrusted
        self.provers = provers
        self.isProvisional = isProvisional
        self.replaces = replaces
        self.outlived = outlived
        self.excludes = excludes
    }
}

/// An operator's order to forget a key's canaries, as nodes send it to each other.
package struct SharedForget: Sendable, Hashable, Codable {
    /// The key's label on the tokens.
    package var label: String
    /// Digests of the canaries, at most 64.
    package var canaries: [[UInt8]]
    /// Unix seconds.
    package var givenAt: Int64
    /// For people; at most 136 bytes.
    package var author: String

    package init(label: String, canaries: [[UInt8]], givenAt: Int64, author: String) {
        self.label = label
        self.canaries = canaries
        self.givenAt = givenAt
        self.author = author
    }
}

/// What a node sends of keys: what it proves them by, and orders to forget some.
package struct SharedKeys: Sendable, Equatable {
    package var canaries: [SharedCanary]
    package var forgets: [SharedForget]

    package init(canaries: [SharedCanary] = [], forgets: [SharedForget] = []) {
        self.canaries = canaries
        self.forgets = forgets
    }

    package var isEmpty: Bool { canaries.isEmpty && forgets.isEmpty }
}

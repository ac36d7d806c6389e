// SPDX-License-Identifier: Apache-2.0

/// A key's canary as nodes tell it each other: a random block, encrypted once under the key, and the block's digest. A
/// node whose HSM opens it holds the same key. Nothing in it is secret.
package struct SharedCanary: Sendable, Hashable, Codable {
    /// Most that one message carries.
    package static let mostInMessage = 256

    /// The key's label on the tokens.
    package var label: String
    /// 12 to 16 bytes.
    package var iv: [UInt8]
    /// Ciphertext and tag; at most 128 bytes.
    package var ciphertext: [UInt8]
    /// SHA-256 of the block.
    package var digest: [UInt8]
    /// The HSM that made it, and the node that told us.
    package var maker: String
    package var node: String
    /// Unix seconds.
    package var madeAt: Int64
    /// An operator said that its maker holds the right key.
    package var isTrusted: Bool

    package init(
        label: String, iv: [UInt8], ciphertext: [UInt8], digest: [UInt8], maker: String, node: String, madeAt: Int64,
        isTrusted: Bool
    ) {
        self.label = label
        self.iv = iv
        self.ciphertext = ciphertext
        self.digest = digest
        self.maker = maker
        self.node = node
        self.madeAt = madeAt
        self.isTrusted = isTrusted
    }
}

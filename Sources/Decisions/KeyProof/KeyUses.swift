// SPDX-License-Identifier: Apache-2.0

/// How often a key has been used, by all HSMs and all processes of this state directory.
package struct KeyUses: Sendable, Equatable {
    package var encrypts: UInt64
    package var decrypts: UInt64

    package init(encrypts: UInt64 = 0, decrypts: UInt64 = 0) {
        self.encrypts = encrypts
        self.decrypts = decrypts
    }

    package var isEmpty: Bool { encrypts == 0 && decrypts == 0 }
}

/// How often a key may encrypt: with random IVs of 96 bits at most 2^32 times, so that the chance of one IV used twice,
/// which would lay plaintext open, stays below 2^-32 (NIST SP 800-38D, section 8.3). The limit is the key's: what other
/// nodes and other applications encrypt under it counts as well, and a node does not know of that.
package enum KeyUseLimit {
    package static let encrypts: UInt64 = 1 << 32

    /// How many quarters of the limit so many encryptions are: people are informed at each, the first of them years or,
    /// at a thousand requests a second, twelve days before the next.
    package static func quarters(of encrypts: UInt64) -> UInt64 { encrypts / (Self.encrypts / 4) }
}

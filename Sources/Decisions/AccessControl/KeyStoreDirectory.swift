// SPDX-License-Identifier: Apache-2.0

/// All key stores of a node, found by the prefix of the request's path.
package struct KeyStoreDirectory: Sendable, Equatable {
    /// In the order in which they were given.
    package let keyStores: [KeyStore]
    private let positions: [String: Int]

    /// - Throws: ``AccessControlError/repeatedPrefix(_:)`` when two key stores have one prefix, and
    ///   ``AccessControlError/noKeyStores`` when there is none.
    package init(_ keyStores: [KeyStore]) throws(AccessControlError) {
        guard !keyStores.isEmpty else { throw .noKeyStores }
        var positions: [String: Int] = [:]
        for (position, keyStore) in keyStores.enumerated() {
            guard positions.updateValue(position, forKey: keyStore.pathPrefix) == nil else {
                throw .repeatedPrefix(keyStore.pathPrefix)
            }
        }
        self.keyStores = keyStores
        self.positions = positions
    }

    /// The position in ``keyStores`` of the key store with exactly this prefix, byte for byte.
    package func position(ofPrefix prefix: String) -> Int? {
        // Strings are equal under canonical equivalence, which the Kelvin sign (U+212A) uses to pass for a K.
        guard prefix.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        return positions[prefix]
    }

    /// The key store with exactly this prefix, byte for byte.
    package func keyStore(withPrefix prefix: String) -> KeyStore? { position(ofPrefix: prefix).map { keyStores[$0] } }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import XKSProtocol

/// One logical key store: a path prefix and the keys that may be reached under it.
///
/// Key stores are isolated: nothing of one is reachable through the prefix of another.
package struct KeyStore: Sendable, Equatable {
    /// What stands before `/kms/xks/v1` in the path; empty, or `/` and segments of `a-z A-Z 0-9 - _`.
    package let pathPrefix: String
    /// The patterns as they were given.
    package let keys: [KeyPattern]

    private let mappings: [String: String]
    private let labels: Set<String>
    private let globs: [Glob]

    /// Longest prefix: with `/kms/xks/v1` at most 128 characters (XKS 1.0.3, URI path prefix).
    package static let maximumPrefixLength = XKSPath.longestPrefix

    /// - Throws: ``AccessControlError`` naming the value that cannot be, and what mends it.
    package init(pathPrefix: String, keys: [KeyPattern]) throws(AccessControlError) {
        try Self.validate(prefix: pathPrefix)
        guard !keys.isEmpty else { throw .noKeys(prefix: pathPrefix) }
        var mappings: [String: String] = [:]
        var labels: Set<String> = []
        var globs: [Glob] = []
        for key in keys {
            try key.validate()
            switch key {
            case .mapping(let id, let label):
                guard mappings.updateValue(label, forKey: id) == nil else {
                    throw .repeatedExternalKeyID(id: id, prefix: pathPrefix)
                }
            case .label(let label):
                guard labels.insert(label).inserted else {
                    throw .repeatedLabel(label: label, prefix: pathPrefix)
                }
            case .glob(let glob):
                globs.append(glob)
            }
        }
        if let id = mappings.keys.filter(labels.contains).min() {
            throw .repeatedExternalKeyID(id: id, prefix: pathPrefix)
        }
        self.pathPrefix = pathPrefix
        self.keys = keys
        self.mappings = mappings
        self.labels = labels
        self.globs = globs
    }

    /// The PKCS#11 label that `externalKeyID` stands for: by mapping, then as a label, then by glob. Nil when this key
    /// store has no such key, whatever the HSMs hold.
    package func resolve(externalKeyID: String) -> String? {
        guard ExternalKeyID.isValid(externalKeyID) else { return nil }
        if let label = mappings[externalKeyID] { return label }
        if labels.contains(externalKeyID) { return externalKeyID }
        return globs.contains { $0.matches(externalKeyID) } ? externalKeyID : nil
    }

    /// True when a key of this label is served, under whatever external key id.
    package func offers(label: String) -> Bool {
        // As bytes: Strings would be compared by canonical equivalence, and labels on tokens are not.
        let isNamed = { (name: String) in name.utf8.elementsEqual(label.utf8) }
        return labels.contains(where: isNamed) || mappings.values.contains(where: isNamed)
            || ExternalKeyID.isValid(label) && globs.contains { $0.matches(label) }
    }

    /// The keys of an HSM's token that can be reached under the prefix.
    package var offered: OfferedKeys {
        // Not `labels.union(…)`: Strings that Swift calls equal are different labels.
        let mapped = mappings.values.map { KeyLabel($0) }
        return OfferedKeys(labels: Set(labels.map { KeyLabel($0) }).union(mapped), patterns: globs.map(\.labels))
    }

    static func validate(prefix: String) throws(AccessControlError) {
        guard !prefix.isEmpty else { return }
        guard prefix.utf8.count <= maximumPrefixLength else {
            throw .prefixLength(prefix: prefix, length: prefix.utf8.count)
        }
        let illegal = ExternalKeyID.firstIllegalCharacter(in: prefix) { $0 == "/" }
        if let character = illegal ?? prefix.first(where: { $0 == "." }) {
            throw .illegalPrefixCharacter(prefix: prefix, character: character)
        }
        guard prefix.hasPrefix("/") else { throw .prefixForm(prefix: prefix, problem: .noLeadingSlash) }
        let segments = prefix.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard segments.last?.isEmpty == false else { throw .prefixForm(prefix: prefix, problem: .trailingSlash) }
        guard !segments.contains(where: \.isEmpty) else { throw .prefixForm(prefix: prefix, problem: .emptySegment) }
        guard !"\(prefix)/".contains("/kms/xks/v1/") else {
            throw .prefixForm(prefix: prefix, problem: .containsAPIPath)
        }
    }
}

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

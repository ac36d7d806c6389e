// SPDX-License-Identifier: Apache-2.0

/// How much a block hits on one node. Each node reports it of itself with its confirmation: a name that is written
/// wrongly hits nothing anywhere, and a key may be offered by some nodes only.
package struct BlockHits: Sendable, Equatable, Codable {
    /// Key stores of which it hits a key that is there; of a block of key stores, principals or everything: the key
    /// stores, whatever keys are there.
    package var keyStores: Int
    /// Keys that an HSM of the node lists and one of these key stores offers.
    package var keys: Int

    package init(keyStores: Int, keys: Int) {
        self.keyStores = keyStores
        self.keys = keys
    }

    /// - Parameters:
    ///   - all: the node's key stores.
    ///   - labels: of the keys that its HSMs list.
    package init(of target: BlockTarget, keyStores all: [KeyStore], labels: [String]) {
        switch target {
        case .everything, .principal:
            self.init(of: all, labels)
        case .keyStore(let prefix):
            self.init(of: all.filter { $0.pathPrefix == prefix }, labels)
        case .key(let key):
            let hits = all.map { Self.labels(of: key, in: $0).filter(labels.contains) }.filter { !$0.isEmpty }
            self.init(keyStores: hits.count, keys: Set(hits.joined()).count)
        }
    }

    private init(of keyStores: [KeyStore], _ labels: [String]) {
        self.init(
            keyStores: keyStores.count,
            keys: labels.count { label in keyStores.contains { $0.offers(label: label) } })
    }

    /// Labels that a name means in a key store: as a label that is offered, and as an external key id.
    private static func labels(of key: String, in keyStore: KeyStore) -> Set<String> {
        var found: Set<String> = keyStore.offers(label: key) ? [key] : []
        if let label = keyStore.resolve(externalKeyID: key) { found.insert(label) }
        return found
    }

    package var isNothing: Bool { keyStores == 0 }
}

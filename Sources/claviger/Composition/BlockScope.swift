// SPDX-License-Identifier: Apache-2.0
import AccessControl
import NodeConfig

/// What a block hits on this node: these keys, these key stores, or nothing. A block is carried out all the same: keys
/// may come, and other nodes may have others.
struct BlockScope: Sendable, Equatable {
    /// For the answer to an order, a whole sentence.
    let words: String
    let hits: BlockHits

    /// Most names in the sentence.
    private static let mostNames = 5

    /// - Parameters:
    ///   - keyStores: those of the configuration.
    ///   - labels: of the keys that HSMs list.
    init(of target: BlockTarget, keyStores: [KeyStore], labels: [String]) {
        hits = BlockHits(of: target, keyStores: keyStores, labels: labels)
        switch target {
        case .everything:
            words = "It hits every key of \(Self.list(keyStores.map { Self.name($0.pathPrefix) }, "key store"))."
        case .keyStore(let prefix):
            let isThere = keyStores.contains { $0.pathPrefix == prefix }
            words =
                isThere
                ? "It hits every key of key store \(Self.name(prefix))."
                : "IT HITS NOTHING HERE: there is no such key store; there is "
                    + "\(Self.list(keyStores.map { Self.name($0.pathPrefix) }, "key store"))."
        case .principal(let pattern):
            words = "It hits every request whose principal matches \(pattern)."
        case .key(let key):
            let hits = keyStores.filter { $0.resolve(externalKeyID: key) != nil || $0.offers(label: key) }
            // A glob offers labels that no HSM may have.
            let isListed =
                labels.contains(key)
                || keyStores.contains { store in
                    store.resolve(externalKeyID: key).map(labels.contains) ?? false
                }
            words =
                hits.isEmpty || !isListed
                ? "IT HITS NOTHING HERE: no HSM lists a key of this id or label that a key store offers"
                    + Self.hint(key, among: Self.names(keyStores, labels)) + "."
                : "It hits key \(key) of \(Self.list(hits.map { Self.name($0.pathPrefix) }, "key store"))."
        }
    }

    /// External key ids and labels that are served here.
    private static func names(_ keyStores: [KeyStore], _ labels: [String]) -> [String] {
        let ids = keyStores.flatMap(\.keys).compactMap { pattern -> String? in
            if case .mapping(let id, _) = pattern { id } else { nil }
        }
        return ids + labels.filter { label in keyStores.contains { $0.offers(label: label) } }
    }

    private static func hint(_ key: String, among names: [String]) -> String {
        if key.hasPrefix("arn:") {
            return " (this is an ARN; --key takes the external key id, XksKeyConfiguration.Id of aws kms describe-key)"
        }
        guard let nearest = NearestName.find(key, among: names) else { return "" }
        return " (did you mean \(nearest)?)"
    }

    private static func name(_ prefix: String) -> String { prefix.isEmpty ? "\"\"" : prefix }

    private static func list(_ names: [String], _ thing: String) -> String {
        let shown = names.prefix(mostNames).joined(separator: ", ")
        let rest = names.count > mostNames ? " and \(names.count - mostNames) more" : ""
        return "\(thing)\(names.count == 1 ? "" : "s") \(shown)\(rest)"
    }
}

// SPDX-License-Identifier: Apache-2.0
import Crypto
import NodeConfig
import TLSFacts

/// What must be the same on all nodes of a cluster, as one short text: nodes compare it and name who differs.
///
/// Key stores with their keys, credentials, regions, AAD form, policies and quotas; not what each node has of its own (HSMs,
/// addresses, certificates). Secrets are not in it, only the ids of the credentials: the text is sent to peers.
enum ConfigurationDigest {
    /// 32 lower-case hexadecimal digits.
    ///
    /// - Parameter policies: digests of the policies' files, by the key store's path prefix.
    static func text(of settings: NodeSettings, policies: [String: String]) -> String {
        var hash = SHA256()
        for store in settings.keyStores.sorted(by: { $0.pathPrefix < $1.pathPrefix }) {
            // Nothing is added for a key store without policy and quota: nodes of versions that know none agree.
            let policy = policies[store.pathPrefix].map { ["policy:\($0)"] } ?? []
            for field in fields(of: store) + policy + quota(of: store) {
                // With its length before it, no field can pass for another or for two.
                hash.update(data: Array("\(field.utf8.count):".utf8) + Array(field.utf8))
            }
        }
        return text(hash.finalize())
    }

    /// Of the certificates that a node refuses, in the same form; `nil` where there are none.
    static func text(ofRefused serials: Set<CertificateSerial>) -> String? {
        guard !serials.isEmpty else { return nil }
        let lines = serials.sorted().map { "\($0)\n" }.joined()
        return text(SHA256.hash(data: Array(lines.utf8)))
    }

    static func text(_ digest: SHA256.Digest) -> String { digest.prefix(16).hexadecimal }

    private static func fields(of store: KeyStoreSettings) -> [String] {
        ["keystore", store.pathPrefix, store.aad.rawValue]
            + store.keys.map(text).sorted()
            + ["credentials"] + store.credentials.map(\.accessKeyID).sorted()
            + ["regions"] + (store.regions?.sorted() ?? ["any"])
    }

    private static func quota(of store: KeyStoreSettings) -> [String] {
        [("quota", store.rate), ("principal quota", store.principalRate)].compactMap { name, rate in
            rate.map { "\(name):\($0.perSecond):\($0.burst)" }
        }
    }

    private static func text(of key: KeyStoreSettings.KeySelector) -> String {
        switch key {
        case .label(let label): "label \(label)"
        case .glob(let glob): "glob \(glob)"
        case .named(let id, let label): "named \(id) \(label)"
        }
    }
}

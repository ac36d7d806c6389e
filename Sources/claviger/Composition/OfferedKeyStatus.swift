// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Conditions
import HSMPool
import LaneProtocol
import Routing
import StatusVocabulary

/// The keys that people are shown: what HSMs list as far as key stores offer it, and what key stores name, whatever it turns
/// out to be.
struct OfferedKeyStatus {
    /// By label.
    let keys: [KeyStatus]
    /// Labels that a key store names and that no HSM has ever listed as a key that can serve.
    let unlisted: [KeyLabel]

    /// - Parameter complaints: why objects cannot serve, by label.
    init(
        rows: [KeyRow], keyStores: [PlannedKeyStore], hsms: [HSMStatus], complaints: [KeyLabel: [String]]
    ) {
        let listed = rows.compactMap { Self.shown($0, keyStores) }
        let known = Set(rows.map(\.label))
        let labels = keyStores.flatMap { $0.keyStore.keys.compactMap(\.singleLabel) }.map { KeyLabel($0) }
        let named = Set(labels).subtracting(known).sorted()
        let rest = named.map { label in
            let serving = keyStores.filter { $0.keyStore.offers(label: label.text) }
            // What an HSM holds that is not up is not known.
            let cells = hsms.filter { hsm in serving.contains { $0.hsms?.contains(hsm.name) ?? true } }
                .map { ($0.name, $0.state.canServe ? KeyState.absent : .unproven) }
            return KeyStatus(
                label: label.text, canaryBy: nil, complaints: complaints[label] ?? [],
                cells: Dictionary(cells) { first, _ in first })
        }
        keys = (listed + rest).sorted { $0.label.utf8.lexicographicallyPrecedes($1.label.utf8) }
        unlisted = named
    }

    /// `nil` where no key store offers it. HSMs that are not to serve it are left out.
    private static func shown(_ key: KeyRow, _ keyStores: [PlannedKeyStore]) -> KeyStatus? {
        let offering = keyStores.filter { $0.keyStore.offers(label: key.label.text) }
        guard !offering.isEmpty else { return nil }
        return key.shown { hsm in offering.contains { $0.hsms?.contains(hsm) ?? true } }
    }
}

extension KeyStoreGap {
    /// `nil` where the key store's own HSMs serve all that any HSM serves.
    ///
    /// - Parameter unserved: labels that no HSM serves.
    init?(_ store: PlannedKeyStore, keys: [KeyStatus], hsms: [HSMStatus], unserved: Set<String>) {
        guard let names = store.hsms else { return nil }
        let usable = hsms.filter { $0.canServe && names.contains($0.name) }.map(\.name)
        let labels = keys.filter { key in
            store.keyStore.offers(label: key.label) && key.disputed == nil && !unserved.contains(key.label)
                && !usable.contains { key.cells[$0]?.isServing == true }
        }.map(\.label)
        guard !labels.isEmpty else { return nil }
        self.init(keyStore: store.keyStore.pathPrefix, hsms: names, labels: labels)
    }
}

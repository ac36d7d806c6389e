// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing

/// Which HSM holds which key, by label, as the workers last told. Pure.
///
/// What an HSM told is kept while its worker is away, so that a request can wait for a worker that is coming back.
struct KeyCatalogue {
    /// By the HSM's place.
    private var entries: [[KeyLabel: CatalogueEntry]] = []
    private var complaints: [[CatalogueComplaint]] = []

    /// Replaces what one HSM holds.
    mutating func replace(hsm: Int, entries list: [CatalogueEntry], complaints said: [CatalogueComplaint]) {
        guard hsm >= 0, hsm < HSMSet.capacity else { return }
        while entries.count <= hsm {
            entries.append([:])
            complaints.append([])
        }
        entries[hsm] = Dictionary(list.map { ($0.label, $0) }) { first, _ in first }
        complaints[hsm] = said
    }

    /// True when an HSM holds a key whose label satisfies `predicate`.
    func hasKey(hsm: Int, where predicate: (KeyLabel) -> Bool) -> Bool {
        entries.indices.contains(hsm) && entries[hsm].keys.contains(where: predicate)
    }

    func keyCount(hsm: Int) -> Int { entries.indices.contains(hsm) ? entries[hsm].count : 0 }

    /// True when one of them listed the key the last time it was asked.
    func isListed(_ label: KeyLabel, on hsms: HSMSet) -> Bool {
        hsms.contains { entries.indices.contains($0) && entries[$0][label] != nil }
    }

    /// What the key's attributes on this HSM allow; nothing where it has no such key.
    func usage(of label: KeyLabel, hsm: Int) -> KeyUsage {
        entries.indices.contains(hsm) ? entries[hsm][label]?.usage ?? [] : []
    }

    /// Between which days a key may be used to encrypt, by what those of these HSMs tell that list it.
    func validity(of label: KeyLabel, on hsms: HSMSet) -> KeyValidity {
        var result = KeyValidity()
        hsms.forEach { hsm in
            guard entries.indices.contains(hsm), let entry = entries[hsm][label] else { return }
            result = result.intersection(entry.validity)
        }
        return result
    }

    /// The worker's number for a key.
    func reference(of label: KeyLabel, hsm: Int) -> UInt32? {
        entries.indices.contains(hsm) ? entries[hsm][label]?.reference : nil
    }

    /// What the HSMs say together about a key.
    ///
    /// - Parameters:
    ///   - heard: those that have a worker, and so can say that they have no such key.
    ///   - known: those and the ones whose worker is on its way: what they held is still believed.
    func knowledge(of label: KeyLabel, heard: HSMSet, known: HSMSet) -> KeyKnowledge {
        var usage: KeyUsage?
        known.forEach { hsm in
            guard entries.indices.contains(hsm), let entry = entries[hsm][label] else { return }
            usage = usage.map { $0.intersection(entry.usage) } ?? entry.usage
        }
        if let usage { return .held(usage: usage) }
        guard !heard.isEmpty else { return .unknown }
        let complaint = complaints.indices.lazy.filter { heard.contains($0) }
            .compactMap { complaints[$0].first { $0.label == label }?.reason }.first
        return .absent(complaint)
    }

    /// Labels of the keys that an HSM can serve, sorted.
    func labels(hsm: Int) -> [KeyLabel] { entries.indices.contains(hsm) ? entries[hsm].keys.sorted() : [] }

    /// The key objects of an HSM that cannot serve.
    func complaints(hsm: Int) -> [CatalogueComplaint] { complaints.indices.contains(hsm) ? complaints[hsm] : [] }
}

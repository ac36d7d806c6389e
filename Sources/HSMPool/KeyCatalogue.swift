// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing

/// Which HSM holds which key, by label, as the workers last told. Pure.
///
/// What an HSM told is kept while its worker is away, so that a request can wait for a worker that is coming back.
struct KeyCatalogue {
    private var entries: [[String: CatalogueEntry]]
    private var complaints: [[CatalogueComplaint]]
    private var holders: [String: HSMSet] = [:]

    init(hsmCount: Int) {
        entries = Array(repeating: [:], count: hsmCount)
        complaints = Array(repeating: [], count: hsmCount)
    }

    /// Replaces what one HSM holds.
    mutating func replace(hsm: Int, entries list: [CatalogueEntry], complaints said: [CatalogueComplaint]) {
        guard entries.indices.contains(hsm) else { return }
        for label in entries[hsm].keys { holders[label]?.remove(hsm) }
        entries[hsm] = Dictionary(list.map { ($0.label, $0) }) { first, _ in first }
        complaints[hsm] = said
        for label in entries[hsm].keys { holders[label, default: []].insert(hsm) }
        for (label, set) in holders where set.isEmpty { holders[label] = nil }
    }

    func keyCount(hsm: Int) -> Int { entries.indices.contains(hsm) ? entries[hsm].count : 0 }

    /// The HSMs that hold a key.
    func holders(of label: String) -> HSMSet { holders[label] ?? [] }

    /// The worker's number for a key.
    func reference(of label: String, hsm: Int) -> UInt32? { entries[hsm][label]?.reference }

    /// What the HSMs in `serving` say together about a key.
    func knowledge(of label: String, serving: HSMSet) -> KeyKnowledge {
        var usage: KeyUsage?
        for hsm in entries.indices where serving.contains(hsm) {
            guard let entry = entries[hsm][label] else { continue }
            usage = usage.map { $0.intersection(entry.usage) } ?? entry.usage
        }
        if let usage { return .held(usage: usage) }
        guard !serving.isEmpty else { return .unknown }
        let complaint = complaints.indices.lazy.filter { serving.contains($0) }
            .compactMap { complaints[$0].first { $0.label == label }?.reason }.first
        return .absent(complaint)
    }

    /// Labels of the keys that an HSM can serve, sorted.
    func labels(hsm: Int) -> [String] { entries.indices.contains(hsm) ? entries[hsm].keys.sorted() : [] }

    /// The key objects of an HSM that cannot serve.
    func complaints(hsm: Int) -> [CatalogueComplaint] { complaints.indices.contains(hsm) ? complaints[hsm] : [] }
}

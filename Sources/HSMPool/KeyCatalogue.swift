// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing

/// Which HSM holds which key, by label, as the workers last told. Pure.
///
/// What an HSM told is kept while its worker is away, so that a request can wait for a worker that is coming back.
struct KeyCatalogue {
    private var entries: [[String: CatalogueEntry]]
    private var complaints: [[String: String]]
    private var holders: [String: HSMSet] = [:]

    init(hsmCount: Int) {
        entries = Array(repeating: [:], count: hsmCount)
        complaints = Array(repeating: [:], count: hsmCount)
    }

    /// Replaces what one HSM holds.
    mutating func replace(hsm: Int, entries list: [CatalogueEntry], complaints said: [CatalogueComplaint]) {
        guard entries.indices.contains(hsm) else { return }
        for label in entries[hsm].keys { holders[label]?.remove(hsm) }
        entries[hsm] = Dictionary(list.map { ($0.label, $0) }) { first, _ in first }
        complaints[hsm] = Dictionary(said.map { ($0.label, $0.reason) }) { first, _ in first }
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
        let complaint = complaints.indices.first { serving.contains($0) && complaints[$0][label] != nil }
        return .absent(complaint.flatMap { complaints[$0][label] })
    }
}

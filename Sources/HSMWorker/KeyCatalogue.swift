// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

/// What a worker says about the keys of its token, and where each of them is.
package struct CatalogueState: Sendable, Equatable {
    package var entries: [CatalogueEntry] = []
    package var complaints: [CatalogueComplaint] = []
    /// Where the numbers of `entries` lead, and those of earlier ones whose label is still there.
    package var places: [UInt32: KeyPlace] = [:]

    package init() {}
}

/// Gives the keys of a token their numbers, and tells which of them cannot serve. Pure.
///
/// A number stands for one object under one label, as long as the worker lives, and is never given to another: a key
/// that goes and comes back is another key until it is proven to be the same.
package struct KeyCatalogue: Sendable {
    /// Most keys of a token that are looked at.
    package static let mostKeys = 10_000
    /// Most complaints that are told; the rest is counted.
    package static let mostComplaints = 200

    /// Most numbers remembered that lead nowhere any more; the oldest are forgotten first.
    package static let mostRetired = 20_000

    private struct Identity: Hashable {
        var handle: ObjectHandle
        var label: KeyLabel
        var id: [UInt8]
    }

    private var references: [Identity: UInt32] = [:]
    /// Numbers that lead nowhere any more, with the label they stood for.
    private var retired: [UInt32: KeyLabel] = [:]
    private var lastReference: UInt32 = 0

    package init() {}

    /// Takes what a search found. `token` is the token's label, for the complaints.
    package mutating func update(_ findings: KeyFindings, token: String) -> CatalogueState {
        var state = CatalogueState()
        var kept: [Identity: UInt32] = [:]
        var complaints: [CatalogueComplaint] = []
        let groups = Dictionary(grouping: findings.keys) { $0.label }
        for (label, keys) in groups.sorted(by: { ($0.key ?? "") < ($1.key ?? "") }) {
            guard let key = Self.usable(keys, label: label, token: token, complaints: &complaints),
                let label = key.label
            else { continue }
            let identity = Identity(handle: key.handle, label: label, id: key.id)
            guard let reference = references[identity] ?? newReference() else { continue }
            kept[identity] = reference
            state.entries.append(
                CatalogueEntry(reference: reference, label: label, usage: key.usage, validity: key.validity))
            state.places[reference] = .at(key.handle)
        }
        retire(keeping: kept)
        let labels = Set(kept.keys.map(\.label))
        for (reference, label) in retired where labels.contains(label) { state.places[reference] = .moved }
        if findings.isCut {
            complaints.insert(
                CatalogueComplaint(
                    label: "",
                    reason: "token \"\(token)\" holds more than \(Self.mostKeys) AES keys; the others are not seen"),
                at: 0)
        }
        if complaints.count > Self.mostComplaints {
            let dropped = complaints.count - Self.mostComplaints
            complaints.removeLast(dropped)
            complaints.append(CatalogueComplaint(label: "", reason: "and \(dropped) more keys that cannot serve"))
        }
        state.complaints = complaints
        return state
    }

    private mutating func retire(keeping kept: [Identity: UInt32]) {
        for (identity, reference) in references where kept[identity] == nil { retired[reference] = identity.label }
        references = kept
        if retired.count > Self.mostRetired {
            for reference in retired.keys.sorted().dropLast(Self.mostRetired) { retired[reference] = nil }
        }
    }

    private mutating func newReference() -> UInt32? {
        let (next, overflow) = lastReference.addingReportingOverflow(1)
        guard !overflow else { return nil }
        lastReference = next
        return next
    }

    /// The one key of a label that can serve; otherwise a complaint that names token, label and CKA_ID.
    private static func usable(
        _ keys: [KeyDescription], label: KeyLabel?, token: String, complaints: inout [CatalogueComplaint]
    ) -> KeyDescription? {
        func complain(_ reason: String) {
            complaints.append(CatalogueComplaint(label: label ?? "", reason: reason))
        }
        let ids = keys.prefix(8).map { idText($0.id) }.joined(separator: ", ")
        guard let label else {
            complain("token \"\(token)\": \(keys.count) AES key(s) with a label that cannot be read (CKA_ID \(ids))")
            return nil
        }
        guard !label.isEmpty else {
            complain("token \"\(token)\": \(keys.count) AES key(s) without a label (CKA_ID \(ids)); give each its own")
            return nil
        }
        guard let key = keys.first, keys.count == 1 else {
            complain(
                "token \"\(token)\" holds \(keys.count) AES keys with the label \"\(label)\" (CKA_ID \(ids)); none of "
                    + "them serves until each has a label of its own")
            return nil
        }
        guard let size = key.size else {
            complain("token \"\(token)\" does not tell the size of key \"\(label)\" (CKA_ID \(ids))")
            return nil
        }
        guard size == 32 else {
            complain(
                "key \"\(label)\" on token \"\(token)\" (CKA_ID \(ids)) has \(size * 8) bits; an external key store "
                    + "takes AES keys of 256 bits only")
            return nil
        }
        return key
    }

    private static func idText(_ id: [UInt8]) -> String { id.isEmpty ? "none" : hexadecimal(id.prefix(32)) }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

/// What a worker says about the keys of its token, and where each of them is.
package struct CatalogueState: Sendable, Equatable {
    package var listing = KeyListing()
    /// Where the numbers of the entries lead, and those of earlier ones whose label is still there.
    package var handles: [UInt32: KeyHandle] = [:]

    package init() {}
}

/// Gives the keys of a token their numbers, and reports which of them cannot serve. Pure.
///
/// A number stands for one object under one label, as long as the worker lives, and is never given to another: a key
/// that goes and comes back, or whose check value or unique id changes under its handle, is another key until it is
/// proven to be the same.
package struct KeyCatalogue: Sendable {
    /// Most keys that are listed.
    package static let mostKeys = 10_000
    /// Most bytes that the entries may take in their message; the rest of it is left to complaints.
    package static let mostBytes = largestControlMessage - 512 * 1024
    /// Most complaints that are reported; the rest is counted.
    package static let mostComplaints = 200
    /// Most objects whose label is no UTF-8 that are reported one by one.
    package static let mostStrangeLabels = 8
    /// Most labels that are shown of those that can be no external key id.
    package static let mostMisfits = 8
    /// Most numbers remembered that lead nowhere any more; the oldest are forgotten first.
    package static let mostRetired = 20_000

    private struct Known: Sendable {
        var label: KeyLabel
        var identity: KeyIdentity
        var reference: UInt32
        /// As it was listed last.
        var entry: CatalogueEntry

        /// What a token does not show this time is what it was, but for CKA_ID, which anybody may take away.
        func isSame(as key: KeyDescription) -> Bool {
            key.label == label && key.identity.id == identity.id && !identity.contradicts(key.identity)
        }
    }

    private var known: [ObjectHandle: Known] = [:]
    /// Numbers that lead nowhere any more, with the label they stood for.
    private var retired: [UInt32: KeyLabel] = [:]
    private var lastReference: UInt32 = 0

    package init() {}

    /// Takes what a search found.
    ///
    /// - Parameters:
    ///   - isGrowing: the token is still being read. What was listed before and has not been found again stands.
    ///   - named: labels that key stores name one by one.
    ///   - token: the token's label, for the complaints.
    package mutating func update(
        _ results: KeySearchResults, isGrowing: Bool = false, named: Set<KeyLabel> = [], token: String
    ) -> CatalogueState {
        var state = CatalogueState()
        var complaints = Complaints(token: token)
        complaints.add(unreadable: results.unreadable)
        complaints.add(others: results.otherObjects)
        complaints.add(strange: results.keys.filter { !$0.strangeLabel.isEmpty })
        complaints.add(misfits: results.misfits)
        complaints.add(nameless: results.keys.filter { $0.label?.isEmpty ?? $0.strangeLabel.isEmpty })
        let candidates = results.keys.filter { complaints.isFit($0) }
        complaints.add(twins: candidates)
        var kept: [ObjectHandle: Known] = [:]
        var bytes = 0
        var isCut = results.isCut
        // Keys that are named one by one come first: they are never cut off.
        let isNamed = { (key: KeyDescription) in key.label.map(named.contains) ?? false }
        for key in candidates.filter(isNamed) + candidates.filter({ !isNamed($0) }) {
            guard let label = key.label, let reference = reference(for: key) else { continue }
            let identity = identity(of: key, reference: reference)
            let entry = CatalogueEntry(
                reference: reference, label: label, usage: key.usage, validity: key.validity,
                identity: identity == KeyIdentity() ? nil : identity)
            bytes += entry.encodedLength
            guard state.listing.entries.count < Self.mostKeys, bytes <= Self.mostBytes else {
                isCut = true
                break
            }
            kept[key.handle] = Known(label: label, identity: identity, reference: reference, entry: entry)
            state.listing.entries.append(entry)
            state.handles[reference] = .at(key.handle)
        }
        if isGrowing {
            for (handle, old) in known where kept[handle] == nil {
                bytes += old.entry.encodedLength
                guard state.listing.entries.count < Self.mostKeys, bytes <= Self.mostBytes else { break }
                kept[handle] = old
                state.listing.entries.append(old.entry)
                state.handles[old.reference] = .at(handle)
            }
        }
        state.listing.entries.sort {
            $0.label == $1.label ? $0.reference < $1.reference : $0.label < $1.label
        }
        retire(keeping: kept)
        let labels = Set(kept.values.map(\.label))
        for (reference, label) in retired where labels.contains(label) { state.handles[reference] = .moved }
        if isCut { complaints.add(cutAt: results.isCut ? nil : state.listing.entries.count) }
        // An object without a label may be any key.
        let isUncertain = results.unreadable.contains { $0.label == nil }
        state.listing.extent = isGrowing ? .growing : isCut || isUncertain ? .cut : .whole
        state.listing.others = UInt32(clamping: results.others)
        state.listing.complaints = complaints.bounded
        return state
    }

    private mutating func reference(for key: KeyDescription) -> UInt32? {
        if let known = known[key.handle], known.isSame(as: key) { return known.reference }
        let (next, overflow) = lastReference.addingReportingOverflow(1)
        guard !overflow else { return nil }
        lastReference = next
        return next
    }

    /// What the token has ever said of it.
    private func identity(of key: KeyDescription, reference: UInt32) -> KeyIdentity {
        var identity = key.identity
        if let old = known[key.handle], old.reference == reference {
            identity.checkValue = identity.checkValue ?? old.identity.checkValue
            identity.uniqueID = identity.uniqueID ?? old.identity.uniqueID
        }
        return identity
    }

    private mutating func retire(keeping kept: [ObjectHandle: Known]) {
        for (handle, old) in known where kept[handle]?.reference != old.reference { retired[old.reference] = old.label }
        known = kept
        if retired.count > Self.mostRetired {
            for reference in retired.keys.sorted().dropLast(Self.mostRetired) { retired[reference] = nil }
        }
    }
}

/// Why objects cannot serve, in sentences that name token, label, CKA_ID and what mends it.
private struct Complaints {
    let token: String
    private var list: [CatalogueComplaint] = []

    init(token: String) { self.token = token }

    private mutating func complain(_ label: KeyLabel?, _ reason: String, isUndecided: Bool = false) {
        list.append(CatalogueComplaint(label: label ?? "", reason: reason, isUndecided: isUndecided))
    }

    /// True for a key that can serve as far as its attributes show; otherwise a complaint.
    mutating func isFit(_ key: KeyDescription) -> Bool {
        guard let label = key.label, !label.isEmpty else { return false }
        let id = Self.text(ofID: key.id)
        guard let size = key.size else {
            complain(label, "token \"\(token)\" does not tell the size of key \"\(label)\" (CKA_ID \(id))")
            return false
        }
        guard size == 32 else {
            // A token may say anything.
            let bits = size.multipliedReportingOverflow(by: 8)
            complain(
                label,
                "key \"\(label)\" on token \"\(token)\" (CKA_ID \(id)) has \(bits.overflow ? "too many" : "\(bits.0)") "
                    + "bits; an external key store takes AES keys of 256 bits only")
            return false
        }
        return true
    }

    mutating func add(unreadable: [UnreadableKey]) {
        for key in unreadable {
            let name = key.label.map { "key \"\($0)\"" } ?? "a key whose label cannot be read"
            let what =
                "token \"\(token)\": \(name) (handle \(key.handle.rawValue), CKA_ID \(Self.text(ofID: key.id))): "
                + "C_GetAttributeValue of \(key.attribute) returned \(key.code.name); "
            complain(
                key.label,
                what
                    + (key.isSilent
                        ? "no attribute of it can be read"
                        : "the key is not used until the attribute can be read, or is taken off"),
                isUndecided: true)
        }
    }

    mutating func add(others: [KeyLabel: OtherObject]) {
        for (label, object) in others.sorted(by: { $0.key < $1.key }) {
            complain(
                label,
                "object \"\(label)\" on token \"\(token)\" is \(object.words); an external key store takes AES keys of 256 "
                    + "bits only")
        }
    }

    mutating func add(strange: [KeyDescription]) {
        for key in strange.prefix(KeyCatalogue.mostStrangeLabels) {
            complain(
                nil,
                "token \"\(token)\": the label of an AES key (CKA_ID \(Self.text(ofID: key.id))) is no UTF-8: "
                    + "\(hexadecimal(key.strangeLabel.prefix(64))) in hexadecimal; no key store can offer it")
        }
        let rest = strange.count - KeyCatalogue.mostStrangeLabels
        if rest > 0 { complain(nil, "token \"\(token)\": and \(rest) more AES keys whose label is no UTF-8") }
    }

    /// All in one: a token shared with another application may hold thousands.
    mutating func add(misfits labels: [KeyLabel]) {
        let sorted = Set(labels).sorted()
        guard let first = sorted.first else { return }
        let shown = sorted.prefix(KeyCatalogue.mostMisfits).map { "\"\($0)\"" }.joined(separator: ", ")
        let rest = sorted.count - min(sorted.count, KeyCatalogue.mostMisfits)
        let keys = sorted.count == 1 ? "1 label" : "\(sorted.count) labels"
        complain(
            nil,
            "token \"\(token)\": \(keys) would fit a pattern of a key store, and can be no external key id (1 to 128 of "
                + "A-Z, a-z, 0-9, -, . and _): \(shown)\(rest > 0 ? " and \(rest) more" : ""). No key store offers "
                + "such a key, unless it gives it an id: keys = [{ id = \"…\", label = \"\(first)\" }]")
    }

    mutating func add(nameless: [KeyDescription]) {
        let empty = nameless.filter { $0.label != nil }
        let unread = nameless.filter { $0.label == nil }
        if !empty.isEmpty {
            complain(
                nil,
                "token \"\(token)\": \(empty.count) AES key(s) without a label (CKA_ID \(Self.text(ofIDs: empty))); "
                    + "give each its own")
        }
        if !unread.isEmpty {
            complain(
                nil,
                "token \"\(token)\": \(unread.count) AES key(s) with a label that cannot be read, or is longer than "
                    + "255 bytes (CKA_ID \(Self.text(ofIDs: unread)))")
        }
    }

    /// Keys of one label: each may be the one that is meant.
    mutating func add(twins keys: [KeyDescription]) {
        let groups = Dictionary(grouping: keys) { $0.label ?? "" }.filter { $0.value.count > 1 }
        for (label, keys) in groups.sorted(by: { $0.key < $1.key }) {
            complain(
                label,
                "token \"\(token)\" holds \(keys.count) AES-256 keys with the label \"\(label)\" (CKA_ID "
                    + "\(Self.text(ofIDs: keys))); only one that opens the key's canary can serve. Give each a label "
                    + "of its own, or remove those that are not meant",
                isUndecided: true)
        }
    }

    /// - Parameter reported: how many of the offered keys are reported; `nil` where not even all objects were looked
    ///   at.
    mutating func add(cutAt reported: Int?) {
        let reason =
            reported.map { "key stores offer more than the \($0) keys of it that are told" }
            ?? "holds more than \(KeyReader.mostObjects) AES keys; the others are not looked at"
        list.insert(
            CatalogueComplaint(
                label: "",
                reason: "token \"\(token)\" \(reason). Keys that a key store names one by one are found all the same"),
            at: 0)
    }

    var bounded: [CatalogueComplaint] {
        guard list.count > KeyCatalogue.mostComplaints else { return list }
        let dropped = list.count - KeyCatalogue.mostComplaints
        return list.dropLast(dropped)
            + [CatalogueComplaint(label: "", reason: "and \(dropped) more keys that cannot serve")]
    }

    private static func text(ofID id: [UInt8]) -> String { id.isEmpty ? "none" : hexadecimal(id.prefix(32)) }

    private static func text(ofIDs keys: [KeyDescription]) -> String {
        keys.prefix(8).map { text(ofID: $0.id) }.joined(separator: ", ")
    }
}

// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import PKCS11
import StatusVocabulary
import Testing

@Suite("Key catalogue")
struct KeyCatalogueTests {
    private func key(
        _ handle: UInt, _ label: KeyLabel?, id: [UInt8] = [], size: Int? = 32, usage: KeyUsage = [.encrypt, .decrypt],
        checkValue: [UInt8] = [], uniqueID: [UInt8] = []
    ) -> KeyDescription {
        KeyDescription(
            handle: ObjectHandle(rawValue: handle), label: label, id: id, size: size, usage: usage,
            checkValue: checkValue, uniqueID: uniqueID)
    }

    @Test("A key keeps its number, a new one gets another")
    func stable() {
        var catalogue = KeyCatalogue()
        let first = catalogue.update(KeySearchResults(keys: [key(1, "a"), key(2, "b")]), token: "t")
        let second = catalogue.update(KeySearchResults(keys: [key(3, "0"), key(2, "b"), key(1, "a")]), token: "t")
        let before = Dictionary(uniqueKeysWithValues: first.listing.entries.map { ($0.label, $0.reference) })
        let after = Dictionary(uniqueKeysWithValues: second.listing.entries.map { ($0.label, $0.reference) })
        #expect(before["a"] == after["a"])
        #expect(before["b"] == after["b"])
        #expect(Set(after.values).count == 3)
        #expect(after["a"].flatMap { second.handles[$0] } == .at(ObjectHandle(rawValue: 1)))
    }

    @Test("A number is never given again: not to another object of that label, not to one that comes back")
    func neverReused() {
        var catalogue = KeyCatalogue()
        var given = Set<UInt32>()
        for handle in [1, 2, 1] as [UInt] {
            let state = catalogue.update(KeySearchResults(keys: [key(handle, "a")]), token: "t")
            for entry in state.listing.entries { #expect(given.insert(entry.reference).inserted) }
        }
        #expect(given.count == 3)
        #expect(catalogue.update(KeySearchResults(keys: []), token: "t").handles.isEmpty)
        let renamed = catalogue.update(KeySearchResults(keys: [key(1, "b")]), token: "t")
        #expect(renamed.listing.entries.allSatisfy { !given.contains($0.reference) })
    }

    @Test("An old number of a label that is still there is moved; of one that is not, gone")
    func moved() throws {
        var catalogue = KeyCatalogue()
        let first = catalogue.update(KeySearchResults(keys: [key(1, "a"), key(2, "b")]), token: "t")
        let a = try #require(first.listing.entries.first { $0.label == "a" }?.reference)
        let b = try #require(first.listing.entries.first { $0.label == "b" }?.reference)
        let second = catalogue.update(KeySearchResults(keys: [key(9, "a")]), token: "t")
        #expect(second.handles[a] == .moved)
        #expect(second.handles[b] == nil)
        #expect(second.handles.count == 2)
        let third = catalogue.update(KeySearchResults(keys: [key(9, "a"), key(10, "b")]), token: "t")
        #expect(third.handles[a] == .moved)
        #expect(third.handles[b] == .moved)
    }

    @Test("What leads nowhere is remembered within bounds")
    func retiredBounds() {
        var catalogue = KeyCatalogue()
        var state = CatalogueState()
        for round in 0..<30 as Range<UInt> {
            let keys = (0..<1_000 as Range<UInt>).map { key(round * 1_000 + $0, KeyLabel("k\($0)")) }
            state = catalogue.update(KeySearchResults(keys: keys), token: "t")
        }
        #expect(state.listing.entries.count == 1_000)
        #expect(state.handles.count == 1_000 + KeyCatalogue.mostRetired)
        #expect(state.listing.entries.allSatisfy { state.handles[$0.reference] != .moved })
    }

    @Test("The same keys give the same state")
    func unchanged() {
        var catalogue = KeyCatalogue()
        let first = catalogue.update(KeySearchResults(keys: [key(1, "a"), key(2, "x", size: 16)]), token: "t")
        #expect(catalogue.update(KeySearchResults(keys: [key(2, "x", size: 16), key(1, "a")]), token: "t") == first)
    }

    /// Where a label that is there twice was left out, `bar` alone was reported.
    @Test("Several objects of one label are all reported, each with a number of its own, and people are informed of it")
    func candidates() throws {
        var catalogue = KeyCatalogue()
        let found = KeySearchResults(keys: [key(1, "foo", id: [0x0a]), key(2, "foo", id: [0xbc]), key(3, "bar")])
        let state = catalogue.update(found, token: "prod")
        #expect(state.listing.entries.map(\.label) == ["bar", "foo", "foo"])
        #expect(Set(state.listing.entries.map(\.reference)).count == 3)
        for handle in 1...3 as ClosedRange<UInt> {
            #expect(state.handles.values.contains(.at(ObjectHandle(rawValue: handle))))
        }
        let complaint = try #require(state.listing.complaints.first)
        #expect(complaint.label == "foo")
        for part in ["prod", "foo", "0a", "bc", "canary"] { #expect(complaint.reason.contains(part)) }
        let again = catalogue.update(found, token: "prod")
        #expect(again == state)
    }

    @Test("Labels are bytes: those that Swift calls equal are different keys")
    func bytes() {
        var catalogue = KeyCatalogue()
        let labels: [KeyLabel] = ["K", "\u{212A}", "caf\u{E9}", "cafe\u{301}"]
        let keys = labels.enumerated().map { key(UInt($0.offset), $0.element) }
        let state = catalogue.update(KeySearchResults(keys: keys), token: "t")
        // With labels compared as Strings: two pairs of twins, and a complaint of each.
        #expect(Set(state.listing.entries.map(\.label)) == Set(labels))
        #expect(state.listing.entries.count == 4)
        #expect(state.listing.complaints.isEmpty)
    }

    @Test("A label that is no UTF-8 is reported in hexadecimal, with its CKA_ID, each for itself")
    func strangeLabels() {
        var catalogue = KeyCatalogue()
        let keys = [[0x62, 0xff], [0x62, 0xfe]].enumerated().map { index, label in
            KeyDescription(
                handle: ObjectHandle(rawValue: UInt(index)), label: nil, strangeLabel: label,
                id: [0x70 + UInt8(index)], size: 32, usage: [])
        }
        let state = catalogue.update(KeySearchResults(keys: keys + [key(9, "good")]), token: "t")
        #expect(state.listing.entries.map(\.label) == ["good"])
        #expect(state.listing.complaints.count == 2)
        for (complaint, part) in zip(state.listing.complaints, [("62ff", "70"), ("62fe", "71")]) {
            #expect(complaint.reason.contains(part.0) && complaint.reason.contains(part.1))
            #expect(!complaint.reason.contains("\u{FFFD}"))
        }
    }

    @Test("Labels that can be no external key id are one complaint, of the token, that names the mend")
    func misfits() throws {
        var catalogue = KeyCatalogue()
        var results = KeySearchResults(keys: [key(1, "good")])
        results.misfits = (0..<10).map { KeyLabel("app \($0)") } + ["app 0"]
        let complaints = catalogue.update(results, token: "t").listing.complaints
        #expect(complaints.map(\.label) == [""] && !complaints.contains(where: \.isUndecided))
        let reason = try #require(complaints.first?.reason)
        #expect(reason.contains("10 labels would fit") && reason.contains("\"app 7\" and 2 more"), "\(reason)")
        #expect(reason.contains("keys = [{ id = \"…\", label = \"app 0\" }]"), "\(reason)")
    }

    @Test("An object that cannot be read is out by itself, and reported with handle, label, CKA_ID, attribute and code")
    func unreadable() throws {
        var catalogue = KeyCatalogue()
        let odd = UnreadableKey(
            handle: ObjectHandle(rawValue: 77), label: "odd", id: [0xab], attribute: "CKA_END_DATE",
            code: .generalError, isSilent: false)
        let state = catalogue.update(KeySearchResults(keys: [key(1, "foo")], unreadable: [odd]), token: "t")
        #expect(state.listing.entries.map(\.label) == ["foo"])
        let complaint = try #require(state.listing.complaints.first)
        #expect(complaint.label == "odd" && complaint.isUndecided)
        #expect(state.listing.extent == .whole)
        // One that shows not even its label may be any key: nothing is absent.
        var nameless = odd
        nameless.label = nil
        let other = catalogue.update(KeySearchResults(keys: [key(1, "foo")], unreadable: [nameless]), token: "t")
        #expect(other.listing.extent == .cut)
        for part in ["77", "odd", "ab", "CKA_END_DATE", "CKR_GENERAL_ERROR"] {
            #expect(complaint.reason.contains(part), "\(complaint.reason)")
        }
    }

    @Test("Another check value or unique id under the same handle is another key, and gets another number")
    func exchanged() throws {
        var catalogue = KeyCatalogue()
        var given: [UInt32] = []
        for (checkValue, uniqueID) in [
            ([1, 2, 3], [7]), ([4, 5, 6], [7]), ([4, 5, 6], [8]), ([], [8]), ([4, 5, 6], []), ([4, 5, 6], [8]),
        ] as [([UInt8], [UInt8])] {
            let found = KeySearchResults(keys: [key(1, "foo", id: [9], checkValue: checkValue, uniqueID: uniqueID)])
            let state = catalogue.update(found, token: "t")
            given.append(try #require(state.listing.entries.first?.reference))
            for old in given.dropLast() where old != given.last { #expect(state.handles[old] == .moved) }
            let identity = try #require(state.listing.entries.first?.identity)
            #expect(identity.id == [9] && identity.checkValue != nil && identity.uniqueID != nil)
        }
        // Without: one number for all six, so that nothing is proven anew. What is not shown for once is no change.
        #expect(given[0] != given[1] && given[1] != given[2])
        #expect(Set(given[2...]).count == 1)
    }

    @Test("Only keys of 256 bits serve; an unfit twin does not spoil the label")
    func sizes() {
        var catalogue = KeyCatalogue()
        let found = KeySearchResults(keys: [
            key(1, "short", id: [1], size: 16), key(2, "unknown", size: nil), key(3, "mad", size: .max),
            key(4, "good"), key(5, "both"), key(6, "both", size: 16),
        ])
        let state = catalogue.update(found, token: "t")
        #expect(state.listing.entries.map(\.label) == ["both", "good"])
        #expect(Set(state.listing.complaints.map(\.label)) == ["short", "unknown", "mad", "both"])
        #expect(state.listing.complaints.first { $0.label == "short" }?.reason.contains("128 bits") == true)
    }

    @Test("Keys without a label, or with one that cannot be read, are reported")
    func nameless() {
        var catalogue = KeyCatalogue()
        let state = catalogue.update(KeySearchResults(keys: [key(1, ""), key(2, ""), key(3, nil)]), token: "t")
        #expect(state.listing.entries.isEmpty)
        #expect(state.listing.complaints.count == 2)
        #expect(state.listing.extent == .whole)
    }

    @Test("More keys than can be reported are cut, and those that are named one by one are never cut off")
    func cut() {
        var catalogue = KeyCatalogue()
        let many = (0..<KeyCatalogue.mostKeys + 50 as Range<Int>).map { key(UInt($0), KeyLabel("app-\($0)")) }
        let found = KeySearchResults(keys: many + [key(90_000, "zebra")])
        let state = catalogue.update(found, named: ["zebra"], token: "t")
        #expect(state.listing.entries.count == KeyCatalogue.mostKeys)
        #expect(state.listing.extent == .cut)
        #expect(state.listing.entries.contains { $0.label == "zebra" })
        // Long labels and ids count in bytes: without, the message is longer than a node reads, and the worker is killed.
        let long = (0..<9_000 as Range<UInt>).map {
            key($0, KeyLabel("\($0)" + String(repeating: "x", count: 240)), id: [UInt8](repeating: 1, count: 255))
        }
        let bounded = catalogue.update(KeySearchResults(keys: long), token: "t")
        #expect(bounded.listing.extent == .cut)
        let message = WorkerMessage.catalogue(bounded.listing).encoded()
        #expect(message.count > KeyCatalogue.mostBytes - 4_096 && message.count < largestControlMessage)
    }

    @Test("While a token is being read its keys are reported as a part")
    func growing() {
        var catalogue = KeyCatalogue()
        let part = catalogue.update(KeySearchResults(keys: [key(1, "a")], others: 3), isGrowing: true, token: "t")
        let whole = catalogue.update(KeySearchResults(keys: [key(1, "a"), key(2, "b")], others: 9), token: "t")
        #expect(part.listing.extent == .growing)
        #expect(whole.listing.extent == .whole && whole.listing.others == 9)
        #expect(part.listing.entries == Array(whole.listing.entries.prefix(1)))
    }

    @Test("What was reported while a token is being read stands when the reading begins anew, until the whole is known")
    func growingAgain() {
        var catalogue = KeyCatalogue()
        let keys = (1...4).map { key(UInt($0), KeyLabel("k\($0)")) }
        let first = catalogue.update(KeySearchResults(keys: Array(keys.prefix(3))), isGrowing: true, token: "t")
        let again = catalogue.update(KeySearchResults(keys: [keys[3]]), isGrowing: true, token: "t")
        // Without: only k4, and the others get other numbers when they are found again.
        #expect(again.listing.entries.map(\.label) == ["k1", "k2", "k3", "k4"])
        #expect(Array(again.listing.entries.prefix(3)) == first.listing.entries)
        let whole = catalogue.update(KeySearchResults(keys: [keys[0], keys[3]]), token: "t")
        #expect(whole.listing.entries == [again.listing.entries[0], again.listing.entries[3]])
    }

    @Test("Complaints are bounded, and a token with too many keys is reported")
    func bounds() {
        var catalogue = KeyCatalogue()
        let keys = (1...1_000).map { key(UInt($0), KeyLabel("k\($0)"), size: 16) }
        let state = catalogue.update(KeySearchResults(keys: keys, isCut: true), token: "t")
        #expect(state.listing.complaints.count == KeyCatalogue.mostComplaints + 1)
        #expect(state.listing.complaints.first?.reason.contains("more than") == true)
        #expect(state.listing.extent == .cut)
    }

    @Test("Usage is reported as it is, and a change of it is a change of state")
    func usage() {
        var catalogue = KeyCatalogue()
        let first = catalogue.update(KeySearchResults(keys: [key(1, "a", usage: [.encrypt])]), token: "t")
        let second = catalogue.update(KeySearchResults(keys: [key(1, "a", usage: [.decrypt])]), token: "t")
        #expect(first.listing.entries.first?.usage == [.encrypt])
        #expect(first.listing.entries.first?.reference == second.listing.entries.first?.reference)
        #expect(first != second)
    }
}

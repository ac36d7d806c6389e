// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

@Suite("Key catalogue")
struct KeyCatalogueTests {
    private func key(
        _ handle: UInt, _ label: KeyLabel?, id: [UInt8] = [], size: Int? = 32, usage: KeyUsage = [.encrypt, .decrypt]
    ) -> KeyDescription {
        KeyDescription(handle: ObjectHandle(rawValue: handle), label: label, id: id, size: size, usage: usage)
    }

    @Test("A key keeps its number, a new one gets another")
    func stable() {
        var catalogue = KeyCatalogue()
        let first = catalogue.update(KeyFindings(keys: [key(1, "a"), key(2, "b")]), token: "t")
        let second = catalogue.update(KeyFindings(keys: [key(3, "0"), key(2, "b"), key(1, "a")]), token: "t")
        let before = Dictionary(uniqueKeysWithValues: first.entries.map { ($0.label, $0.reference) })
        let after = Dictionary(uniqueKeysWithValues: second.entries.map { ($0.label, $0.reference) })
        #expect(before["a"] == after["a"])
        #expect(before["b"] == after["b"])
        #expect(Set(after.values).count == 3)
        #expect(after["a"].flatMap { second.places[$0] } == .at(ObjectHandle(rawValue: 1)))
    }

    @Test("A number is never given again: not to another object of that label, not to one that comes back")
    func neverReused() {
        var catalogue = KeyCatalogue()
        var given = Set<UInt32>()
        for handle in [1, 2, 1] as [UInt] {
            let state = catalogue.update(KeyFindings(keys: [key(handle, "a")]), token: "t")
            for entry in state.entries { #expect(given.insert(entry.reference).inserted) }
        }
        #expect(given.count == 3)
        #expect(catalogue.update(KeyFindings(keys: []), token: "t").places.isEmpty)
        let renamed = catalogue.update(KeyFindings(keys: [key(1, "b")]), token: "t")
        #expect(renamed.entries.allSatisfy { !given.contains($0.reference) })
    }

    @Test("An old number of a label that is still there is moved; of one that is not, gone")
    func moved() throws {
        var catalogue = KeyCatalogue()
        let first = catalogue.update(KeyFindings(keys: [key(1, "a"), key(2, "b")]), token: "t")
        let a = try #require(first.entries.first { $0.label == "a" }?.reference)
        let b = try #require(first.entries.first { $0.label == "b" }?.reference)
        let second = catalogue.update(KeyFindings(keys: [key(9, "a")]), token: "t")
        #expect(second.places[a] == .moved)
        #expect(second.places[b] == nil)
        #expect(second.places.count == 2)
        let third = catalogue.update(KeyFindings(keys: [key(9, "a"), key(10, "b")]), token: "t")
        #expect(third.places[a] == .moved)
        #expect(third.places[b] == .moved)
    }

    @Test("What leads nowhere is remembered within bounds")
    func retiredBounds() {
        var catalogue = KeyCatalogue()
        var state = CatalogueState()
        for round in 0..<30 as Range<UInt> {
            let keys = (0..<1_000 as Range<UInt>).map { key(round * 1_000 + $0, "k\($0)") }
            state = catalogue.update(KeyFindings(keys: keys), token: "t")
        }
        #expect(state.entries.count == 1_000)
        #expect(state.places.count == 1_000 + KeyCatalogue.mostRetired)
        #expect(state.entries.allSatisfy { state.places[$0.reference] != .moved })
    }

    @Test("The same keys give the same state")
    func unchanged() {
        var catalogue = KeyCatalogue()
        let first = catalogue.update(KeyFindings(keys: [key(1, "a"), key(2, "x", size: 16)]), token: "t")
        #expect(catalogue.update(KeyFindings(keys: [key(2, "x", size: 16), key(1, "a")]), token: "t") == first)
    }

    @Test("Two objects with one label serve neither, and both are named")
    func duplicates() throws {
        var catalogue = KeyCatalogue()
        let found = KeyFindings(keys: [key(1, "foo", id: [0x0a]), key(2, "foo", id: [0xbc]), key(3, "bar")])
        let state = catalogue.update(found, token: "prod")
        #expect(state.entries.map(\.label) == ["bar"])
        let complaint = try #require(state.complaints.first)
        #expect(complaint.label == "foo")
        for part in ["prod", "foo", "0a", "bc"] { #expect(complaint.reason.contains(part)) }
    }

    @Test("Only keys of 256 bits serve; an unfit twin spoils the label, too")
    func sizes() {
        var catalogue = KeyCatalogue()
        let found = KeyFindings(keys: [
            key(1, "short", id: [1], size: 16), key(2, "unknown", size: nil), key(3, "mad", size: .max / 16),
            key(4, "good"), key(5, "both"), key(6, "both", size: 16),
        ])
        let state = catalogue.update(found, token: "t")
        #expect(state.entries.map(\.label) == ["good"])
        #expect(Set(state.complaints.map(\.label)) == ["short", "unknown", "mad", "both"])
        #expect(state.complaints.first { $0.label == "short" }?.reason.contains("128 bits") == true)
    }

    @Test("Keys without a label, or with one that cannot be read, are told")
    func nameless() {
        var catalogue = KeyCatalogue()
        let state = catalogue.update(KeyFindings(keys: [key(1, ""), key(2, ""), key(3, nil)]), token: "t")
        #expect(state.entries.isEmpty)
        #expect(state.complaints.count == 2)
    }

    @Test("Complaints are bounded, and a token with too many keys is told")
    func bounds() {
        var catalogue = KeyCatalogue()
        let keys = (1...1_000).map { key(UInt($0), "k\($0)", size: 16) }
        let state = catalogue.update(KeyFindings(keys: keys, isCut: true), token: "t")
        #expect(state.complaints.count == KeyCatalogue.mostComplaints + 1)
        #expect(state.complaints.first?.reason.contains("more than") == true)
    }

    @Test("Usage is told as it is, and a change of it is a change of state")
    func usage() {
        var catalogue = KeyCatalogue()
        let first = catalogue.update(KeyFindings(keys: [key(1, "a", usage: [.encrypt])]), token: "t")
        let second = catalogue.update(KeyFindings(keys: [key(1, "a", usage: [.decrypt])]), token: "t")
        #expect(first.entries.first?.usage == [.encrypt])
        #expect(first.entries.first?.reference == second.entries.first?.reference)
        #expect(first != second)
    }
}

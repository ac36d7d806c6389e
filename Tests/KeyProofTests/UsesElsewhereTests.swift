// SPDX-License-Identifier: Apache-2.0
import KeyProof
import Testing

@Suite("Uses of keys at other nodes")
struct UsesElsewhereTests {
    private var uses = UsesElsewhere()

    private func total(_ label: String) -> UInt64? { uses.totals[Array(label.utf8)] }

    @Test("each node's latest word counts, and all are added")
    mutating func sums() {
        uses.told(5, of: "k", by: "fra-1")
        uses.told(7, of: "k", by: "iad-1")
        uses.told(9, of: "k", by: "iad-1")
        uses.told(1, of: "other", by: "iad-1")
        #expect(total("k") == 14 && total("other") == 1 && total("nothing") == nil)
        #expect(uses.takeChanges().count == 3 && uses.takeChanges().isEmpty)
        uses.told(9, of: "k", by: "iad-1")
        #expect(uses.takeChanges().isEmpty)
    }

    @Test("what a node did before it lost its counts is not forgotten, nor over a restart of this one")
    mutating func begunAnew() {
        uses.told(1_000, of: "k", by: "fra-1")
        uses.told(3, of: "k", by: "fra-1")
        #expect(total("k") == 1_003)
        let stored = uses.takeChanges()
        #expect(stored == [.init(node: "fra-1", label: "k", before: 1_000, told: 3)])
        var again = UsesElsewhere(stored: stored)
        again.told(4, of: "k", by: "fra-1")
        #expect(again.totals[Array("k".utf8)] == 1_004)
    }

    @Test("labels are bytes, nonsense does not overflow, and nobody fills the memory")
    mutating func bounded() {
        uses.told(1, of: "caf\u{E9}", by: "a")
        uses.told(2, of: "cafe\u{301}", by: "a")
        #expect(total("caf\u{E9}") == 1 && total("cafe\u{301}") == 2)
        uses.told(.max, of: "k", by: "a")
        uses.told(1, of: "k", by: "a")
        uses.told(.max, of: "k", by: "b")
        #expect(total("k") == .max)
        for index in 0..<20_000 { uses.told(1, of: "k\(index)", by: "x") }
        #expect(uses.totals.count <= UsesElsewhere.mostKnown)
    }
}

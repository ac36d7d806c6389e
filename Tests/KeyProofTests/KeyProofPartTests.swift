// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Testing

@Suite("Key proof: parts of a token's list")
struct KeyProofPartTests {
    private func entries(_ bench: ProofBench, _ hsm: Int, _ labels: [KeyLabel]) -> [CatalogueEntry] {
        labels.compactMap { label in
            bench.keys[hsm][label].map { CatalogueEntry(reference: $0.reference, label: label, usage: $0.usage) }
        }
    }

    @Test("what a part does not name has not vanished; what the whole list lacks has")
    func partialLists() {
        var bench = ProofBench(["a"])
        for label in ["k", "l"] as [KeyLabel] { bench.put(label, 7, on: 0) }
        bench.settle()
        #expect(bench.holders("k") == [0] && bench.holders("l") == [0])
        for extent in [KeyListing.Extent.growing, .cut, .growing] {
            bench.take(bench.proof.listed(hsm: 0, entries: entries(bench, 0, ["l"]), extent: extent, now: bench.now))
            // Without: nobody holds k, and an alarm is raised.
            #expect(bench.holders("k") == [0] && bench.holders("l") == [0])
        }
        #expect(bench.alarms.isEmpty)
        bench.take(bench.proof.listed(hsm: 0, entries: entries(bench, 0, ["l"]), now: bench.now))
        #expect(bench.holders("k").isEmpty && bench.holders("l") == [0])
        #expect(bench.alarms == [.vanished(label: "k", hsm: "a")])
    }

    @Test("a new worker serves what it has read so far, and keys that it has yet to read raise no alarm")
    func newWorker() {
        var bench = ProofBench(["a"])
        for label in ["k", "l"] as [KeyLabel] { bench.put(label, 7, on: 0) }
        bench.settle()
        bench.end(0)
        bench.take(bench.proof.listed(hsm: 0, entries: entries(bench, 0, ["l"]), extent: .growing, now: bench.now))
        bench.run()
        #expect(bench.holders("l") == [0] && bench.holders("k").isEmpty)
        bench.list(0)
        bench.run()
        #expect(bench.holders("k") == [0])
        #expect(bench.alarms.isEmpty)
    }

    @Test(
        "a key that no key store offers any more leaves without an alarm, and is checked anew when it is offered again")
    func withdrawn() {
        var bench = ProofBench(["a"])
        for label in ["k", "l"] as [KeyLabel] { bench.put(label, 7, on: 0) }
        bench.settle()
        bench.take(bench.proof.withdrawn(hsm: 0, except: { $0 == "l" }, now: bench.now))
        #expect(bench.holders("k").isEmpty && bench.holders("l") == [0])
        bench.take(bench.proof.listed(hsm: 0, entries: entries(bench, 0, ["l"]), now: bench.now))
        // Without: "key vanished from an HSM" after a reload.
        #expect(bench.alarms.isEmpty)
        bench.list(0)
        bench.run()
        #expect(bench.holders("k") == [0])
    }

    @Test("a key that is seen for the first time waits for an HSM that is still being read")
    func firstSight() {
        var bench = ProofBench(["a", "b"])
        bench.put("k", 7, on: 0)
        bench.put("k", 8, on: 1)
        bench.list(0)
        bench.take(bench.proof.listed(hsm: 1, entries: [], extent: .growing, now: bench.now))
        // Without: a makes the canary at once, and nobody learns that b disagrees.
        #expect(bench.checks.isEmpty)
        bench.list(1)
        #expect(!bench.checks.isEmpty)
    }
}

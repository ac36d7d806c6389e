// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Testing

@Suite("Key proof: peers that disagree")
struct KeyProofDisagreementTests {
    private let theirs = oldCanary("k", 2, maker: "far", age: 7_200)

    /// HSMs that hold key 1 under the label, and know it.
    private func pool(_ names: [String] = ["a", "b"]) -> ProofBench {
        var bench = ProofBench(names, canaries: [oldCanary("k", 1, maker: "a")])
        for hsm in names.indices { bench.put("k", 1, on: hsm) }
        bench.settle()
        bench.know(["n2", "n3"])
        bench.log = []
        return bench
    }

    @Test("a better canary that is not opened stops encryption here, and is an alarm that names node and HSM")
    func refused() {
        var bench = pool()
        bench.offer([theirs], by: "n2")
        bench.run()
        #expect(bench.holders("k") == [0, 1] && bench.proof.canary(of: "k")?.maker == "a")
        #expect(bench.proof.servers(of: "k", for: .encrypt).isEmpty)
        #expect(bench.alarms == [.disagrees(label: "k", node: "n2", hsm: "a")])
        #expect(bench.proof.hasDisagreements)
        #expect(
            bench.proof.disagreements() == [
                "key k: node n2 proves it by another key value than HSM a here, and only the other side encrypts"
            ])
    }

    @Test("what was refused is not tried again, nor reported as new, also when another node says it")
    func remembered() {
        var bench = pool()
        bench.offer([theirs], by: "n2")
        bench.run()
        let tickets = bench.tickets.count
        for _ in 0..<3 { bench.offer([theirs], by: "n2") }
        for _ in 0..<2 { bench.offer([theirs], by: "n3") }
        #expect(bench.tickets.count == tickets && bench.alarms.count == 2)
        #expect(bench.proof.disagreements().count == 2)
        bench.offer([oldCanary("k", 2, maker: "far", age: 7_201, nonce: 3)], by: "n2")
        #expect(bench.tickets.count == tickets + 1, "another canary is another claim")
    }

    @Test("it is forgotten when the peer agrees, by its word or by its canary")
    func settled() throws {
        var bench = pool()
        func disagree() {
            for node in ["n2", "n3"] {
                bench.offer([theirs], by: node)
                bench.run()
            }
            #expect(bench.proof.disagreements().count == 2)
        }
        disagree()
        bench.agree(with: "n2")
        bench.agree(with: "nobody")
        #expect(bench.proof.disagreements().map { $0.contains("n3") } == [true])
        bench.offer([oldCanary("k", 1, maker: "a")], by: "n3")
        #expect(!bench.proof.hasDisagreements && bench.proof.disagreements().isEmpty)
        disagree()
        bench.take(try bench.proof.trust("k", hsm: 0, now: bench.now).get())
        bench.run()
        #expect(bench.proof.hasDisagreements, "until the peers have heard of the order")
        #expect(bench.proof.servers(of: "k", for: .encrypt) == [0, 1])
    }

    @Test("what was refused before an operator's word is tried again after it")
    func triedAgain() throws {
        var bench = pool(["a"])
        let trusted = oldCanary("k", 2, maker: "far", age: 7_200, isTrusted: true)
        bench.offer([trusted], by: "n2")
        bench.run()
        #expect(bench.proof.hasDisagreements && bench.holders("k") == [0])
        // The key is replaced, and is said to be the right one before anything is found out about it.
        bench.put("k", 2, on: 0)
        bench.list(0)
        bench.take(try bench.proof.trust("k", hsm: 0, now: bench.now).get())
        bench.run()
        #expect(bench.proof.canary(of: "k")?.maker == "a" && !bench.proof.hasDisagreements)
        bench.offer([trusted], by: "n2")
        bench.run()
        #expect(bench.holders("k") == [0] && bench.proof.canary(of: "k")?.maker == "a", "the later order")
    }

    @Test("who has refused it, and turns out to hold another key or is gone, is no witness any more")
    func trialsDiscarded() {
        for event in 0..<3 {
            var bench = pool()
            // Another key has got under a's label, and nobody has noticed.
            bench.keys[0]["k"]?.value = 3
            bench.offer([oldCanary("k", 1, maker: "far", age: 7_200, nonce: 4)], by: "n2")
            bench.answer(bench.checks.removeFirst())
            #expect(bench.proof.hasDisagreements)
            switch event {
            case 0: bench.run()
            case 1: bench.remove(0)
            default:
                bench.keys[0] = [:]
                bench.list(0)
            }
            #expect(bench.holders("k") == [1] && !bench.proof.hasDisagreements, "event \(event)")
            bench.offer([oldCanary("k", 1, maker: "far", age: 7_200, nonce: 4)], by: "n2")
            bench.run()
            #expect(bench.proof.canary(of: "k")?.maker == "far" && bench.holders("k") == [1], "b has opened it")
        }
    }

    @Test("a disputed key takes an operator's word from elsewhere, and nobody else's")
    func disputed() {
        var bench = ProofBench(["a", "b"])
        bench.put("k", 1, on: 0)
        bench.put("k", 2, on: 1)
        bench.settle()
        bench.offer([theirs], by: "n2")
        bench.run()
        guard case .disputed = bench.proof.standing(of: "k") else {
            Issue.record("\(bench.proof.standing(of: "k"))")
            return
        }
        #expect(bench.stored["k"]?.dispute != nil && bench.proof.shared().isEmpty)
        let trusted = oldCanary("k", 2, maker: "far", age: 1, nonce: 9, isTrusted: true)
        bench.offer([trusted], by: "n2")
        bench.run()
        #expect(bench.holders("k") == [1] && bench.isStored(trusted))
        #expect(bench.verdicts("k") == [.different(than: "far"), .proven] && bench.isDeciding(trusted))
    }

    @Test("a dispute that arises while a peer's canary is tried is not ended by it")
    func disputedMeanwhile() {
        var bench = ProofBench(["a", "b"], canaries: [oldCanary("k", 1, maker: "a", age: 1)])
        bench.put("k", 1, on: 0)
        bench.put("k", 2, on: 1)
        bench.list(0)
        bench.run()
        bench.offer([oldCanary("k", 1, maker: "far", age: 7_200, nonce: 4)], by: "n2")
        let trial = bench.checks
        bench.checks = []
        bench.list(1)
        bench.run()
        #expect(bench.holders("k").isEmpty)
        #expect(trial.map(\.hsm) == [0])
        for check in trial { bench.answer(check) }
        bench.run()
        #expect(bench.holders("k").isEmpty && bench.stored["k"]?.dispute != nil)
        #expect(bench.proof.canary(of: "k")?.maker == "a")
    }

    @Test("while an operator's word is carried out, peers are not listened to")
    func trusting() throws {
        var bench = pool()
        bench.take(try bench.proof.trust("k", hsm: 1, now: bench.now).get())
        bench.offer([oldCanary("k", 1, maker: "far", age: 7_200, nonce: 4, isTrusted: true)], by: "n2")
        bench.run()
        #expect(bench.proof.canary(of: "k")?.maker == "b" && bench.holders("k") == [0, 1])
    }

    @Test("of countless peers that disagree about a label, 64 are remembered")
    func bounded() {
        var bench = pool(["a"])
        for node in 0..<100 {
            bench.offer(
                [oldCanary("k", 2, maker: "far", age: 7_200 + Int64(node), nonce: UInt32(node))], by: "n\(node)")
            bench.run()
        }
        #expect(bench.proof.disagreements().count == 64 && bench.holders("k") == [0])
    }
}

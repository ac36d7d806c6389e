// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

@Suite("Key proof: peers that disagree")
struct KeyProofDisagreementTests {
    private let theirs = oldCanary("k", 2, maker: "far", age: 7_200)

    /// HSMs that hold key 1 under the label, and know it.
    private func pool(_ names: [String] = ["a", "b"]) -> ProofBench {
        var bench = ProofBench(names, canaries: [oldCanary("k", 1, maker: "a")])
        for hsm in names.indices { bench.put("k", 1, on: hsm) }
        bench.settle()
        bench.log = []
        return bench
    }

    @Test("a better canary that is not opened changes nothing here, and is an alarm that names node and HSM")
    func refused() {
        var bench = pool()
        bench.offer([theirs], by: "n2")
        bench.run()
        #expect(bench.holders("k") == [0, 1] && bench.stored.isEmpty)
        #expect(bench.alarms == [.disagrees(label: "k", node: "n2", hsm: "a")])
        #expect(bench.proof.hasDisagreements)
        #expect(
            bench.proof.disagreements() == ["key k: node n2 proves it by another key value than HSM a here"])
    }

    @Test("what was refused is not tried again, nor told as new, also when another node says it")
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

    @Test("it is forgotten when the peer agrees, by its word or by its canary, or an operator has decided here")
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
        bench.proof.agreed(with: "n2")
        bench.proof.agreed(with: "nobody")
        #expect(bench.proof.disagreements().map { $0.contains("n3") } == [true])
        bench.offer([oldCanary("k", 1, maker: "a")], by: "n3")
        #expect(!bench.proof.hasDisagreements && bench.proof.disagreements().isEmpty)
        disagree()
        bench.take(try bench.proof.trust("k", hsm: 0, now: bench.now).get())
        bench.run()
        #expect(!bench.proof.hasDisagreements && bench.holders("k") == [0, 1])
    }

    @Test("who has refused it, and turns out to hold another key or is gone, is no witness any more")
    func recanted() {
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
        #expect(bench.holders("k") == [1] && bench.stored["k"] == trusted)
        #expect(bench.verdicts("k") == [.different(than: "far"), .proven] && bench.proof.shared() == [trusted])
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

@Suite("Key proof: hostile peers")
struct KeyProofHostilePeerTests {
    @Test("canaries of impossible sizes, and nodes of impossible names, are passed over")
    func malformed() {
        let good = oldCanary("k", 1, maker: "far")
        let changes: [(inout Canary) -> Void] = [
            { $0.label = "" }, { $0.label = String(repeating: "é", count: 128) }, { $0.digest = [] },
            { $0.digest.append(0) }, { $0.digest.removeLast() }, { $0.sealed.ciphertext.append(0) },
            { $0.sealed.ciphertext = [] }, { $0.sealed.initializationVector = Array(repeating: 0, count: 11) },
            { $0.sealed.initializationVector = Array(repeating: 0, count: 17) },
            { $0.maker = String(repeating: "x", count: 256) },
        ]
        var bench = ProofBench(["a"])
        for change in changes {
            var bad = good
            change(&bad)
            bench.offer([bad], by: "n2")
        }
        for node in ["", String(repeating: "n", count: 65)] { bench.offer([good], by: node) }
        #expect(bench.stored.isEmpty && bench.proof.matrix().isEmpty && bench.log.isEmpty)
        bench.offer([good], by: String(repeating: "n", count: 64))
        #expect(bench.stored["k"] == good)
    }

    @Test("a peer cannot fill the memory with labels that no HSM has; those that one has are always heard")
    func labels() {
        var bench = ProofBench(["a"], limits: ProofLimits(unlisted: 10))
        bench.put("mine", 1, on: 0)
        bench.list(0)
        bench.offer((0..<1_000).map { oldCanary("x\($0)", 1, maker: "far") }, by: "n2")
        #expect(bench.stored.count == 10)
        bench.offer((0..<1_000).map { oldCanary("y\($0)", 1, maker: "far") }, by: "n3")
        bench.offer([oldCanary("mine", 1, maker: "far")], by: "n2")
        bench.run()
        #expect(bench.stored.count == 11 && bench.holders("mine") == [0])
    }

    @Test("no time that a peer says makes a canary younger than now, and none traps, also after a restart")
    func times() {
        for madeAt in [Int64.min, -1, 0, 1_800_000_000, .max] {
            var told = oldCanary("k", 1, maker: "far")
            told.madeAt = madeAt
            var bench = ProofBench(["a"])
            bench.offer([told], by: "n2")
            #expect(bench.stored["k"]?.madeAt == min(madeAt, bench.unixSeconds))
            var stored = told
            stored.madeAt = madeAt
            var later = ProofBench(["a"], canaries: [stored])
            later.put("k", 1, on: 0)
            later.settle()
            later.offer([oldCanary("k", 1, maker: "far", nonce: 4)], by: "n3")
            later.run()
            later.wait(20)
            later.run()
            #expect(later.holders("k") == [0] && later.alarms.isEmpty, "\(madeAt)")
        }
    }

    @Test("a peer's dispute is not taken with its canary")
    func dispute() {
        var bench = ProofBench(["a"])
        bench.offer([oldCanary("k", 1, maker: "far", dispute: "x and y")], by: "n2")
        bench.put("k", 1, on: 0)
        bench.settle()
        #expect(bench.stored["k"]?.dispute == nil && bench.holders("k") == [0])
    }

    @Test("whatever a peer says, an HSM that has proven its key goes on serving, unless an operator's word is forged")
    func served() {
        var random = RandomChoice(seed: 3)
        var bench = ProofBench(["a", "b"], canaries: (0..<4).map { oldCanary("k\($0)", 1, maker: "a") })
        for key in 0..<4 {
            for hsm in 0..<2 { bench.put("k\(key)", 1, on: hsm) }
        }
        bench.settle()
        for round in 0..<2_000 {
            let told = (0..<random.below(4)).map { _ in
                var canary = oldCanary(
                    "k\(random.below(6))", UInt8(random.below(3)), maker: random.below(2) == 0 ? "a" : "far",
                    age: Int64(random.below(9_000)) - 100, nonce: UInt32(random.below(1_000)),
                    isTrusted: random.below(4) == 0)
                if random.below(8) == 0 { canary.digest[random.below(32)] ^= 1 }
                return canary
            }
            bench.offer(told, by: "n\(random.below(3))")
            if random.below(3) == 0 { bench.wait(Double(random.below(400))) }
            if random.below(4) == 0 { bench.run(failing: random.below(5) == 0 ? [0] : []) }
            for key in 0..<4 where bench.holders("k\(key)") != [0, 1] {
                Issue.record("round \(round): k\(key) is served by \(bench.holders("k\(key)"))")
                return
            }
        }
        bench.run()
        #expect(bench.alarms.count > 20)
        #expect(bench.log.contains { if case .adopted(let label, _, _) = $0 { label == "k0" } else { false } })
    }
}

// SPDX-License-Identifier: Apache-2.0
import Chance
import KeyProof
import LaneProtocol
import Testing

@Suite("Key proof: hostile peers")
struct KeyProofHostilePeerTests {
    @Test("canaries of impossible sizes, and nodes of impossible names, are passed over")
    func malformed() {
        let good = oldCanary("k", 1, maker: "far")
        let changes: [(inout Canary) -> Void] = [
            { $0.label = "" }, { $0.label = KeyLabel(String(repeating: "é", count: 128)) }, { $0.digest = [] },
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
        #expect(bench.isStored(good))
    }

    @Test("a peer cannot fill the memory with labels that no HSM has; those that one has are always received")
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

    @Test("no time that a peer says traps, also after a restart")
    func times() {
        for madeAt in [Int64.min, -1, 0, 1_800_000_000, .max] {
            var announced = oldCanary("k", 1, maker: "far")
            announced.madeAt = madeAt
            var bench = ProofBench(["a"])
            bench.offer([announced], by: "n2")
            #expect(bench.stored["k"]?.madeAt == madeAt, "the same on all nodes: it decides which canary is better")
            var stored = announced
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

    @Test("whatever a peer says, an HSM that has proven its key goes on serving, unless an operator's order is forged")
    func served() {
        var random = RandomChoice(seed: 3)
        var bench = ProofBench(["a", "b"], canaries: (0..<4).map { oldCanary("k\($0)", 1, maker: "a") })
        for key in 0..<4 {
            for hsm in 0..<2 { bench.put("k\(key)", 1, on: hsm) }
        }
        bench.settle()
        for round in 0..<2_000 {
            let announced = (0..<random.below(4)).map { _ in
                var canary = oldCanary(
                    "k\(random.below(6))", UInt8(random.below(3)), maker: random.below(2) == 0 ? "a" : "far",
                    age: Int64(random.below(9_000)) - 100, nonce: UInt32(random.below(1_000)))
                if random.below(8) == 0 { canary.digest[random.below(32)] ^= 1 }
                return canary
            }
            bench.offer(announced, by: "n\(random.below(3))")
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

// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import StatusVocabulary
import Testing

@Suite("May this key be used here, soon, or why not")
struct KeyDecisionTests {
    private func isUnknown(_ decision: KeyDecision) -> Bool { if case .unknown = decision { true } else { false } }

    @Test("a key that was proven and that no live HSM lists is unknown, never absent")
    func proven() {
        // Without the canary's word each of these is `.absent`, which KMS receives as KeyNotFoundException.
        var bench = ProofBench(["a"], canaries: [oldCanary("k", 1, maker: "far")])
        bench.list(0)
        #expect(bench.decision("never", .encrypt) == .absent(nil))
        for purpose in KeyPurpose.allCases { #expect(isUnknown(bench.decision("k", purpose))) }
        bench.offer([oldCanary("elsewhere", 1, maker: "far")], by: "n2")
        #expect(isUnknown(bench.decision("elsewhere", .decrypt)))
    }

    /// Without a look at the cluster both of the last two were `.absent`.
    @Test("absence is believed only while every member of the cluster lives and has exchanged its canaries")
    func members() {
        var bench = ProofBench(["a"])
        bench.list(0)
        #expect(bench.decision("never", .encrypt) == .absent(nil))
        bench.know(["n2", "n3"])
        #expect(bench.decision("never", .encrypt) == .absent(nil))
        bench.know(["n2", "n3"], live: ["n3"])
        #expect(isUnknown(bench.decision("never", .encrypt)))
        bench.know(["n2", "n3"], exchanged: ["n2"])
        #expect(isUnknown(bench.decision("never", .encrypt)))
    }

    /// Without a look at whose list was cut the key was `.absent`.
    @Test("an HSM whose list was cut short, or that cannot be asked, does not say that it has no such key")
    func witnesses() {
        var bench = ProofBench(["a", "b"])
        for hsm in 0..<2 { bench.list(hsm) }
        #expect(bench.decision("never", .encrypt) == .absent(nil))
        #expect(isUnknown(bench.decision("never", .encrypt, doubtful: [1])))
        #expect(isUnknown(bench.decision("never", .encrypt, responding: [])))
        #expect(bench.decision("never", .encrypt, responding: [0]) == .absent(nil))
        // What an HSM listed last is worth waiting for while it is away.
        bench.put("k", 1, on: 1)
        bench.list(1)
        bench.run()
        bench.end(1)
        guard case .wait([1], _) = bench.decision("k", .encrypt, responding: [0]) else {
            Issue.record("\(bench.decision("k", .encrypt, responding: [0]))")
            return
        }
    }

    @Test("one copy without CKA_ENCRYPT refuses Encrypt on itself only, and people are informed")
    func usage() {
        // With one usage for all holders: `.forbidden(.decrypt)`, which is InvalidKeyUsageException for every Encrypt.
        var bench = ProofBench(["a", "b"], canaries: [oldCanary("k", 1, maker: "a")])
        bench.put("k", 1, on: 0)
        bench.put("k", 1, on: 1, usage: .decrypt)
        bench.settle()
        guard case .use([0], let terms) = bench.decision("k", .encrypt) else {
            Issue.record("\(bench.decision("k", .encrypt))")
            return
        }
        #expect(terms.usage == [.encrypt, .decrypt])
        guard case .use([0, 1], _) = bench.decision("k", .decrypt) else {
            Issue.record("\(bench.decision("k", .decrypt))")
            return
        }
        #expect(bench.proof.servers(of: "k", for: .encrypt) == [0])
        #expect(bench.proof.matrix().first?.complaints == ["b may not encrypt with it (CKA_ENCRYPT is false)"])
        // Where no copy allows it, that is how the key is meant.
        var both = ProofBench(["a"], canaries: [oldCanary("k", 1, maker: "a")])
        both.put("k", 1, on: 0, usage: .decrypt)
        both.settle()
        var others = ProofBench(["a", "b", "c"])
        for (hsm, usage) in [KeyUsage([.encrypt, .decrypt]), .encrypt, .sign].enumerated() {
            others.put("k", 1, on: hsm, usage: usage)
        }
        others.settle()
        #expect(
            others.proof.matrix().first?.complaints == [
                "b may not decrypt with it, and so cannot prove it (CKA_DECRYPT is false)",
                "c may neither encrypt nor decrypt with it (CKA_ENCRYPT and CKA_DECRYPT are false)",
            ])
        var none = ProofBench(["a", "b"])
        for hsm in 0...1 { none.put("k", 1, on: hsm, usage: [.sign, .verify]) }
        none.settle()
        let row = none.proof.matrix().first
        #expect(row?.isOfNoUse == true && row?.complaints == [] && others.proof.matrix().first?.isOfNoUse == false)
        #expect(both.decision("k", .encrypt) == .forbidden(.decrypt) && both.proof.matrix().first?.complaints == [])
    }

    @Test(
        "a key whose checks fail is unknown, one whose HSMs hold another key is refused, one under check is waited for")
    func standing() {
        var failing = ProofBench(["a"], canaries: [oldCanary("k", 1, maker: "a")])
        failing.put("k", 1, on: 0)
        failing.list(0)
        guard case .wait([0], _) = failing.decision("k", .encrypt) else {
            Issue.record("\(failing.decision("k", .encrypt))")
            return
        }
        failing.run(failing: [0])
        #expect(failing.decision("k", .encrypt) == .unknown("a: CKR_GENERAL_ERROR"))

        var different = ProofBench(["a"], canaries: [oldCanary("k", 1, maker: "far")])
        different.put("k", 2, on: 0)
        different.settle()
        #expect(different.decision("k", .decrypt) == .refused("a holds another key under this label than far"))
        #expect(different.proof.different("k") == [0])
    }

    @Test("an HSM that the key store may not use says nothing")
    func permitted() {
        var bench = ProofBench(["a", "b"])
        bench.put("k", 1, on: 0)
        bench.settle()
        let witnesses = KeyWitnesses(responding: [0, 1], members: [0, 1])
        let decision = bench.proof.decision(on: "k", for: .encrypt, on: [1], witnesses: witnesses)
        #expect(isUnknown(decision), "it is proven, elsewhere")
        #expect(bench.proof.decision(on: "x", for: .encrypt, on: [], witnesses: witnesses) != .absent(nil))
    }
}

@Suite("Key proof: a young key")
struct YoungKeyTests {
    private func bench(_ values: [UInt8], up: [Int]) -> ProofBench {
        var bench = ProofBench(values.indices.map { "h\($0)" })
        for (hsm, value) in values.enumerated() { bench.put("k", value, on: hsm) }
        for hsm in up { bench.list(hsm) }
        bench.wait(5)
        bench.run()
        return bench
    }

    @Test("one HSM that was up first does not decide against two")
    func first() {
        // Without a dispute of young keys those that came 17 s later were excluded, and the wrong one served alone.
        var late = bench([2, 1, 1], up: [0])
        #expect(late.holders("k") == [0], "it serves meanwhile")
        late.wait(17)
        late.list(1)
        late.run()
        guard case .disputed = late.proof.standing(of: "k") else {
            Issue.record("\(late.proof.standing(of: "k"))")
            return
        }
        late.list(2)
        late.run()
        #expect(late.holders("k").isEmpty && late.stored["k"]?.dispute != nil)
    }

    @Test("two that agree outnumber one that disagrees: it is out, whichever comes when, and whoever makes the canary")
    func majority() {
        for odd in 0..<3 {
            let values: [UInt8] = (0..<3).map { $0 == odd ? 2 : 1 }
            let together = bench(values, up: [0, 1, 2])
            #expect(together.holders("k") == (0..<3).filter { $0 != odd }, "\(odd)")
            #expect(together.verdicts("k")[odd] == .different(than: together.stored["k"]?.maker ?? ""))
            var late = bench(values, up: (0..<3).filter { $0 != odd })
            late.wait(100)
            late.list(odd)
            late.run()
            #expect(late.holders("k") == (0..<3).filter { $0 != odd })
        }
    }

    /// Without a dispute of young keys the first two served on.
    @Test("one that has said nothing may hold either key")
    func missing() {
        var bench = bench([1, 1, 2, 2], up: [0, 1])
        #expect(bench.holders("k") == [0, 1])
        bench.list(2)
        bench.run()
        #expect(bench.holders("k").isEmpty, "two against one, and one that is missing")
    }

    @Test("HSMs of other nodes that have opened the canary count, by their serial numbers")
    func otherNodes() throws {
        var bench = bench([1, 2], up: [0])
        bench.know(["n2"])
        var announced = try #require(bench.proof.announced().first)
        announced.history.provers = ["far-1"]
        bench.exchange([announced], with: "n2")
        bench.list(1)
        bench.run()
        #expect(bench.holders("k") == [0] && bench.verdicts("k")[1] == .different(than: "h0"))
    }

    @Test("the day is one of running: what a node was off does not count, and it outlasts restarts")
    func runningTime() {
        let first = bench([1, 2], up: [0])
        for (ran, isDispute) in [(Int64(100), true), (86_399, true), (86_500, false)] {
            var later = ProofBench(["h0", "h1"], canaries: first.stored.values.map { $0 }, ran: ran)
            later.unixSeconds += 1_000_000
            later.put("k", 1, on: 0)
            later.put("k", 2, on: 1)
            later.list(0)
            later.run()
            later.list(1)
            later.run()
            #expect(later.holders("k") == (isDispute ? [] : [0]), "\(ran)")
        }
    }
}

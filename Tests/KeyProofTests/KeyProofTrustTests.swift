// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Testing

@Suite("Key proof: an operator's word")
struct KeyProofTrustTests {
    private func disputed() -> ProofBench {
        var bench = ProofBench(["a", "b", "c"])
        for (hsm, value) in [UInt8(1), 2, 2].enumerated() { bench.put("k", value, on: hsm) }
        bench.settle()
        return bench
    }

    private func trust(_ hsm: Int, in bench: inout ProofBench) throws {
        bench.take(try bench.proof.trust("k", hsm: hsm, now: bench.now).get())
    }

    @Test("its HSM makes a new canary, which decides for good and is stored at once")
    func decides() throws {
        var bench = disputed()
        try trust(1, in: &bench)
        #expect(bench.checks.map(\.kind) == [.make] && bench.checks.map(\.hsm) == [1])
        #expect(bench.holders("k").isEmpty)
        bench.run()
        #expect(bench.holders("k") == [1, 2])
        #expect(bench.verdicts("k") == [.different(than: "b"), .proven, .proven])
        #expect(bench.stored["k"]?.isTrusted == true && bench.stored["k"]?.dispute == nil)
        #expect(bench.log.contains(.trusted(label: "k", hsm: "b")))
        #expect(bench.proof.matrix().map(\.dispute) == [nil])

        var later = ProofBench(["a", "b", "c"], canaries: [try #require(bench.stored["k"])])
        for (hsm, value) in [UInt8(1), 2, 2].enumerated() { later.put("k", value, on: hsm) }
        later.settle()
        #expect(later.holders("k") == [1, 2])
    }

    @Test("until the new canary is made nothing serves, also where there was no dispute")
    func nothingServesMeanwhile() throws {
        var bench = ProofBench(["a", "b"], canaries: [oldCanary("k", 1, maker: "a")])
        for hsm in 0..<2 { bench.put("k", UInt8(hsm + 1), on: hsm) }
        bench.settle()
        #expect(bench.holders("k") == [0])
        try trust(1, in: &bench)
        #expect(bench.granted.isEmpty && bench.proof.standing(of: "k") == .pending)
        bench.run(failing: [1])
        #expect(bench.holders("k").isEmpty)
        bench.wait(1)
        bench.run()
        #expect(bench.holders("k") == [1])
        bench.wait(3_600)
        bench.run()
        #expect(bench.verdicts("k") == [.different(than: "b"), .proven])
    }

    @Test("the word outlives its HSM's worker, but not the key it was about")
    func interrupted() throws {
        var bench = disputed()
        try trust(0, in: &bench)
        bench.end(0)
        bench.list(0)
        bench.run()
        #expect(bench.holders("k") == [0])

        var gone = ProofBench(["a", "b"], canaries: [oldCanary("k", 1, maker: "a")])
        for hsm in 0..<2 { gone.put("k", UInt8(hsm + 1), on: hsm) }
        gone.settle()
        try trust(1, in: &gone)
        gone.keys[1] = [:]
        gone.list(1)
        #expect(gone.holders("k") == [0], "the old canary decides again")
        #expect(gone.checks.contains { $0.hsm == 0 && $0.kind != .make }, "and is checked anew")
        gone.run()
        #expect(gone.holders("k") == [0])
    }

    @Test("a word about a key that its HSM does not list, or may not use, is not taken")
    func refusals() {
        var bench = disputed()
        bench.put("r", 1, on: 0, usage: .decrypt)
        bench.list(0)
        #expect(bench.proof.trust("r", hsm: 0, now: bench.now) == .failure(.usageNotPermitted))
        #expect(bench.proof.trust("r", hsm: 1, now: bench.now) == .failure(.notListed))
        #expect(bench.proof.trust("nowhere", hsm: 1, now: bench.now) == .failure(.notListed))
        bench.end(1)
        #expect(bench.proof.trust("k", hsm: 1, now: bench.now) == .failure(.notListed))
    }

    @Test("an operator may change their mind while the first word is carried out")
    func changedMind() throws {
        var bench = disputed()
        try trust(0, in: &bench)
        let make = bench.checks.removeFirst()
        try trust(1, in: &bench)
        bench.answer(make)
        bench.run()
        #expect(bench.holders("k") == [1, 2] && bench.stored["k"]?.maker == "b")
    }
}

@Suite("Keys of one use")
struct KeyOfOneUseTests {
    @Test("what may only open is opened without proof, and never encrypts")
    func onlyDecrypt() {
        var pool = ProofBench(["a", "b"])
        pool.put("old", 7, on: 0, usage: .decrypt)
        pool.put("old", 7, on: 1, usage: .decrypt)
        pool.settle()
        #expect(pool.proof.holders(of: "old").isEmpty)
        #expect(pool.proof.withoutProof(of: "old", for: .decrypt) == [0, 1])
        #expect(pool.proof.withoutProof(of: "old", for: .encrypt).isEmpty)
    }

    @Test("an encrypt-only key serves where there was never anything to prove")
    func onlyEncrypt() {
        var pool = ProofBench(["a", "b"])
        pool.put("seal", 7, on: 0, usage: .encrypt)
        pool.settle()
        #expect(pool.proof.withoutProof(of: "seal", for: .encrypt) == [0])
        #expect(pool.proof.withoutProof(of: "seal", for: .decrypt).isEmpty)
    }

    @Test("an encrypt-only object under a proven key's label never encrypts, even when all others are gone")
    func impostor() {
        var pool = ProofBench(["a", "b"])
        pool.put("foo", 1, on: 0)
        pool.put("foo", 2, on: 1, usage: .encrypt)
        pool.settle()
        #expect(pool.holders("foo") == [0])
        pool.end(0)
        pool.settle()
        #expect(pool.proof.withoutProof(of: "foo", for: .encrypt).isEmpty)
    }

    @Test("nor one whose label has a canary from before")
    func impostorAfterRestart() {
        var pool = ProofBench(["a"], canaries: [oldCanary("foo", 1, maker: "a")])
        pool.put("foo", 2, on: 0, usage: .encrypt)
        pool.settle()
        #expect(pool.proof.withoutProof(of: "foo", for: .encrypt).isEmpty)
    }
}

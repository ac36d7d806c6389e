// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Testing

@Suite("Key proof: HSMs that go")
struct KeyProofLeavingTests {
    private func pool() -> ProofBench {
        var bench = ProofBench(["a", "b"], canaries: [oldCanary("k", 1, maker: "a")])
        for hsm in 0..<2 { bench.put("k", 1, on: hsm) }
        bench.settle()
        return bench
    }

    @Test("it serves no more, and its keys are not missed")
    func gone() {
        var bench = pool()
        bench.remove(0)
        #expect(bench.holders("k") == [1] && bench.granted == [KeyHolding(label: "k", hsm: 1)])
        #expect(bench.alarms.isEmpty && bench.verdicts("k") == [nil, .proven])
        bench.remove(1)
        #expect(bench.proof.standing(of: "k") == .unlisted && bench.granted.isEmpty && bench.alarms.isEmpty)
        #expect(bench.proof.canary(of: "k") != nil, "the canary is proof for later")
        for hsm in 0..<2 {
            #expect(bench.proof.removed(hsm: hsm, now: bench.now) == ProofActions())
            #expect(bench.proof.listed(hsm: hsm, entries: [], now: bench.now) == ProofActions())
            #expect(!bench.proof.isUndecided(hsm: hsm))
        }
        bench.wait(7_200)
        #expect(bench.checks.isEmpty, "nobody is asked any more")
    }

    @Test("whoever comes to its position has everything to prove, whatever its name")
    func proofsAreForgotten() {
        for name in ["a", "new"] {
            var bench = pool()
            bench.wait(3_600)
            let old = bench.checks.filter { $0.hsm == 0 }
            bench.remove(0)
            bench.join(0, name: name)
            #expect(bench.holders("k") == [1] && bench.verdicts("k")[0] == nil)
            bench.put("k", 2, on: 0)
            bench.list(0)
            for check in old {
                guard case .open(let sealed) = check.kind else { continue }
                bench.take(
                    bench.proof.opened(ticket: check.ticket, digest: ProofBench.digest(of: sealed), now: bench.now))
            }
            #expect(!old.isEmpty && bench.holders("k") == [1], "what the other one opened counts for nothing")
            #expect(bench.proof.isUndecided(hsm: 0) && !bench.proof.isUndecided(hsm: 1))
            bench.run()
            #expect(bench.verdicts("k") == [.different(than: "a"), .proven] && !bench.proof.isUndecided(hsm: 0))
            #expect(bench.alarms == [.differs(label: "k", hsm: name, maker: "a")])
        }
    }

    @Test("its catalogue is read as a first one, also where the one before had lost a key")
    func firstCatalogue() {
        var bench = pool()
        bench.keys[0] = [:]
        bench.list(0)
        bench.remove(0)
        bench.join(0, name: "new")
        bench.put("k", 1, on: 0)
        for _ in 0..<2 {
            bench.list(0)
            bench.run()
            #expect(bench.holders("k") == [0, 1])
        }
    }

    @Test("a maker that goes leaves the making to another")
    func maker() {
        for answers in 0..<2 {
            var bench = ProofBench(["a", "b"])
            for hsm in 0..<2 { bench.put("k", 1, on: hsm) }
            for hsm in 0..<2 { bench.list(hsm) }
            for _ in 0..<answers { bench.answer(bench.checks.removeFirst()) }
            bench.remove(0)
            bench.run()
            #expect(bench.holders("k") == [1] && bench.stored["k"]?.maker == "b" && bench.alarms.isEmpty)
        }
    }

    @Test("a label that only it reported, and that has no canary, is forgotten; its number serves another label")
    func labels() {
        var bench = ProofBench(["a", "b"])
        bench.put("only-a", 1, on: 0)
        bench.list(0)
        #expect(bench.proof.matrix().map(\.label) == ["only-a"])
        bench.remove(0)
        #expect(bench.proof.matrix().isEmpty && bench.proof.nextDue == nil)
        bench.put("only-b", 1, on: 1)
        bench.settle()
        #expect(bench.holders("only-b") == [1] && bench.holders("only-a").isEmpty)
    }

    @Test("an operator's word about it lapses with it")
    func trust() throws {
        var bench = pool()
        bench.take(try bench.proof.trust("k", hsm: 0, now: bench.now).get())
        #expect(bench.holders("k").isEmpty)
        bench.remove(0)
        bench.run()
        #expect(bench.holders("k") == [1] && bench.stored["k"]?.isTrusted != true)
        #expect(bench.proof.trust("k", hsm: 0, now: bench.now) == .failure(.unknownHSM))
    }

    @Test("a key whose own attributes forbid every use is not called unserved, one that is out is")
    func unserved() {
        var bench = ProofBench(["a", "b"], canaries: [oldCanary("out", 1, maker: "a")])
        bench.put("served", 1, on: 0)
        bench.put("out", 2, on: 0)
        bench.put("nothing", 1, on: 0, usage: [])
        bench.put("wraps", 1, on: 0, usage: [.wrap, .unwrap, .sign])
        bench.put("opens", 1, on: 0, usage: .decrypt)
        bench.settle()
        #expect(bench.proof.unserved(by: [0], limit: 9) == ["out"])
        #expect(bench.proof.unserved(by: [1], limit: 9) == ["opens", "out", "served"])
        #expect(bench.proof.unserved(by: [1], limit: 1) == ["opens"] && bench.proof.unserved(by: [1], limit: -1) == [])
        bench.remove(0)
        #expect(bench.proof.unserved(by: [], limit: 9) == ["out", "served"], "what is left has canaries")
    }
}

// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Testing

@Suite("Key proof: at first sight")
struct KeyProofFirstSightTests {
    @Test("all agree: one makes the canary, the others open it, then all serve at once")
    func agreement() {
        var bench = ProofBench(["a", "b", "c"])
        for hsm in 0..<3 { bench.put("k", 7, on: hsm) }
        bench.list(0)
        bench.list(1)
        #expect(bench.checks.isEmpty && bench.proof.standing(of: "k") == .pending)
        bench.list(2)
        #expect(bench.checks.map(\.kind) == [.make])
        bench.answer(bench.checks.removeFirst())
        #expect(bench.checks.count == 1, "its maker opens it first")
        bench.answer(bench.checks.removeFirst())
        #expect(bench.checks.map(\.hsm) == [1, 2])
        bench.answer(bench.checks.removeFirst())
        #expect(bench.holders("k").isEmpty && bench.stored.isEmpty, "one has not answered")
        #expect(bench.proof.hopeful(of: "k") == [0, 1, 2])
        bench.run()
        #expect(bench.holders("k") == [0, 1, 2] && bench.granted.count == 3)
        #expect(bench.proof.standing(of: "k") == .served && bench.proof.hopeful(of: "k").isEmpty)
        #expect(bench.stored["k"]?.maker == "a" && bench.storedTimes == 1)
        #expect(bench.log.first == .canaryMade(label: "k", hsm: "a") && bench.alarms.isEmpty)
        #expect(bench.log.filter { if case .proven = $0 { true } else { false } }.count == 3)
    }

    @Test("one disagrees: nobody serves, the alarm names both, and a restart does not turn it into a decision")
    func dispute() throws {
        var bench = ProofBench(["a", "b"])
        bench.put("k", 1, on: 0)
        bench.put("k", 2, on: 1)
        bench.settle()
        let text = "b and a hold different keys under this label"
        #expect(bench.proof.standing(of: "k") == .disputed(text))
        #expect(bench.alarms == [.disputed(label: "k", hsm: "b", maker: "a")])
        #expect(bench.granted.isEmpty && bench.proof.hopeful(of: "k").isEmpty)
        bench.wait(7_200)
        bench.run()
        #expect(bench.holders("k").isEmpty)

        var later = ProofBench(["a", "b"], canaries: [try #require(bench.stored["k"])])
        later.put("k", 1, on: 0)
        later.list(0)
        later.run()
        later.wait(60)
        later.run()
        #expect(later.holders("k").isEmpty && later.proof.standing(of: "k") == .disputed(text))
        #expect(later.proof.matrix().map(\.dispute) == [text])
    }

    @Test("who does not come up is waited for five seconds, or until it has failed")
    func waiting() {
        var bench = ProofBench(["a", "b"])
        bench.put("k", 1, on: 0)
        bench.list(0)
        bench.wait(4.9)
        #expect(bench.checks.isEmpty)
        bench.wait(0.2)
        bench.run()
        #expect(bench.holders("k") == [0])

        var failed = ProofBench(["a", "b"])
        failed.put("k", 1, on: 0)
        failed.list(0)
        failed.take(failed.proof.settled(hsm: 1, now: failed.now))
        failed.run()
        #expect(failed.holders("k") == [0])
    }

    @Test("a late HSM that disagrees makes a dispute while the canary is young, and is excluded afterwards")
    func late() {
        for (pause, isDispute) in [(9.0, true), (86_300, true), (86_401, false)] {
            var bench = ProofBench(["a", "b"])
            bench.put("k", 1, on: 0)
            bench.put("k", 2, on: 1)
            bench.list(0)
            bench.wait(5)
            bench.run()
            #expect(bench.holders("k") == [0])
            bench.wait(pause)
            bench.run()
            bench.list(1)
            bench.run()
            #expect(bench.holders("k") == (isDispute ? [] : [0]))
            #expect(
                bench.alarms == [
                    isDispute
                        ? .disputed(label: "k", hsm: "b", maker: "a") : .differs(label: "k", hsm: "b", maker: "a")
                ])
            #expect((bench.stored["k"]?.dispute != nil) == isDispute)
        }
    }

    @Test("a canary younger than ten seconds is still young after a restart")
    func youngAfterRestart() {
        for (age, isDispute) in [(Int64(4), true), (-30, true), (10, false)] {
            var bench = ProofBench(["a", "b"], canaries: [oldCanary("k", 1, maker: "a", age: age)])
            bench.put("k", 2, on: 1)
            bench.list(1)
            bench.run()
            if case .disputed = bench.proof.standing(of: "k") {
                #expect(isDispute)
            } else {
                #expect(!isDispute)
                #expect(bench.verdicts("k") == [nil, .different(than: "a")])
            }
        }
    }

    @Test("a maker that fails, or lacks the usage, or whose worker ends, leaves it to another")
    func anotherMaker() {
        var sick = ProofBench(["a", "b"])
        for hsm in 0..<2 { sick.put("k", 1, on: hsm) }
        for hsm in 0..<2 { sick.list(hsm) }
        sick.run(failing: [0])
        #expect(sick.holders("k") == [1] && sick.stored["k"]?.maker == "b")
        sick.wait(1)
        sick.run()
        #expect(sick.holders("k") == [0, 1])

        var unable = ProofBench(["a", "b"])
        unable.put("k", 1, on: 0, usage: .decrypt)
        unable.put("k", 1, on: 1)
        unable.settle()
        #expect(unable.holders("k") == [0, 1] && unable.stored["k"]?.maker == "b")

        var dying = ProofBench(["a", "b"])
        for hsm in 0..<2 { dying.put("k", 1, on: hsm) }
        for hsm in 0..<2 { dying.list(hsm) }
        dying.answer(dying.checks.removeFirst())
        dying.end(0)
        dying.run()
        #expect(dying.holders("k") == [1] && dying.stored["k"]?.maker == "b")
    }

    @Test("what its maker cannot open is no evidence against anybody")
    func ownCanary() {
        var bench = ProofBench(["a", "b"])
        for hsm in 0..<2 { bench.put("k", 1, on: hsm) }
        for hsm in 0..<2 { bench.list(hsm) }
        bench.answer(bench.checks.removeFirst())
        let confirm = bench.checks.removeFirst()
        bench.take(bench.proof.opened(ticket: confirm.ticket, digest: [0], now: bench.now))
        #expect(bench.verdicts("k")[0] == .failing("it cannot open what it has encrypted itself"))
        bench.run()
        #expect(bench.holders("k") == [1] && bench.alarms.isEmpty)
    }

    @Test("an HSM that does not answer holds nobody up for longer than five seconds")
    func silent() {
        var bench = ProofBench(["a", "b"])
        for hsm in 0..<2 { bench.put("k", 1, on: hsm) }
        for hsm in 0..<2 { bench.list(hsm) }
        while let check = bench.checks.first(where: { $0.hsm == 0 }) {
            bench.checks.removeAll { $0 == check }
            bench.answer(check)
        }
        #expect(bench.holders("k").isEmpty)
        bench.wait(5)
        #expect(bench.holders("k") == [0])
        bench.run()
        #expect(bench.holders("k") == [0, 1])
    }

    @Test("keys whose usage forbids the proof are reported so, and never served")
    func unprovable() {
        var bench = ProofBench(["a", "b"])
        bench.put("write-only", 1, on: 0, usage: .encrypt)
        bench.put("read-only", 1, on: 0, usage: .decrypt)
        bench.settle()
        for label in ["write-only", "read-only"] as [KeyLabel] {
            guard case .unprovable = bench.verdicts(label)[0] else {
                Issue.record("\(label) is not unprovable")
                continue
            }
            guard case .excluded(let text) = bench.proof.standing(of: label) else {
                Issue.record("\(label) is not excluded")
                continue
            }
            #expect(text.hasPrefix("a: ") && bench.proof.hopeful(of: label).isEmpty)
        }
        #expect(bench.granted.isEmpty)
        bench.put("read-only", 1, on: 1)
        bench.list(1)
        bench.run()
        #expect(bench.holders("read-only") == [0, 1], "another HSM made the canary")

        var known = ProofBench(["a"], canaries: [oldCanary("read-only", 1, maker: "x")])
        known.put("read-only", 1, on: 0, usage: .decrypt)
        known.settle()
        #expect(known.holders("read-only") == [0])
    }
}

// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Testing

@Suite("Key proof: HSMs that come")
struct KeyProofJoiningTests {
    @Test("one that comes later proves its keys like any other, and those before it are not asked again")
    func later() {
        var bench = ProofBench(["a", "b"])
        for hsm in 0..<2 { bench.put("k", 1, on: hsm) }
        bench.settle()
        let before = bench.tickets.count
        bench.join(2, name: "c")
        #expect(bench.verdicts("k") == [.proven, .proven, nil])
        bench.put("k", 1, on: 2)
        bench.list(2)
        #expect(bench.holders("k") == [0, 1] && bench.proof.hopeful(of: "k") == [2])
        bench.run()
        #expect(bench.holders("k") == [0, 1, 2] && bench.tickets.count == before + 1)
    }

    @Test("after the canary has aged, one that holds another key is out, and the alarm has its name")
    func different() {
        var bench = ProofBench(["a"], canaries: [oldCanary("k", 1, maker: "a")])
        bench.put("k", 1, on: 0)
        bench.settle()
        bench.join(1, name: "late")
        bench.put("k", 2, on: 1)
        bench.list(1)
        bench.run()
        #expect(bench.holders("k") == [0] && bench.verdicts("k") == [.proven, .different(than: "a")])
        #expect(bench.alarms == [.differs(label: "k", hsm: "late", maker: "a")])
    }

    @Test("keys seen for the first time wait for one that has just come, until it reports its keys or is gone")
    func firstSight() {
        for isGone in [false, true] {
            var bench = ProofBench(["a"])
            bench.join(1, name: "b")
            bench.put("k", 1, on: 0)
            bench.put("k", 2, on: 1)
            bench.list(0)
            #expect(bench.checks.isEmpty, "b may hold another key")
            if isGone { bench.remove(1) } else { bench.list(1) }
            bench.run()
            #expect(bench.holders("k") == (isGone ? [0] : []))
            #expect(bench.alarms.count == (isGone ? 0 : 1))
        }
    }

    @Test("a position is given once, without a gap, and there are 64 of them")
    func positions() {
        var bench = ProofBench(["a"], canaries: [oldCanary("k", 1, maker: "a")])
        bench.put("k", 1, on: 0)
        bench.settle()
        for position in [Int.min, -1, 0, 2, 64, .max] { bench.proof.joined(hsm: position, name: "x") }
        #expect(bench.verdicts("k") == [.proven], "a stays, and nobody else has come")
        for position in 1..<64 { bench.join(position, name: "h\(position)") }
        bench.proof.joined(hsm: 64, name: "x")
        #expect(bench.verdicts("k").count == 64)
        bench.put("k", 1, on: 63)
        bench.list(63)
        bench.run()
        #expect(bench.holders("k") == [0, 63])

        let many = ProofBench((0..<70).map { "h\($0)" }, canaries: [oldCanary("k", 1, maker: "a")])
        #expect(many.verdicts("k").count == 64)
    }

    @Test("what was due before stays due when positions are added, each at its own time")
    func due() {
        var bench = ProofBench(["a", "b"])
        for key in 0..<40 {
            for hsm in 0..<2 { bench.put("k\(key)", 1, on: hsm) }
        }
        bench.settle()
        var asked: [KeyHolding: Int] = [:]
        for minute in 0..<60 {
            if minute % 20 == 5 { bench.join(bench.keys.count, name: "late-\(minute)") }
            bench.wait(60)
            for check in bench.checks { asked[KeyHolding(label: check.label, hsm: check.hsm), default: 0] += 1 }
            while !bench.checks.isEmpty {
                let earlier = bench.checks.count
                bench.answer(bench.checks.removeFirst())
                for check in bench.checks.dropFirst(earlier - 1) {
                    asked[KeyHolding(label: check.label, hsm: check.hsm), default: 0] += 1
                }
            }
        }
        // Within the hour every key once on each of the two that list it; some a second time near its end.
        #expect(asked.count == 80 && asked.values.allSatisfy { (1...2).contains($0) })
        #expect(bench.alarms.isEmpty && bench.holders("k7") == [0, 1])
    }

    @Test("what was waited for is waited for no longer when a position is added meanwhile")
    func timers() {
        for isYoung in [false, true] {
            var bench = ProofBench(["a", "b"])
            bench.put("k", 1, on: 0)
            bench.list(0)
            if isYoung {
                bench.take(bench.proof.settled(hsm: 1, now: bench.now))
                bench.run()
                #expect(bench.holders("k") == [0], "for ten seconds who disagrees makes a dispute")
            }
            bench.join(2, name: "c")
            bench.join(3, name: "d")
            bench.wait(isYoung ? 10 : 5)
            bench.run()
            #expect(bench.holders("k") == [0])
            bench.wait(86_400)
            bench.run()
            bench.put("k", 2, on: 2)
            bench.list(2)
            bench.run()
            #expect(bench.holders("k") == [0] && bench.alarms == [.differs(label: "k", hsm: "c", maker: "a")])
        }
    }

    @Test("two HSMs that bear one name for a while do not take each other's part")
    func twins() {
        var bench = ProofBench(["a"])
        bench.put("k", 1, on: 0)
        bench.list(0)
        bench.answer(bench.checks.removeFirst())
        #expect(bench.checks.map(\.hsm) == [0], "a is to open what it has made")
        // The same HSM with new settings comes beside the old one, and lists the key meanwhile.
        bench.join(1, name: "a")
        bench.put("k", 1, on: 1)
        bench.list(1)
        bench.run()
        #expect(bench.holders("k") == [0, 1] && bench.alarms.isEmpty)
        #expect(!bench.log.contains { if case .checkFailed = $0 { true } else { false } })
        bench.remove(0)
        #expect(bench.holders("k") == [1] && bench.proof.standing(of: "k") == .served)
    }
}

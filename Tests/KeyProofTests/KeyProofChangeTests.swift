// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Testing

@Suite("Key proof: while it serves")
struct KeyProofChangeTests {
    /// Three HSMs, and a canary that decides.
    private func pool(_ values: [UInt8], canary: UInt8 = 1, limits: ProofLimits = ProofLimits()) -> ProofBench {
        var bench = ProofBench(
            values.indices.map { "hsm-\($0)" }, canaries: [oldCanary("k", canary, maker: "hsm-0")], limits: limits)
        for (hsm, value) in values.enumerated() { bench.put("k", value, on: hsm) }
        bench.settle()
        return bench
    }

    @Test("a stored canary decides at once; who holds another key is out for this key only")
    func decides() {
        var bench = ProofBench(["a", "b"], canaries: [oldCanary("k", 1, maker: "a")])
        for hsm in 0..<2 {
            bench.put("k", hsm == 0 ? 1 : 2, on: hsm)
            bench.put("other", 5, on: hsm)
        }
        bench.list(1)
        bench.run()
        #expect(bench.verdicts("k") == [nil, .different(than: "a")], "without waiting for a")
        #expect(bench.proof.standing(of: "k") == .excluded("b holds another key under this label than a"))
        bench.list(0)
        bench.run()
        #expect(bench.holders("k") == [0] && bench.holders("other") == [0, 1])
        #expect(bench.alarms == [.differs(label: "k", hsm: "b", maker: "a")])
    }

    @Test("a block that is another than the maker's is another key, whatever the HSM says")
    func wrongDigest() {
        var bench = pool([1])
        bench.wait(3_600)
        let check = bench.checks.removeFirst()
        bench.take(bench.proof.opened(ticket: check.ticket, digest: [1, 2, 3], now: bench.now))
        #expect(bench.holders("k").isEmpty && bench.verdicts("k") == [.different(than: "hsm-0")])
    }

    @Test("a key swapped under its label is revoked with the catalogue that reports it, before any check")
    func swapped() {
        var bench = pool([1, 1])
        bench.put("k", 2, on: 1)
        bench.list(1)
        #expect(bench.holders("k") == [0] && bench.proof.hopeful(of: "k") == [1])
        bench.run()
        #expect(bench.holders("k") == [0])
        #expect(bench.alarms.last == .differs(label: "k", hsm: "hsm-1", maker: "hsm-0"))
        #expect(
            bench.alarms.first == .swapped(label: "k", hsm: "hsm-1", lastOpened: bench.now, found: bench.now),
            "another value may have lain under the old handle for a while")
        bench.put("k", 1, on: 1)
        bench.list(1)
        bench.run()
        #expect(bench.holders("k") == [0, 1])
    }

    @Test("an answer about the key before the swap proves nothing about the one after it")
    func staleAnswer() {
        var bench = pool([1, 1])
        bench.wait(3_600)
        let check = bench.checks.first { $0.hsm == 1 }
        guard let check, case .open(let sealed) = check.kind else {
            Issue.record("no check")
            return
        }
        bench.checks.removeAll { $0 == check }
        bench.put("k", 2, on: 1)
        bench.list(1)
        bench.take(bench.proof.opened(ticket: check.ticket, digest: ProofBench.digest(of: sealed), now: bench.now))
        #expect(bench.holders("k") == [0])
        bench.run()
        #expect(bench.verdicts("k")[1] == .different(than: "hsm-0"))
    }

    @Test("a label that vanishes is an alarm, also when it went while the worker was down; a worker's end is none")
    func vanished() {
        var bench = pool([1, 1])
        bench.end(1)
        #expect(bench.holders("k") == [0] && bench.alarms.isEmpty)
        #expect(bench.verdicts("k") == [.proven, .unproven])
        bench.list(1)
        bench.run()
        #expect(bench.holders("k") == [0, 1])
        bench.end(1)
        bench.keys[1] = [:]
        bench.list(1)
        #expect(bench.alarms == [.vanished(label: "k", hsm: "hsm-1")])
        bench.keys[0] = [:]
        bench.list(0)
        #expect(bench.alarms.count == 2 && bench.proof.standing(of: "k") == .unlisted)
        #expect(bench.proof.canary(of: "k") != nil, "it is proof for later")
        bench.list(0)
        #expect(bench.alarms.count == 2)
    }

    @Test("a failed check of a proven key changes nothing; it is tried again after 1, 2, 4 … 30 seconds")
    func failedRecheck() {
        var bench = pool([1])
        bench.wait(3_600)
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            bench.run(failing: [0])
            #expect(bench.holders("k") == [0])
            bench.wait(Double(pause) - 0.01)
            #expect(bench.checks.isEmpty)
            bench.wait(0.01)
            #expect(bench.checks.count == 1)
        }
        #expect(bench.log.filter { if case .checkFailed = $0 { true } else { false } }.count == 1)
    }

    @Test("a failed first check keeps the HSM out of this key until one passes")
    func failedFirstCheck() {
        var bench = ProofBench(["a"], canaries: [oldCanary("k", 1, maker: "a")])
        bench.put("k", 1, on: 0)
        bench.list(0)
        bench.run(failing: [0])
        #expect(bench.proof.standing(of: "k") == .failing("a: CKR_GENERAL_ERROR"))
        #expect(bench.proof.hopeful(of: "k").isEmpty)
        bench.wait(1)
        #expect(bench.proof.hopeful(of: "k") == [0])
        bench.run()
        #expect(bench.holders("k") == [0])
    }

    @Test("a failed maker is asked to open another's canary, also when its pause ended before that one was made")
    func failedMakerIsNotForgotten() {
        var bench = ProofBench(["a", "b"])
        for hsm in 0..<2 { bench.put("k", 1, on: hsm) }
        for hsm in 0..<2 { bench.list(hsm) }
        bench.fail(bench.checks.removeFirst())
        bench.wait(1.5)
        bench.run()
        #expect(bench.holders("k") == [0, 1])
    }

    @Test("a key that the worker says is gone is out until the next catalogue")
    func gone() {
        var bench = pool([1, 1])
        bench.wait(3_600)
        let kept = bench.keys[1]
        bench.keys[1] = [:]
        bench.run()
        #expect(bench.holders("k") == [0] && bench.proof.hopeful(of: "k").isEmpty)
        bench.wait(3_600)
        #expect(!bench.checks.contains { $0.hsm == 1 })
        bench.run()
        bench.keys[1] = kept
        bench.list(1)
        bench.run()
        #expect(bench.holders("k") == [0, 1] && bench.alarms.isEmpty)
    }

    @Test("every key is checked again within the hour, spread over its second half")
    func hourly() {
        var bench = ProofBench(["a"])
        for key in 0..<200 { bench.put("k\(key)", 1, on: 0) }
        bench.settle()
        #expect(bench.holders("k0") == [0])
        var byMinute: [Int] = []
        for _ in 0..<60 {
            let before = bench.tickets.count
            bench.wait(60)
            bench.run()
            byMinute.append(bench.tickets.count - before)
        }
        #expect(byMinute.prefix(29).allSatisfy { $0 == 0 })
        #expect(byMinute.suffix(30).reduce(0, +) >= 195)
        #expect(byMinute.allSatisfy { $0 < 30 })
        #expect((bench.proof.nextDue ?? 0) > bench.now)
    }

    @Test("at most four checks at a time on one HSM, and those that a request waits for go first")
    func order() {
        let canaries = (0..<20).map { oldCanary("k\($0)", 1, maker: "a") }
        var bench = ProofBench(["a", "b"], canaries: canaries)
        for key in 0..<20 { bench.put("k\(key)", 1, on: 0) }
        bench.list(0)
        #expect(bench.checks.count == 4)
        let asked = Set(bench.checks.map(\.label))
        let last = (0..<20).map { "k\($0)" }.last { !asked.contains($0) } ?? ""
        for _ in 0..<3 { bench.proof.wanted(last) }
        bench.answer(bench.checks.removeFirst())
        #expect(bench.checks.count == 4 && bench.checks.last?.label == last)
        bench.run()
        #expect(bench.granted.count == 20 && bench.tickets.count == 20, "nothing is checked twice")
    }

    @Test("answers that nobody waits for are ignored")
    func strangers() {
        var bench = pool([1, 1])
        let before = bench.proof.matrix()
        for ticket in [0, 1, 2, 99, UInt64.max] {
            #expect(bench.proof.opened(ticket: ticket, digest: [], now: bench.now) == ProofActions())
            #expect(bench.proof.refused(ticket: ticket, .wrongKey, reason: "", now: bench.now) == ProofActions())
        }
        for hsm in [-1, 2, 64, .max] {
            #expect(bench.proof.listed(hsm: hsm, entries: [], now: bench.now) == ProofActions())
            #expect(bench.proof.workerEnded(hsm: hsm, now: bench.now) == ProofActions())
            #expect(bench.proof.settled(hsm: hsm, now: bench.now) == ProofActions())
            #expect(bench.proof.trust("k", hsm: hsm, now: bench.now) == .failure(.unknownHSM))
        }
        #expect(bench.proof.matrix() == before && bench.holders("k") == [0, 1])
    }

    @Test("an answer to another question than was asked proves nothing")
    func otherQuestion() {
        var bench = ProofBench(["a"])
        bench.put("k", 1, on: 0)
        bench.list(0)
        let make = bench.checks.removeFirst()
        bench.take(bench.proof.opened(ticket: make.ticket, digest: [], now: bench.now))
        #expect(bench.holders("k").isEmpty && bench.checks.isEmpty)
        bench.wait(1)
        bench.run()
        #expect(bench.holders("k") == [0])
    }
}

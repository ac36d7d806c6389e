// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

/// HSMs whose keys are numbers, and a driver that carries checks to them. A canary's ciphertext is the key's number and
/// a running one; whoever holds that number opens it.
struct ProofBench {
    struct Key: Equatable {
        var value: UInt8
        var reference: UInt32
        var usage: KeyUsage = [.encrypt, .decrypt]
    }

    static let second: UInt64 = 1_000_000_000
    var proof: KeyProof
    var now: UInt64 = 1_000 * Self.second
    var unixSeconds: Int64 = 1_800_000_000
    var keys: [[String: Key]]
    var checks: [ProofCheck] = []
    var log: [ProofNews] = []
    var stored: [String: Canary] = [:]
    var storedTimes = 0
    var granted: Set<KeyPlacement> = []
    /// Every ticket ever issued.
    var tickets: Set<UInt64> = []
    private var lastNonce: UInt32 = 0
    private var lastReference: UInt32 = 0

    init(_ names: [String], canaries: [Canary] = [], limits: ProofLimits = ProofLimits(), seed: UInt64 = 1) {
        keys = names.map { _ in [:] }
        proof = KeyProof(
            hsms: names, canaries: canaries, limits: limits, now: now, unixSeconds: unixSeconds, seed: seed)
    }

    mutating func put(_ label: String, _ value: UInt8, on hsm: Int, usage: KeyUsage = [.encrypt, .decrypt]) {
        lastReference += 1
        keys[hsm][label] = Key(value: value, reference: lastReference, usage: usage)
    }

    mutating func take(_ actions: ProofActions) {
        checks += actions.checks
        log += actions.news
        for check in actions.checks { #expect(tickets.insert(check.ticket).inserted, "a ticket was used twice") }
        for canary in actions.canaries {
            stored[canary.label] = canary
            storedTimes += 1
        }
        for placement in actions.granted { #expect(granted.insert(placement).inserted) }
        for placement in actions.revoked { #expect(granted.remove(placement) != nil) }
    }

    mutating func list(_ hsm: Int) {
        let entries = keys[hsm].sorted { $0.key < $1.key }.map {
            CatalogueEntry(reference: $0.value.reference, label: $0.key, usage: $0.value.usage)
        }
        take(proof.listed(hsm: hsm, entries: entries, now: now))
    }

    mutating func end(_ hsm: Int) {
        checks.removeAll { $0.hsm == hsm }
        take(proof.workerEnded(hsm: hsm, now: now))
    }

    mutating func wait(_ seconds: Double) {
        now += UInt64((seconds * Double(Self.second)).rounded())
        unixSeconds += Int64(seconds)
        take(proof.tick(now: now))
    }

    static func digest(of sealed: SealedCanary) -> [UInt8] { sealed.ciphertext.reversed() }

    /// Does one check as an honest HSM would.
    mutating func answer(_ check: ProofCheck) {
        guard let key = keys[check.hsm][check.label], key.reference == check.key else {
            return take(proof.refused(ticket: check.ticket, .keyGone, reason: "gone", now: now))
        }
        switch check.kind {
        case .make:
            lastNonce += 1
            let sealed = SealedCanary(
                initializationVector: [1],
                ciphertext: [key.value] + withUnsafeBytes(of: lastNonce) { Array($0) })
            take(
                proof.made(
                    ticket: check.ticket, sealed, digest: Self.digest(of: sealed), now: now, unixSeconds: unixSeconds))
        case .open(let sealed) where sealed.ciphertext.first == key.value:
            take(proof.opened(ticket: check.ticket, digest: Self.digest(of: sealed), now: now))
        case .open:
            take(proof.refused(ticket: check.ticket, .wrongKey, reason: "wrong tag", now: now))
        }
    }

    mutating func fail(_ check: ProofCheck) {
        take(proof.refused(ticket: check.ticket, .failed, reason: "CKR_GENERAL_ERROR", now: now))
    }

    /// Does every check, and those that follow.
    mutating func run(failing sick: Set<Int> = []) {
        var rounds = 0
        while !checks.isEmpty, rounds < 100_000 {
            rounds += 1
            let check = checks.removeFirst()
            if sick.contains(check.hsm) { fail(check) } else { answer(check) }
        }
        #expect(checks.isEmpty)
    }

    /// Everybody lists, every check is done.
    mutating func settle() {
        for hsm in keys.indices { list(hsm) }
        run()
    }

    func verdicts(_ label: String) -> [KeyVerdict?] { proof.matrix().first { $0.label == label }?.verdicts ?? [] }
    func holders(_ label: String) -> [Int] { keys.indices.filter { proof.holders(of: label).contains($0) } }
    var alarms: [ProofNews] { log.filter(\.isAlarm) }
}

/// A canary made long ago by `maker` with the key `value`.
func oldCanary(_ label: String, _ value: UInt8, maker: String, age: Int64 = 3_600, dispute: String? = nil) -> Canary {
    let sealed = SealedCanary(initializationVector: [1], ciphertext: [value, 9, 9, 9, 9])
    return Canary(
        label: label, sealed: sealed, digest: ProofBench.digest(of: sealed), maker: maker,
        madeAt: 1_800_000_000 - age, dispute: dispute)
}

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
        for (pause, isDispute) in [(9.0, true), (11.0, false)] {
            var bench = ProofBench(["a", "b"])
            bench.put("k", 1, on: 0)
            bench.put("k", 2, on: 1)
            bench.list(0)
            bench.wait(5)
            bench.run()
            #expect(bench.holders("k") == [0])
            bench.wait(pause)
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

    @Test("keys whose usage forbids the proof are told so, and never served")
    func unprovable() {
        var bench = ProofBench(["a", "b"])
        bench.put("write-only", 1, on: 0, usage: .encrypt)
        bench.put("read-only", 1, on: 0, usage: .decrypt)
        bench.settle()
        for label in ["write-only", "read-only"] {
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

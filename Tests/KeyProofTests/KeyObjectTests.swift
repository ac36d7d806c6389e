// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Testing

@Suite("Key proof: a key is known by what it is, not by its handle")
struct KeyObjectTests {
    private static let minute = 60.0

    /// HSMs that hold key 1, with its check value, under a canary that decides.
    private func pool(_ names: [String] = ["a", "b"]) -> ProofBench {
        var bench = ProofBench(names, canaries: [oldCanary("k", 1, maker: "a")])
        for hsm in names.indices {
            bench.put("k", 1, on: hsm)
            bench.keys[hsm]["k"]?.identity = KeyIdentity(checkValue: [1, 1, 1])
        }
        bench.settle()
        bench.log = []
        return bench
    }

    @Test("another value under the same handle is noticed with the catalogue that reports another check value")
    func checkValue() {
        // Without comparing identities: b goes on serving, and no alarm says since when.
        var bench = pool()
        bench.wait(5)
        bench.keys[1]["k"]?.value = 2
        bench.keys[1]["k"]?.identity = KeyIdentity(checkValue: [2, 2, 2])
        bench.list(1)
        #expect(bench.holders("k") == [0])
        let found = bench.now
        bench.run()
        #expect(bench.verdicts("k") == [.proven, .different(than: "a")])
        #expect(
            bench.alarms.contains(
                .swapped(label: "k", hsm: "b", lastOpened: found - 5 * ProofBench.second, found: found)))
    }

    @Test("an attribute that can be read once only, or an end date that moves, is no other key")
    func unchanged() {
        var bench = pool()
        let tickets = bench.tickets.count
        for identity in [nil, KeyIdentity(id: [7]), KeyIdentity(checkValue: [1, 1, 1], id: [7]), nil] {
            bench.keys[1]["k"]?.identity = identity
            bench.list(1)
            #expect(bench.holders("k") == [0, 1] && bench.tickets.count == tickets)
        }
    }

    @Test("where nothing of it can be read: a key that was used since its last check is checked within the minute")
    func used() {
        // Without it: no check for an hour, and both HSMs go on serving.
        var bench = pool()
        bench.keys[1]["k"]?.value = 2
        for hsm in 0..<2 { bench.proof.used("k", hsm: hsm) }
        bench.wait(Self.minute)
        #expect(Set(bench.checks.map(\.hsm)) == [0, 1])
        bench.run()
        #expect(bench.holders("k") == [0])
        #expect(bench.alarms.contains { if case .swapped(_, "b", _, _) = $0 { true } else { false } })
        let tickets = bench.tickets.count
        bench.wait(Self.minute)
        #expect(bench.tickets.count == tickets, "nobody has used it since")
    }

    @Test("checks of keys that are proven take a twentieth of one lane at the most")
    func share() {
        var bench = ProofBench(["a"], canaries: (0..<200).map { oldCanary("k\($0)", 1, maker: "a") })
        for key in 0..<200 { bench.put("k\(key)", 1, on: 0) }
        bench.settle()
        for key in 0..<200 { bench.proof.used("k\(key)", hsm: 0) }
        var (busy, checks) = (0.0, 0)
        for _ in 0..<200 {
            bench.wait(1)
            #expect(bench.checks.count <= 1, "one at a time")
            guard let check = bench.checks.popLast() else { continue }
            // Each takes 0.1 s.
            bench.now += ProofBench.second / 10
            bench.answer(check)
            (busy, checks) = (busy + 0.1, checks + 1)
        }
        #expect(checks > 60 && busy / 220 <= 0.051)
    }

    @Test("a second object under a proven key's label changes nothing, and is reported")
    func second() {
        // With a label that is there twice taken for one that is gone no HSM served the key.
        var bench = pool()
        for hsm in 0..<2 { bench.add("k", 2, on: hsm) }
        for hsm in 0..<2 { bench.list(hsm) }
        #expect(bench.holders("k") == [0, 1] && bench.encrypting("k") == [0, 1])
        #expect(bench.log.contains(.several(label: "k", hsm: "b", count: 2)))
        #expect(bench.proof.matrix().first?.complaints == ["a has 2 keys of this label", "b has 2 keys of this label"])
    }

    /// Without trying the others only the first one could be the key, and nothing served it where it was the last.
    @Test("of several objects the one that opens the canary is the key, whatever their order")
    func several() {
        for isFirst in [true, false] {
            var bench = ProofBench(["a"], canaries: [oldCanary("k", 1, maker: "a")])
            bench.put("k", isFirst ? 1 : 2, on: 0)
            bench.add("k", 3, on: 0)
            bench.add("k", isFirst ? 2 : 1, on: 0)
            bench.settle()
            #expect(bench.holders("k") == [0] && bench.proof.reference(of: "k", hsm: 0) == bench.reference("k", 1, 0))
            // And the one that is taken away leaves it to the others.
            bench.remove("k", 1, on: 0)
            bench.list(0)
            bench.run()
            #expect(bench.holders("k").isEmpty)
            bench.add("k", 1, on: 0)
            bench.list(0)
            bench.run()
            #expect(bench.holders("k") == [0])
        }
    }

    @Test("where none of several opens it, or no canary reports which is meant, the key is unknown, not absent")
    func ambiguous() {
        var none = ProofBench(["a"], canaries: [oldCanary("k", 1, maker: "a")])
        none.put("k", 2, on: 0)
        none.add("k", 3, on: 0)
        none.settle()
        var fresh = ProofBench(["a"])
        fresh.put("k", 2, on: 0)
        fresh.add("k", 3, on: 0)
        fresh.settle()
        for bench in [none, fresh] {
            for purpose in [KeyPurpose.encrypt, .decrypt] {
                guard case .unknown(let text) = bench.decision("k", purpose) else {
                    Issue.record("\(bench.decision("k", purpose))")
                    continue
                }
                #expect(text.contains("2 keys of this label"))
            }
        }
        #expect(fresh.proof.trust("k", hsm: 0, now: fresh.now) == .failure(.ambiguous(2)))
        #expect(none.alarms.count == 1)
        none.wait(7_200)
        none.run()
        #expect(none.alarms.count == 1, "said once")
    }

    @Test("a token that makes no known answer, and refuses the canary again and again, is out for the key")
    func unclear() {
        // Without it: it serves after 100 such checks, for each of them had only failed.
        for isAlone in [false, true] {
            var bench = pool()
            if !isAlone {
                for hsm in 0..<2 { bench.put("other", 1, on: hsm) }
                bench.settle()
            }
            bench.wait(3_600)
            var checks = 0
            while bench.holders("k") == [0, 1], checks < 100 {
                bench.run(unclear: [1])
                checks += 1
                bench.proof.used("other", hsm: 1)
                bench.wait(30)
            }
            #expect(checks == (isAlone ? 12 : 4), "where nothing else opens, the token may be at fault")
            #expect(bench.holders("k") == [0])
            bench.run()
            bench.wait(30)
            bench.run()
            #expect(bench.holders("k") == [0, 1], "it opens it again")
        }
    }
}

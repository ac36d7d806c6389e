// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Testing

@Suite("Key proof: canaries of peers")
struct KeyProofSharingTests {
    /// HSMs with these keys, and a canary of `a`'s first one that is an hour old.
    private func pool(_ values: [UInt8]) -> ProofBench {
        var bench = ProofBench(
            ["a", "b", "c"].prefix(values.count).map { $0 }, canaries: [oldCanary("k", values[0], maker: "a")])
        for (hsm, value) in values.enumerated() { bench.put("k", value, on: hsm) }
        bench.settle()
        return bench
    }

    @Test("where nothing is known a peer's canary decides, at once and alone")
    func adopted() {
        let peer = oldCanary("k", 1, maker: "far", age: 1)
        var bench = ProofBench(["a", "b"])
        bench.offer([peer], by: "n2")
        #expect(bench.isStored(peer) && bench.log == [.adopted(label: "k", node: "n2", maker: "far")])
        bench.put("k", 2, on: 0)
        bench.put("k", 1, on: 1)
        bench.list(0)
        bench.run()
        #expect(bench.holders("k").isEmpty && bench.verdicts("k") == [.different(than: "far"), nil])
        #expect(bench.proof.standing(of: "k") == .excluded("a holds another key under this label than far"))
        bench.list(1)
        bench.run()
        #expect(bench.holders("k") == [1] && bench.alarms == [.differs(label: "k", hsm: "a", maker: "far")])
    }

    @Test("also in the middle of the first sight: what was about to be made here is made no more")
    func firstSight() {
        for answers in 0..<2 {
            let peer = oldCanary("k", 1, maker: "far")
            var bench = ProofBench(["a"])
            bench.put("k", 1, on: 0)
            bench.list(0)
            for _ in 0..<answers { bench.answer(bench.checks.removeFirst()) }
            let late = bench.checks
            bench.offer([peer], by: "n2")
            bench.run()
            for check in late { bench.answer(check) }
            bench.run()
            #expect(bench.holders("k") == [0] && bench.isDeciding(peer))
        }
    }

    @Test("the same canary again says nothing, whoever is said to have made it when")
    func same() {
        var bench = pool([1, 1])
        let times = bench.storedTimes
        bench.offer([oldCanary("k", 1, maker: "elsewhere", age: 9_999, isTrusted: true)], by: "n2")
        #expect(bench.checks.isEmpty && bench.log.count == 2 && bench.storedTimes == times)
        #expect(!bench.proof.hasDisagreements && bench.proof.canary(of: "k")?.maker == "a")
    }

    @Test("a better one is tried by one HSM, taken over when it opens, and opened by the others while all serve")
    func better() {
        var bench = pool([1, 1, 1])
        let better = oldCanary("k", 1, maker: "far", age: 7_200, nonce: 5)
        bench.offer([better], by: "n2")
        #expect(bench.checks.map(\.kind) == [.open(better.sealed)] && !bench.isStored(better))
        bench.answer(bench.checks.removeFirst())
        #expect(bench.isStored(better) && bench.holders("k") == [0, 1, 2])
        #expect(bench.checks.map(\.hsm) == [1, 2] && bench.checks.allSatisfy { $0.kind == .open(better.sealed) })
        bench.run()
        #expect(bench.holders("k") == [0, 1, 2] && bench.alarms.isEmpty)
        #expect(bench.log.last == .adopted(label: "k", node: "n2", maker: "far"))
        let tickets = bench.tickets.count
        bench.offer([better], by: "n3")
        #expect(bench.tickets.count == tickets)
    }

    @Test(
        "an operator's is better than another's, then the older, then the one of the smaller digest",
        arguments: [
            // Age, trust and number of ours and of theirs.
            (3_600, false, 9, 3_601, false, 9, true), (3_600, false, 9, 3_599, false, 9, false),
            (9_000, false, 9, 1, true, 9, true), (1, true, 9, 9_000, false, 9, false),
            (3_600, true, 9, 3_601, true, 9, true), (3_600, true, 9, 3_599, true, 9, false),
            (3_600, false, 9, 3_600, false, 8, true), (3_600, false, 8, 3_600, false, 9, false),
        ] as [(Int64, Bool, UInt32, Int64, Bool, UInt32, Bool)])
    func order(
        ours: Int64, isOursTrusted: Bool, nonce: UInt32, theirs: Int64, isTheirsTrusted: Bool, theirNonce: UInt32,
        isTaken: Bool
    ) {
        // The number's lowest byte comes first in the digest; theirs is another canary in any case.
        var bench = ProofBench(
            ["a"], canaries: [oldCanary("k", 1, maker: "a", age: ours, nonce: nonce, isTrusted: isOursTrusted)])
        bench.wait(20)
        bench.put("k", 1, on: 0)
        bench.settle()
        let peer = oldCanary("k", 1, maker: "far", age: theirs, nonce: theirNonce | 0x100, isTrusted: isTheirsTrusted)
        bench.offer([peer], by: "n2")
        bench.run()
        #expect(bench.isDeciding(peer) == isTaken)
        #expect(bench.holders("k") == [0] && !bench.proof.hasDisagreements && bench.alarms.isEmpty)
    }

    @Test("a trial that fails is made again, and one whose HSM goes is made by another")
    func trialsThatFail() {
        let better = oldCanary("k", 1, maker: "far", age: 7_200, nonce: 5)
        var failing = pool([1, 1])
        failing.offer([better], by: "n2")
        failing.run(failing: [0, 1])
        #expect(failing.holders("k") == [0, 1] && !failing.isStored(better) && failing.alarms.isEmpty)
        failing.wait(1)
        failing.run()
        #expect(failing.isStored(better) && failing.holders("k") == [0, 1])

        for isRemoved in [false, true] {
            var dying = pool([1, 1])
            dying.offer([better], by: "n2")
            if isRemoved { dying.remove(0) } else { dying.end(0) }
            #expect(dying.checks.map(\.hsm) == [1] && dying.holders("k") == [1])
            dying.run()
            #expect(dying.isStored(better) && dying.holders("k") == [1])
        }
    }

    @Test("where no HSM has proven the key yet, a better one waits until one has")
    func nobodyToTry() {
        let better = oldCanary("k", 1, maker: "far", age: 7_200, nonce: 5)
        var bench = ProofBench(["a"], canaries: [oldCanary("k", 1, maker: "a")])
        bench.put("k", 1, on: 0)
        bench.offer([better], by: "n2")
        #expect(bench.checks.isEmpty && bench.stored.isEmpty)
        bench.list(0)
        bench.run()
        #expect(bench.isStored(better) && bench.holders("k") == [0])
    }

    @Test("peers get what decides and is not disputed, by label, page by page")
    func shared() {
        var bench = ProofBench(
            ["a", "b"],
            canaries: [
                oldCanary("c", 1, maker: "a"), oldCanary("a", 1, maker: "a"), oldCanary("b", 1, maker: "a"),
                oldCanary("disputed", 1, maker: "a", dispute: "a and b"), oldCanary("young", 1, maker: "a", age: 1),
            ])
        #expect(bench.proof.shared().map(\.label) == ["a", "b", "c"])
        #expect(bench.proof.announced().map(\.label) == ["a", "b", "c", "young"])
        bench.wait(10)
        #expect(bench.proof.shared().map(\.label) == ["a", "b", "c", "young"])
    }

    @Test("its version changes exactly when what peers get does")
    func version() throws {
        var bench = ProofBench(["a"])
        func isChanged(_ body: (inout ProofBench) throws -> Void) rethrows -> Bool {
            let before = (bench.proof.announced(), bench.proof.sharedVersion)
            try body(&bench)
            #expect((bench.proof.announced() != before.0) == (bench.proof.sharedVersion != before.1))
            return bench.proof.sharedVersion != before.1
        }
        bench.put("k", 1, on: 0)
        #expect(isChanged { $0.settle() })
        #expect(isChanged { $0.wait(10) }, "it decides")
        #expect(!isChanged { $0.end(0) } && !isChanged { $0.settle() } && !isChanged { $0.wait(3_600) })
        bench.run()
        let better = oldCanary("k", 1, maker: "far", age: 7_200)
        #expect(
            isChanged {
                $0.offer([better], by: "n2")
                $0.run()
            })
        #expect(try isChanged { $0.take(try $0.proof.trust("k", hsm: 0, now: $0.now).get()) }, "it is withheld")
        #expect(isChanged { $0.run() } && bench.proof.shared().map(\.isTrusted) == [true])
        #expect(isChanged { $0.offer([oldCanary("other", 1, maker: "far")], by: "n2") }, "peers' are passed on")
    }
}

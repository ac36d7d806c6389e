// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Testing

@Suite("Key proof: orders on a key")
struct KeyOrderTests {
    /// A node that reaches the HSMs x and y, which hold different keys.
    private func node() -> ProofBench {
        var bench = ProofBench(["x", "y"])
        bench.put("k", 1, on: 0)
        bench.put("k", 2, on: 1)
        bench.settle()
        bench.know(["n"])
        return bench
    }

    private func trust(_ hsm: Int, in bench: inout ProofBench) throws {
        bench.take(try bench.proof.trust("k", hsm: hsm, now: bench.now).get())
        bench.run()
        bench.unixSeconds += 10
    }

    private func announce(_ from: ProofBench, _ to: inout ProofBench) {
        to.take(to.proof.forget(from.proof.forgetOrders(), now: to.now))
        to.exchange(from.proof.announced(), with: "n")
        to.run()
    }

    @Test("a trust that corrects another one wins on every node, though it is the younger")
    func corrected() throws {
        // Where the older of two orders won, the second one was undone as soon as it had been reported and come back.
        var (one, other) = (node(), node())
        try trust(0, in: &one)
        announce(one, &other)
        #expect(other.holders("k") == [0])
        try trust(1, in: &one)
        #expect(one.holders("k") == [1])
        for _ in 0..<2 {
            announce(one, &other)
            announce(other, &one)
        }
        #expect(one.holders("k") == [1] && other.holders("k") == [1])
        #expect(one.proof.canary(of: "k")?.sealed == other.proof.canary(of: "k")?.sealed)
    }

    /// Where the older of two orders won, both nodes served on, and nothing was said.
    @Test("two that do not know each other make a dispute on both nodes, until a third names both")
    func unknown() throws {
        var (one, other) = (node(), node())
        one.lastNonce = 100
        try trust(0, in: &one)
        try trust(1, in: &other)
        for _ in 0..<2 {
            announce(one, &other)
            announce(other, &one)
        }
        for bench in [one, other] {
            #expect(bench.holders("k").isEmpty && bench.stored["k"]?.dispute?.contains("two orders") == true)
        }
        // Also after a restart.
        var later = ProofBench(["x", "y"], canaries: one.stored.values.map { $0 })
        later.lastNonce = 200
        later.put("k", 1, on: 0)
        later.put("k", 2, on: 1)
        later.settle()
        later.know(["n"])
        #expect(later.holders("k").isEmpty)
        try trust(1, in: &later)
        for _ in 0..<2 {
            announce(later, &other)
            announce(other, &later)
        }
        #expect(later.holders("k") == [1] && other.holders("k") == [1])
    }

    @Test("what is forgotten is absent on every node, does not come back, and outlasts a restart")
    func forgotten() throws {
        var one = ProofBench(["x"], canaries: [oldCanary("gone", 1, maker: "far")])
        var other = ProofBench(["y"], canaries: [oldCanary("gone", 1, maker: "far")])
        for hsm in [0] {
            one.list(hsm)
            other.list(hsm)
        }
        guard case .unknown = one.decision("gone", .encrypt) else {
            Issue.record("\(one.decision("gone", .encrypt))")
            return
        }
        one.take(try one.proof.forget("gone", author: "me", now: one.now, unixSeconds: one.unixSeconds).get())
        #expect(one.decision("gone", .encrypt) == .absent(nil) && one.stored["gone"] == nil)
        announce(other, &one)
        #expect(one.decision("gone", .encrypt) == .absent(nil), "the other node has not heard of it yet")
        announce(one, &other)
        #expect(other.decision("gone", .decrypt) == .absent(nil) && other.forgets.count == 1)
        var later = ProofBench(["x"], canaries: [oldCanary("gone", 1, maker: "far")], forgets: other.forgets)
        later.list(0)
        #expect(later.decision("gone", .decrypt) == .absent(nil))
        #expect(later.proof.forget("gone", author: "", now: 0, unixSeconds: 0) == .failure(.unknownKey))
        // A key of the label that is made anew is a new key.
        later.put("gone", 9, on: 0)
        later.settle()
        #expect(later.holders("gone") == [0])
    }

    @Test("a key that an HSM holds is not forgotten: neither where the order is given, nor where it is reported")
    func held() throws {
        var one = ProofBench(["x"], canaries: [oldCanary("k", 1, maker: "x")])
        one.put("k", 1, on: 0)
        one.settle()
        #expect(
            one.proof.forget("k", author: "", now: one.now, unixSeconds: one.unixSeconds) == .failure(.isHeld(hsm: "x"))
        )
        var other = ProofBench(["y"], canaries: [oldCanary("k", 1, maker: "x")])
        other.list(0)
        other.take(try other.proof.forget("k", author: "", now: other.now, unixSeconds: other.unixSeconds).get())
        #expect(other.decision("k", .encrypt) == .absent(nil))
        announce(other, &one)
        #expect(one.holders("k") == [0] && one.stored["k"] != nil)
        announce(one, &other)
        guard case .unknown = other.decision("k", .encrypt) else {
            Issue.record("\(other.decision("k", .encrypt)): the key is there, at the other node")
            return
        }
        // When it is gone there, too, an order can forget it.
        one.keys[0] = [:]
        one.list(0)
        one.take(try one.proof.forget("k", author: "", now: one.now, unixSeconds: one.unixSeconds).get())
        announce(one, &other)
        #expect(one.decision("k", .encrypt) == .absent(nil) && other.decision("k", .encrypt) == .absent(nil))
    }

    @Test("orders of impossible sizes are passed over, and there is an end to how many are kept")
    func bounded() {
        var bench = ProofBench(["a"])
        let digest = [UInt8](repeating: 1, count: 32)
        let bad = [
            ForgetOrder(label: "", canaries: [digest], givenAt: 0, author: ""),
            ForgetOrder(label: "k", canaries: [], givenAt: 0, author: ""),
            ForgetOrder(label: "k", canaries: [[1]], givenAt: 0, author: ""),
            ForgetOrder(label: "k", canaries: Array(repeating: digest, count: 65), givenAt: 0, author: ""),
            ForgetOrder(label: "k", canaries: [digest], givenAt: 0, author: String(repeating: "x", count: 200)),
        ]
        bench.take(bench.proof.forget(bad, now: bench.now))
        #expect(bench.forgets.isEmpty)
        for number in 0..<6_000 {
            let order = ForgetOrder(
                label: KeyLabel("k\(number)"), canaries: [digest], givenAt: .max - Int64(number), author: "")
            bench.take(bench.proof.forget([order, order], now: bench.now))
        }
        #expect(bench.forgets.count == 4_096)
    }
}

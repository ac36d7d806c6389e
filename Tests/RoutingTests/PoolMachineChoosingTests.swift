// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

@Suite("Pool machine: choosing")
struct PoolMachineChoosingTests {
    private func tiers(_ tiers: Int..., lanes: Int) -> Bench {
        Bench(tiers.map { HSMTraits(stuckAfter: 2_000 * millisecond, tier: $0) }, lanes: lanes)
    }

    /// Keeps `depth` requests under way, first come first answered, 20 µs between answers. Returns how many
    /// of `count` went to each HSM.
    private func shares(_ bench: inout Bench, count: Int, depth: Int, holders: HSMSet) throws -> [Int: Int] {
        var underWay: [Dispatch] = []
        var shares: [Int: Int] = [:]
        for _ in 0..<count {
            let dispatch = try bench.send(holders)
            shares[dispatch.lane.hsm, default: 0] += 1
            underWay.append(dispatch)
            if underWay.count > depth {
                bench.now += millisecond / 50
                _ = bench.answer(underWay.removeFirst(), .done)
            }
        }
        return shares
    }

    @Test("the lowest tier that can serve gets everything")
    func lowestTier() throws {
        var bench = tiers(1, 0, 0, 2, lanes: 8)
        for _ in 0..<16 { #expect([1, 2].contains(try bench.send([0, 1, 2, 3]).lane.hsm)) }
        // Saturated: the next tier, then the one after.
        for _ in 0..<8 { #expect(try bench.send([0, 1, 2, 3]).lane.hsm == 0) }
        for _ in 0..<8 { #expect(try bench.send([0, 1, 2, 3]).lane.hsm == 3) }
        #expect(bench.submit([0, 1, 2, 3]).1.dispatches.isEmpty)
    }

    @Test("a higher tier serves while the lower one is silent or drained, or out")
    func spill() throws {
        var bench = tiers(0, 1, lanes: 8)
        // One slow call is no silence, two in a row are.
        let slow = try bench.send([0, 1])
        #expect(slow.lane.hsm == 0)
        _ = bench.tick(after: 81)
        let silent = try bench.send([0, 1])
        #expect(silent.lane.hsm == 0)
        _ = bench.tick(after: 81)
        #expect(try bench.send([0, 1]).lane.hsm == 1)
        _ = bench.answer(silent, .done)
        #expect(try bench.send([0, 1]).lane.hsm == 0)
        _ = bench.machine.drain(0, true, now: bench.now)
        #expect(try bench.send([0, 1]).lane.hsm == 1)
        _ = bench.machine.drain(0, false, now: bench.now)
        #expect(try bench.send([0, 1]).lane.hsm == 0)
        _ = try bench.failSoftly(0)
        #expect(try bench.send([0, 1]).lane.hsm == 1)
    }

    @Test("under load, shares within a tier follow the weights")
    func weights() throws {
        let weights = [100, 300, 200]
        var bench = Bench(
            weights.map { HSMTraits(stuckAfter: 2_000 * millisecond, weight: $0) }, lanes: 64, seed: 42)
        let shares = try shares(&bench, count: 10_000, depth: 60, holders: [0, 1, 2])
        for hsm in 0..<3 {
            let expected = Double(weights[hsm]) / 600
            let share = Double(shares[hsm] ?? 0) / 10_000
            #expect(abs(share - expected) < 0.03, "HSM \(hsm): \(share) instead of \(expected)")
        }
    }

    @Test("equals share alike, loaded or idle", arguments: [0, 1, 40])
    func equals(depth: Int) throws {
        var bench = Bench(hsms: 4, lanes: 64, seed: 7)
        let shares = try shares(&bench, count: 4_000, depth: depth, holders: [0, 1, 2, 3])
        for hsm in 0..<4 { #expect((800...1_200).contains(shares[hsm] ?? 0), "\(shares)") }
    }

    @Test("parallel lanes are no queue: the quicker one is taken while it has a free one, however many are busy")
    func quicker() throws {
        var bench = Bench(hsms: 2, lanes: 16)
        try bench.teach(0, milliseconds: 4)
        try bench.teach(1, milliseconds: 1)
        for _ in 0..<16 { #expect(try bench.send([0, 1]).lane.hsm == 1) }
    }

    @Test("a lane of a fast one is waited for while that is sooner than a call of a slow one")
    func waitsForTheFast() throws {
        var bench = Bench(hsms: 2, lanes: 4)
        try bench.teach(0, milliseconds: 10)
        try bench.teach(1, milliseconds: 1)
        let busy = try (0..<4).map { _ in try bench.send([0, 1]) }
        #expect(busy.allSatisfy { $0.lane.hsm == 1 })
        // Four lanes of 1 ms: the next one is free in a quarter, and so on. Behind 35 others the slow one is sooner.
        let slow = (0..<60).map { _ in bench.submit([0, 1]).1.dispatches.count }
        #expect(slow.prefix(30).allSatisfy { $0 == 0 })
        #expect(slow.reduce(0, +) == 4, "the slow one has four lanes")
        #expect(bench.answer(busy[0], .done).dispatches.map(\.lane.hsm) == [1])
        // A slow lane that comes free takes nobody whose turn on the fast one comes sooner.
        #expect(bench.tick(after: 1).isEmpty)
    }

    @Test("the dearest of three is never taken while the others are free")
    func dearest() throws {
        var bench = Bench(hsms: 3, lanes: 16)
        try bench.teach(0, milliseconds: 50)
        try bench.teach(1, milliseconds: 1)
        try bench.teach(2, milliseconds: 1)
        for _ in 0..<100 {
            let dispatch = try bench.send([0, 1, 2])
            #expect(dispatch.lane.hsm != 0)
            bench.now += millisecond
            _ = bench.answer(dispatch, .done)
        }
    }

    /// Sends one request after the other; the first HSM answers in `first` milliseconds, the second in 1. Returns how
    /// many of them went to the first.
    private func onFirst(_ bench: inout Bench, first: UInt64, of count: Int) throws -> Int {
        var onFirst = 0
        for _ in 0..<count {
            let dispatch = try bench.send([0, 1])
            onFirst += dispatch.lane.hsm == 0 ? 1 : 0
            bench.now += (dispatch.lane.hsm == 0 ? first : 1) * millisecond
            _ = bench.answer(dispatch, .done)
        }
        return onFirst
    }

    @Test("a slow answer turns nothing away; slow answers do, and are forgotten in seconds")
    func slowAnswers() throws {
        var bench = Bench(hsms: 2, lanes: 4)
        for hsm in 0..<2 { try bench.teach(hsm, answers: 200, milliseconds: 1) }
        let slow = try bench.send([0])
        bench.now += 60 * millisecond
        _ = bench.answer(slow, .done)
        #expect((70...130).contains(try onFirst(&bench, first: 1, of: 200)))
        // From now on all are: after some thirty it gets no more, but for one now and then to see whether it is better.
        #expect(try onFirst(&bench, first: 30, of: 1_000) < 60)
        #expect(try onFirst(&bench, first: 30, of: 1_000) < 3)
        #expect(try onFirst(&bench, first: 1, of: 20_000) > 2_000)
    }

    /// With several slow HSMs more than one request of a hundred waited for such a try.
    @Test("a request that tries a slow HSM does not wait for it: the fast one is asked, too")
    func trying() throws {
        var bench = Bench(hsms: 2, lanes: 4)
        try bench.teach(0, milliseconds: 40)
        try bench.teach(1, milliseconds: 2)
        bench.now += 16_000 * millisecond
        let recent = try bench.send([1])
        bench.now += 2 * millisecond
        _ = bench.answer(recent, .done)
        let slow = try bench.send([0, 1])
        #expect(slow.lane.hsm == 0)
        #expect(bench.tick(after: 2).dispatches.isEmpty)
        let fast = try #require(bench.tick(after: 2).dispatches.first)
        #expect(fast.operation == slow.operation && fast.lane.hsm == 1)
        // Where it is alone, or nobody is faster, it has its own time.
        bench.now += 16_000 * millisecond
        _ = try bench.send([0])
        #expect(bench.tick(after: 30).dispatches.isEmpty)
    }

    @Test("an HSM that fails often gets less, although no three in a row take it out")
    func failures() throws {
        var bench = Bench(hsms: 3, lanes: 8)
        for _ in 0..<20 {
            for disposition in [Disposition.hsmSuspect, .done] {
                let dispatch = try bench.send([0])
                bench.now += millisecond
                let actions = bench.answer(dispatch, disposition)
                bench.now += millisecond
                if let again = actions.dispatches.first { _ = bench.answer(again, .done) }
            }
        }
        #expect(bench.machine.phase(of: 0) == .serving)
        #expect(bench.machine.failureShare(of: 0, now: bench.now) > 0.2)
        for _ in 0..<6 { #expect(try bench.send([0, 1, 2]).lane.hsm != 0) }
        #expect(bench.machine.failureShare(of: 0, now: bench.now + 60_000 * millisecond) < 0.05)
    }

    @Test("an HSM that is back gets few requests at first, and its full share ten seconds later")
    func slowStart() throws {
        var bench = Bench(hsms: 2, lanes: 64, seed: 5)
        _ = bench.machine.ended(0, returning: true, now: bench.now)
        _ = bench.start(0, lanes: 64)
        // A tenth at first: the cost is ten times the usual one.
        let early = try shares(&bench, count: 200, depth: 40, holders: [0, 1])
        #expect((1...50).contains(early[0] ?? 0), "\(early)")

        var later = Bench(hsms: 2, lanes: 64, seed: 5)
        _ = later.machine.ended(0, returning: true, now: later.now)
        _ = later.start(0, lanes: 64)
        later.now += 10_000 * millisecond
        let full = try shares(&later, count: 200, depth: 40, holders: [0, 1])
        #expect((80...120).contains(full[0] ?? 0), "\(full)")
    }

    @Test("the same seed chooses the same")
    func seed() throws {
        func choices(_ seed: UInt64) throws -> [Int] {
            var bench = Bench(hsms: 5, lanes: 8, seed: seed)
            return try (0..<40).map { _ in try bench.send([0, 1, 2, 3, 4]).lane.hsm }
        }
        #expect(try choices(1) == choices(1))
        #expect(try choices(1) != choices(2))
    }
}

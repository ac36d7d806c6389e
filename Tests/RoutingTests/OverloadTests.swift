// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import Routing
import Testing

/// An open loop of encryptions against HSMs that take a given time for each call, in virtual time.
private struct OpenLoop {
    var bench: Bench
    /// How long a call takes that begins at this time, nanoseconds.
    var service: (UInt64) -> UInt64
    var arrivals: [UInt64] = []
    var calls: [(at: UInt64, dispatch: Dispatch)] = []
    var since: [OperationID: UInt64] = [:]
    /// When each request ended, how long after its arrival, and how.
    var ended: [(at: UInt64, after: UInt64, outcome: OperationOutcome)] = []
    var retries: Set<UInt64> = []
    private var random = RandomChoice(seed: 7)
    let holders: HSMSet

    init(hsms: Int, lanes: Int, service: @escaping (UInt64) -> UInt64) {
        bench = Bench(hsms: hsms, lanes: lanes)
        holders = HSMSet(0..<hsms)
        self.service = service
    }

    var start: UInt64 { 1_000 * millisecond }

    /// Poisson arrivals, so many a second.
    mutating func arrive(perSecond rate: Double, from: UInt64, until end: UInt64) {
        var at = Double(from)
        while true {
            let uniform = (Double(random.next() >> 11) + 1) / Double(1 << 53)
            at += -1e9 / rate * naturalLogarithm(uniform)
            guard UInt64(at) < end else { return }
            arrivals.append(UInt64(at))
        }
    }

    mutating func run(until end: UInt64, retriesOnce: Bool = false) {
        var nextTick = bench.now
        arrivals.sort()
        var next = 0
        while true {
            calls.sort { $0.at < $1.at }
            let arrival = next < arrivals.count ? arrivals[next] : .max
            let call = calls.first?.at ?? .max
            let now = min(arrival, call, nextTick)
            guard now <= end else { return }
            bench.now = now
            if now == call {
                let done = calls.removeFirst().dispatch
                take(bench.answer(done, done.deadline > now ? .done : .tryElsewhere), retriesOnce)
            } else if now == arrival {
                next += 1
                let (id, actions) = bench.submit(holders)
                since[id] = now
                if retries.remove(arrival) != nil { again.insert(id) }
                take(actions, retriesOnce)
                arrivals[next...].sort()
            } else {
                nextTick = now + 5 * millisecond
                take(bench.machine.tick(now: now), retriesOnce)
            }
        }
    }

    private var again: Set<OperationID> = []

    private mutating func take(_ actions: PoolActions, _ retriesOnce: Bool) {
        for dispatch in actions.dispatches { calls.append((bench.now + service(bench.now), dispatch)) }
        for finish in actions.finishes {
            guard let arrived = since.removeValue(forKey: finish.operation) else { continue }
            ended.append((bench.now, bench.now - arrived, finish.outcome))
            guard retriesOnce, finish.outcome != .done, again.remove(finish.operation) == nil else { continue }
            let at = bench.now + millisecond
            arrivals.append(at)
            retries.insert(at)
        }
    }

    /// Requests a second that were done between two moments.
    func goodput(from: UInt64, until: UInt64) -> Double {
        let done = ended.count { $0.outcome == .done && $0.at >= from && $0.at < until }
        return Double(done) * 1e9 / Double(until - from)
    }

    /// Half of the refusals came no later than this after the request, nanoseconds.
    var medianRefusal: UInt64 {
        let refused = ended.filter { $0.outcome != .done }.map(\.after).sorted()
        return refused.isEmpty ? 0 : refused[refused.count / 2]
    }
}

/// ln, for a number between 0 and 1, by halving and a series: the tests of a pure room import nothing either.
private func naturalLogarithm(_ value: Double) -> Double {
    var (mantissa, halvings) = (value, 0.0)
    while mantissa < 0.75 { (mantissa, halvings) = (mantissa * 2, halvings + 1) }
    let ratio = (mantissa - 1) / (mantissa + 1)
    var (term, sum) = (ratio, 0.0)
    for power in stride(from: 1.0, through: 31, by: 2) {
        sum += term / power
        term *= ratio * ratio
    }
    return 2 * sum - halvings * 0.693_147_180_559_945_3
}

@Suite("Pool machine: more is asked than the HSMs can do")
struct OverloadTests {
    private let second: UInt64 = 1_000 * millisecond

    /// Four lanes of 20 ms carry 200 requests a second. With a line that only asked whether the deadline had passed,
    /// 51 % of that were served at 1.1 times as much, 18 % at 1.3 times, nothing at 3 times, each refusal after 202 ms.
    @Test(
        "goodput stays at the capacity, and what cannot be served is told at once", arguments: [1.1, 1.3, 1.5, 3],
        [1, 3])
    func goodput(factor: Double, hsms: Int) {
        var loop = OpenLoop(hsms: hsms, lanes: 4) { _ in 20 * millisecond }
        let capacity = 200.0 * Double(hsms)
        loop.arrive(perSecond: factor * capacity, from: loop.start, until: loop.start + 6 * second)
        loop.run(until: loop.start + 7 * second)
        #expect(loop.goodput(from: loop.start + second, until: loop.start + 6 * second) >= 0.95 * capacity)
        #expect(loop.medianRefusal <= 20 * millisecond)
        #expect(loop.ended.allSatisfy { $0.outcome == .done || $0.outcome == .overloaded })
        #expect(loop.bench.machine.counters.retries < loop.bench.machine.counters.operations / 50)
    }

    /// It received 429, though the second HSM was back before half of its time was over.
    @Test("while a worker is on its way back, what is more than the others can do waits for it")
    func reinforced() throws {
        var bench = Bench(hsms: 2, lanes: 4)
        for hsm in 0..<2 { try bench.teach(hsm, milliseconds: 20) }
        _ = bench.machine.ended(0, returning: true, now: bench.now)
        bench.machine.starting(0, now: bench.now)
        // Four calls of 20 ms at a time: some 36 have their turn within 200 ms.
        for _ in 0..<60 { #expect(bench.submit([0, 1]).1.finishes.isEmpty) }
        #expect(bench.machine.inLine == 56)
        _ = bench.machine.ended(0, returning: false, now: bench.now)
        #expect(bench.submit([0, 1]).1.finishes.map(\.outcome) == [.overloaded], "none is on its way")
    }

    /// With such a line a node is not whole again for as long as KMS's callers go on. With only what comes being judged,
    /// and not what stands in the line, 18 and 29 requests waited there to their deadline as the spell began.
    @Test("after a slow spell it is whole again within a second, with one retry for each failure", arguments: [1, 3])
    func slowSpell(hsms: Int) {
        let (from, until) = (3_000 * millisecond, 6_000 * millisecond)
        var loop = OpenLoop(hsms: hsms, lanes: 4) { now in
            now >= from && now < until ? 60 * millisecond : 20 * millisecond
        }
        let capacity = 200.0 * Double(hsms)
        loop.arrive(perSecond: 0.75 * capacity, from: loop.start, until: 10_000 * millisecond)
        loop.run(until: 10_000 * millisecond, retriesOnce: true)
        #expect(loop.goodput(from: from + second / 2, until: until) >= 0.95 * capacity / 3)
        #expect(loop.ended.allSatisfy { $0.outcome == .done || $0.outcome == .overloaded })
        let after = loop.ended.filter { $0.at >= until + second }
        #expect(after.count(where: { $0.outcome == .done }) * 100 >= after.count * 99, "of \(after.count)")
        #expect(loop.goodput(from: until + second, until: 10_000 * millisecond) >= 0.65 * capacity)
    }
}

@Suite("Load gauge")
struct LoadGaugeTests {
    @Test("the figures of the last second with refusals are reported until ten seconds after them")
    func figures() throws {
        var loop = Bench(hsms: 1, lanes: 1, limits: PoolLimits(waiting: 0))
        #expect(loop.machine.load.overload(now: loop.now) == nil)
        for _ in 0..<3 {
            let busy = try loop.send([0])
            for _ in 0..<4 { #expect(loop.submit([0]).1.finishes.map(\.outcome) == [.overloaded]) }
            loop.now += 500 * millisecond
            _ = loop.machine.answered(busy.lane, generation: busy.generation, disposition: .done, now: loop.now)
            loop.now += 500 * millisecond
        }
        let reported = try #require(loop.machine.load.overload(now: loop.now))
        #expect(reported.asked == 5 && reported.done == 1)
        #expect(loop.machine.load.overload(now: loop.now + 11_000 * millisecond) == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

private let traits = HSMTraits(stuckAfter: 2_000 * millisecond)

@Suite("Pool machine: HSMs that come")
struct PoolMemberJoiningTests {
    @Test("one that comes gets requests as soon as it serves, and not before")
    func added() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        #expect(bench.machine.add(traits) == 1)
        #expect(bench.machine.phase(of: 1) == .down && bench.machine.lanes(of: 1) == (0, 0, 0))
        #expect(bench.submit([1]).1.finishes.first?.outcome.isUnavailable == true)
        bench.machine.starting(1, now: bench.now)
        let (waiting, actions) = bench.submit([1])
        #expect(actions == PoolActions(), "it is about to come up")
        let dispatches = bench.start(1, lanes: 2).flatMap(\.dispatches)
        #expect(dispatches.map(\.operation) == [waiting] && dispatches.map(\.lane.hsm) == [1])
        #expect(try bench.send([0, 1]).lane.hsm <= 1)
    }

    @Test("it gets the first vacant position that it may have, and else the next new one")
    func positions() {
        var machine = PoolMachine([traits, traits, traits], groups: 1, limits: PoolLimits(), seed: 1)
        #expect(machine.add(traits, to: [0, 1, 2]) == nil, "none of them is vacant")
        #expect(machine.add(traits, to: [7]) == nil, "it would leave a gap")
        for hsm in [2, 0] { _ = machine.free(hsm, now: 0) }
        #expect(machine.add(traits, to: [1, 2, 3]) == 2)
        #expect(machine.add(traits, to: [2, 3]) == 3)
        #expect(machine.add(traits) == 0 && machine.add(traits) == 4)
        #expect(machine.add(traits, to: []) == nil)
    }

    @Test("there are 64 positions, those on their way out included")
    func capacity() {
        var machine = PoolMachine(Array(repeating: traits, count: 70), groups: 1, limits: PoolLimits(), seed: 1)
        #expect(machine.add(traits) == nil)
        _ = machine.retire(63, now: 0)
        #expect(machine.add(traits) == nil, "it may still be at work")
        _ = machine.free(63, now: 0)
        #expect(machine.add(traits) == 63 && machine.add(traits) == nil)
    }

    @Test("nothing of the one before is left in a position: phase, lanes, drain, faults, times")
    func freshPosition() throws {
        var bench = Bench(hsms: 2, lanes: 2)
        try bench.teach(0)
        _ = try bench.failSoftly(0)
        _ = bench.machine.drain(0, true, now: bench.now)
        _ = bench.machine.allow(0, lanes: 1, now: bench.now)
        #expect(bench.machine.failureShare(of: 0, now: bench.now) > 0 && bench.machine.latency(of: 0) != nil)
        _ = bench.machine.free(0, now: bench.now)
        #expect(bench.machine.phase(of: 0) == .down && bench.machine.lanes(of: 0) == (0, 0, 0))
        #expect(bench.machine.add(traits, to: [0]) == 0)
        #expect(!bench.machine.isDrained(0) && bench.machine.latency(of: 0) == nil)
        #expect(bench.machine.failureShare(of: 0, now: bench.now) == 0)
        _ = bench.start(0, lanes: 2)
        #expect(bench.machine.lanes(of: 0) == (2, 0, 0), "as many lanes as it likes")
        for _ in 0..<2 { #expect(try bench.send([0]).lane.hsm == 0) }
    }

    @Test("other traits hold from the next request on")
    func changed() throws {
        var bench = Bench(hsms: 2, lanes: 8)
        bench.machine.change(0, to: HSMTraits(stuckAfter: 50 * millisecond, tier: 1))
        for _ in 0..<4 { #expect(try bench.send([0, 1]).lane.hsm == 1) }
        bench.machine.change(1, to: HSMTraits(stuckAfter: 2_000 * millisecond, tier: 2))
        let moved = try bench.send([0, 1])
        #expect(moved.lane.hsm == 0)
        for hsm in [-1, 2, 64, .max] { bench.machine.change(hsm, to: traits) }
        #expect(bench.tick(after: 100).restarts.map(\.hsm) == [0], "it is stuck sooner now")
    }
}

@Suite("Pool machine: HSMs that go")
struct PoolMemberLeavingTests {
    @Test("one that is retired finishes what it does, and gets nothing more, not even as a last resort")
    func retired() throws {
        var bench = Bench(hsms: 2, lanes: 2)
        let atWork = try bench.send([0])
        #expect(bench.machine.retire(0, now: bench.now) == PoolActions())
        for _ in 0..<2 { #expect(try bench.send([0, 1]).lane.hsm == 1) }
        #expect(bench.submit([0]).1.finishes.first?.outcome.isUnavailable == true)
        #expect(bench.machine.isNeeded(0))
        #expect(bench.answer(atWork, .done).finishes.first?.outcome == .done)
        #expect(!bench.machine.isNeeded(0))
        #expect(bench.machine.retire(0, now: bench.now) == PoolActions(), "once is enough")
    }

    @Test("it is not needed any more when nobody waits, though a call has not returned")
    func notNeeded() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        _ = try bench.send([0])
        _ = bench.machine.retire(0, now: bench.now)
        #expect(bench.machine.isNeeded(0))
        _ = bench.tick(after: 250)
        #expect(!bench.machine.isNeeded(0) && bench.machine.lanes(of: 0).busy == 1)
        for hsm in [-1, 2, 64] { #expect(!bench.machine.isNeeded(hsm)) }
    }

    @Test("what fails on one that is retired goes to another, and not back to it")
    func failsOnRetired() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let other = try bench.send([1])
        let atWork = try bench.send([0, 1])
        #expect(atWork.lane.hsm == 0)
        _ = bench.machine.retire(0, now: bench.now)
        #expect(bench.answer(atWork, .sessionLost) == PoolActions(), "the other has no lane free")
        let next = try #require(bench.answer(other, .done).dispatches.first)
        #expect(next.operation == atWork.operation && next.lane.hsm == 1)
        let end = bench.answer(next, .tryElsewhere)
        #expect(end.dispatches.map(\.lane.hsm) == [1])
    }

    @Test("what only waits for it ends; what can wait for another goes on waiting")
    func waiting() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        for hsm in 0..<2 { _ = try bench.send([hsm]) }
        let (alone, _) = bench.submit([0])
        _ = bench.submit([0, 1])
        let (hoping, _) = bench.machine.submit(
            .encrypt, holders: [], hopeful: [0], deadline: bench.now + 200 * millisecond, group: 0, now: bench.now)
        let end = bench.machine.retire(0, now: bench.now)
        #expect(Set(end.finishes.map(\.operation)) == [alone, hoping])
        #expect(end.finishes.allSatisfy { $0.outcome.isUnavailable } && end.dispatches.isEmpty)
        #expect(bench.machine.inLine == 1 && bench.machine.unfinished == 3)
    }

    @Test("with one that is gone its requests go to another, at once")
    func freed() throws {
        var bench = Bench(hsms: 2, lanes: 2)
        let atWork = try bench.send([0])
        _ = bench.machine.joined(1, holdersOf: atWork.operation, now: bench.now)
        let alone = try bench.send([0])
        let actions = bench.machine.free(0, now: bench.now)
        #expect(actions.dispatches.map(\.operation) == [atWork.operation] && actions.dispatches.map(\.lane.hsm) == [1])
        #expect(actions.finishes.map(\.operation) == [alone.operation])
        #expect(actions.finishes.first?.outcome.isUnavailable == true)
        #expect(bench.machine.free(0, now: bench.now) == PoolActions(), "it is nobody's already")
        #expect(bench.answer(alone, .done) == PoolActions(), "a late answer is nobody's")
        for hsm in [-1, 2, 64, .max] {
            #expect(bench.machine.retire(hsm, now: bench.now) == PoolActions())
            #expect(bench.machine.free(hsm, now: bench.now) == PoolActions())
        }
    }

    @Test("no operation takes the next one in its position for it")
    func nextInPosition() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let (first, second) = (try bench.send([0]), try bench.send([1]))
        let (waiting, _) = bench.submit([0, 1])
        #expect(bench.machine.free(0, now: bench.now).finishes.map(\.operation) == [first.operation])
        #expect(bench.machine.add(traits, to: [0]) == 0)
        let fresh = bench.start(0, lanes: 4).flatMap(\.dispatches)
        #expect(fresh.isEmpty, "whoever waits has never asked for this one")
        let next = try #require(bench.answer(second, .done).dispatches.first)
        #expect(next.operation == waiting && next.lane.hsm == 1)
    }

    @Test("what one said that is gone does not count against the next one in its position")
    func forgotten() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let first = try bench.send([0])
        _ = bench.machine.joined(1, holdersOf: first.operation, now: bench.now)
        let second = try #require(bench.answer(first, .keyMissing).dispatches.first)
        _ = bench.machine.free(0, now: bench.now)
        #expect(bench.machine.add(traits, to: [0]) == 0)
        _ = bench.start(0, lanes: 1)
        _ = bench.machine.joined(0, holdersOf: second.operation, now: bench.now)
        let third = try #require(bench.answer(second, .keyMissing).dispatches.first)
        #expect(third.lane.hsm == 0, "the new one has not been asked")
        #expect(bench.answer(third, .done).finishes.first?.outcome == .done)
    }

    @Test("a worker's events in a position that is nobody's bring no requests there")
    func vacant() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        _ = bench.machine.free(0, now: bench.now)
        bench.machine.starting(0, now: bench.now)
        _ = bench.start(0, lanes: 4)
        _ = bench.machine.drain(0, true, now: bench.now)
        _ = bench.machine.drain(0, false, now: bench.now)
        for _ in 0..<2 {
            let actions = bench.submit([0, 1]).1
            #expect(actions.dispatches.allSatisfy { $0.lane.hsm == 1 })
        }
        #expect(bench.submit([0]).1.finishes.first?.outcome.isUnavailable == true)
        #expect(bench.machine.lanes(of: 0).busy == 0)
    }
}

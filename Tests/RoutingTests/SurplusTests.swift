// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

@Suite("Pool machine: what other nodes cannot do")
struct SurplusTests {
    private func submit(_ bench: inout Bench, isSurplus: Bool = true) -> PoolActions {
        bench.machine.submit(
            .encrypt, holders: [0], terms: OperationTerms(isSurplus: isSurplus),
            deadline: bench.now + 200 * millisecond, group: 0, now: bench.now
        ).1
    }

    @Test("is done while there is room, and refused long before it would hold up those who ask here")
    func room() throws {
        var bench = Bench(hsms: 1, lanes: 4)
        try bench.teach(0, milliseconds: 20)
        // Four calls of 20 ms: a lane becomes free each 5 ms, and an eighth of 200 ms may be waited.
        for _ in 0..<20 { _ = submit(&bench) }
        #expect((3...5).contains(bench.machine.inLine))
        #expect(submit(&bench).finishes.map(\.outcome) == [.overloaded])
        #expect(submit(&bench, isSurplus: false).finishes.isEmpty)
        #expect(bench.machine.load.overload(now: bench.now) == nil, "nobody who asks here was refused")
    }

    @Test("what can be taken is what the HSMs could do beside what is asked here, and nothing while that is too much")
    func reported() throws {
        var bench = Bench(hsms: 1, lanes: 4)
        // Before a call, by what the probe took: half a millisecond for each.
        #expect(bench.machine.room(now: bench.now) == SpareRoom(perSecond: 7_600, call: millisecond / 2))
        try bench.teach(0, milliseconds: 20)
        // 200 calls a second, of which 50 are made; a twentieth is kept.
        let taught = try #require(bench.machine.room(now: bench.now))
        #expect((138...141).contains(taught.perSecond))
        #expect((19 * millisecond...20 * millisecond).contains(taught.call))
        for _ in 0..<100 {
            let dispatches = submit(&bench).dispatches
            bench.now += 20 * millisecond
            for dispatch in dispatches { _ = bench.answer(dispatch, .done) }
        }
        let helping = try #require(bench.machine.room(now: bench.now)).perSecond
        #expect((185...191).contains(helping), "what is done for others is no part of it: \(helping)")
        for _ in 0..<60 { _ = submit(&bench, isSurplus: false) }
        #expect(bench.machine.room(now: bench.now)?.perSecond == 0, "something was refused")
        _ = bench.machine.ended(0, returning: false, now: bench.now)
        #expect(bench.machine.room(now: bench.now) == nil)
    }

    @Test("what would wait for longer than another node takes that has room is given back at once, if much is asked")
    func crowded() throws {
        var bench = Bench(hsms: 1, lanes: 4)
        try bench.teach(0, milliseconds: 20)
        var calls: [Dispatch] = []
        func submit(mayPassOn: Bool = true, _ bench: inout Bench) -> PoolActions {
            bench.machine.submit(
                .encrypt, holders: [0], terms: OperationTerms(mayPassOn: mayPassOn),
                deadline: bench.now + 200 * millisecond, group: 0, now: bench.now
            ).1
        }
        // Twice 5 ms of waiting and 20 ms of service are the sixth's.
        bench.machine.detour = 26 * millisecond
        for _ in 0..<7 {
            let actions = submit(&bench)
            #expect(actions.finishes.isEmpty, "little is asked")
            calls += actions.dispatches
        }
        // 200 a second, which is all that four lanes can do.
        for _ in 0..<300 {
            bench.now += 5 * millisecond
            if calls.count == 4 { calls += bench.answer(calls.removeFirst(), .done).dispatches }
            calls += submit(&bench).dispatches
        }
        var outcomes: [OperationOutcome] = []
        for _ in 0..<12 { outcomes += submit(&bench).finishes.map(\.outcome) }
        #expect(outcomes.count >= 10 && outcomes.allSatisfy { $0 == .crowded }, "\(outcomes)")
        #expect(submit(mayPassOn: false, &bench).finishes.isEmpty)
        bench.machine.detour = nil
        #expect(submit(&bench).finishes.isEmpty, "no other node has room")
    }
}

@Suite("What is shown of an HSM's work")
struct HSMWorkTests {
    @Test("calls in the last whole second")
    func perSecond() {
        var gauge = SecondGauge()
        let second = 1_000 * millisecond
        #expect(gauge.perSecond(now: second) == 0)
        for call in 0..<40 { gauge.count(now: second + UInt64(call) * 50 * millisecond) }
        #expect(gauge.perSecond(now: 3 * second - millisecond) == 20)
        #expect(gauge.perSecond(now: 3 * second) == 20, "the second that has just ended")
        #expect(gauge.perSecond(now: 4 * second) == 0)
        gauge.count(now: 9 * second)
        #expect(gauge.perSecond(now: 9 * second) == 0)
    }

    @Test("answers for which nobody waits any more, and for how long the oldest request waits")
    func workAndWaits() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let call = try bench.send([0], deadlineIn: 20)
        _ = bench.submit([0, 1])
        _ = bench.submit([0])
        bench.now += 10 * millisecond
        #expect(bench.machine.work(of: 0, now: bench.now).longestWaitMicroseconds == 10_000)
        #expect(bench.machine.work(of: 1, now: bench.now).longestWaitMicroseconds == nil)
        _ = bench.tick(after: 20)
        #expect(bench.machine.work(of: 0, now: bench.now).thrownAway == 0)
        _ = bench.answer(call, .done)
        #expect(bench.machine.work(of: 0, now: bench.now).thrownAway == 1)
        #expect(bench.machine.work(of: 7, now: bench.now) == .init())
    }

    @Test("what was short of an operation whose time is over: the budget, too")
    func budget() throws {
        var bench = Bench(hsms: 2, lanes: 250)
        for hsm in 0..<2 { try bench.teach(hsm, milliseconds: 2) }
        // The budget holds 200 attempts at most, and a fifth of one more comes with each operation.
        for _ in 0..<400 { _ = bench.submit([0, 1]) }
        let outcomes = bench.tick(after: 200).finishes.map(\.outcome)
        #expect(outcomes.contains(.timedOut(.answer)) && outcomes.contains(.timedOut(.budget)))
        #expect(outcomes.count == 400)
    }
}

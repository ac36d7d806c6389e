// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

@Suite("Pool machine: workers end, and requests wait for the next ones")
struct PoolMachineWorkerTests {
    /// A worker ends; returns what followed.
    private func end(_ hsm: Int, of bench: inout Bench) -> PoolActions {
        bench.machine.ended(hsm, returning: true, now: bench.now)
    }

    /// Ends a worker, starts it, and has it come up, so often that its pauses are long.
    private func wear(_ hsm: Int, of bench: inout Bench) {
        for _ in 0..<6 {
            _ = end(hsm, of: &bench)
            bench.machine.starting(hsm, now: bench.now)
            bench.now += 20 * millisecond
            _ = bench.start(hsm, lanes: 2)
        }
    }

    // MARK: All at once

    /// Without the wait each of the 20 ended at once, "no HSM can serve".
    @Test("with all workers dead in one moment requests wait, and are done when the first is back", arguments: [1, 3])
    func allAtOnce(hsms: Int) throws {
        var bench = Bench(hsms: hsms, lanes: 4)
        let all = HSMSet(0..<hsms)
        let atWork = try (0..<4).map { _ in try bench.send(all).operation }
        var ends = PoolActions()
        for hsm in 0..<hsms {
            // As it happens: some lanes first, then the control socket.
            for lane in 0..<2 {
                ends.finishes += bench.machine.laneClosed(LaneID(hsm: hsm, lane: lane), now: bench.now).finishes
            }
        }
        for hsm in 0..<hsms {
            for id in atWork {
                let left = bench.machine.left(hsm, holdersOf: id, isHopeful: true, now: bench.now)
                ends.finishes += left.finishes
            }
            let actions = end(hsm, of: &bench)
            ends.finishes += actions.finishes
            #expect(actions.starts == [WorkerStart(hsm: hsm, pause: 0)])
            bench.machine.starting(hsm, now: bench.now)
        }
        // They hold the key no more as far as the proof knows: it is what they reported before.
        for _ in 0..<16 {
            let (_, actions) = bench.machine.submit(
                .decrypt, holders: [], hopeful: all, deadline: bench.now + 200 * millisecond, group: 0, now: bench.now)
            ends.finishes += actions.finishes
        }
        #expect(ends.finishes.isEmpty)
        _ = bench.tick(after: 70)
        var done = 0
        var open = bench.start(0, lanes: 4).flatMap(\.dispatches)
        for number in 1...20 {
            open += bench.machine.joined(0, holdersOf: OperationID(number: UInt64(number)), now: bench.now).dispatches
        }
        while let next = open.popLast() {
            let actions = bench.answer(next, .done)
            done += actions.finishes.count { $0.outcome == .done }
            open += actions.dispatches
        }
        #expect(done == 20 && bench.machine.unfinished == 0)
    }

    @Test("nobody waits for a worker that a person has to help, nor after three starts in vain")
    func hopeless() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        for vain in 0..<3 {
            _ = end(0, of: &bench)
            #expect(bench.machine.phase(of: 0) == .starting, "after \(vain) starts in vain")
            let (_, waits) = bench.submit([0], deadlineIn: 50)
            #expect(waits.finishes.isEmpty)
            bench.machine.starting(0, now: bench.now)
            bench.now += 60 * millisecond
            _ = bench.machine.tick(now: bench.now)
        }
        let (last, waits) = bench.submit([0])
        #expect(waits.finishes.isEmpty)
        #expect(end(0, of: &bench).finishes.map(\.operation) == [last], "the third")
        #expect(bench.machine.phase(of: 0) == .down)
        bench.machine.starting(0, now: bench.now)
        #expect(bench.submit([0]).1.finishes.first?.outcome.isUnavailable == true, "nor while it is tried again")
        _ = bench.start(0, lanes: 1)
        #expect(try bench.send([0]).lane.hsm == 0)
        _ = bench.machine.ended(0, returning: false, now: bench.now)
        let refused = bench.submit([0]).1
        #expect(refused.finishes.first?.outcome.isUnavailable == true && refused.starts.isEmpty)
    }

    @Test("a request goes elsewhere at once when the start of a worker takes longer than it can wait")
    func slowStart() {
        var bench = Bench(hsms: 1, lanes: 1)
        _ = end(0, of: &bench)
        bench.machine.starting(0, now: bench.now)
        bench.now += 7_000 * millisecond
        _ = bench.start(0, lanes: 1)
        let (atWork, _) = bench.submit([0])
        let (waiting, _) = bench.submit([0])
        // What was on the lane is reported at once, as are new ones; what stood in the line at the next tick.
        #expect(end(0, of: &bench).finishes.map(\.operation) == [atWork])
        #expect(bench.tick(after: 5).finishes.map(\.operation) == [waiting])
        #expect(bench.submit([0]).1.finishes.first?.outcome.isUnavailable == true)
        bench.machine.starting(0, now: bench.now)
        bench.now += 6_900 * millisecond
        let (late, waits) = bench.submit([0])
        #expect(waits.finishes.isEmpty)
        #expect(bench.start(0, lanes: 1).flatMap(\.dispatches).map(\.operation) == [late])
    }

    // MARK: On demand

    /// Without it the request waited for the end of a pause of 1.6 s, and ended at its deadline.
    @Test("a worker in its pause is started when nothing else serves what is asked for, and not before")
    func onDemand() throws {
        var bench = Bench(hsms: 2, lanes: 2)
        wear(0, of: &bench)
        let pause = try #require(end(0, of: &bench).starts.first).pause
        #expect(pause >= 1_000 * millisecond)
        let served = try bench.send([0, 1])
        #expect(served.lane.hsm == 1 && bench.tick(after: 5).starts.isEmpty, "the other serves")
        _ = bench.answer(served, .done)
        let (_, asked) = bench.submit([0])
        #expect(asked.starts == [WorkerStart(hsm: 0, pause: 0)])
        #expect(bench.submit([0]).1.starts.isEmpty && bench.tick(after: 5).starts.isEmpty, "once")
        #expect(bench.machine.counters.startsOnDemand == 1)
        // The other dies as well: both are wanted.
        #expect(end(1, of: &bench).starts.map(\.pause) == [0])
    }

    @Test("a request that only hopes for an HSM has its worker started; one that is drained is left alone")
    func onDemandHopeful() {
        var bench = Bench(hsms: 2, lanes: 2)
        for hsm in 0..<2 {
            wear(hsm, of: &bench)
            _ = end(hsm, of: &bench)
        }
        _ = bench.machine.drain(1, true, now: bench.now)
        let (_, actions) = bench.machine.submit(
            .encrypt, holders: [], hopeful: [0, 1], deadline: bench.now + 200 * millisecond, group: 0, now: bench.now)
        #expect(actions.starts == [WorkerStart(hsm: 0, pause: 0)] && actions.finishes.isEmpty)
    }

    @Test("an HSM that is on its way out is not started again")
    func retired() {
        var bench = Bench(hsms: 1, lanes: 1)
        _ = bench.machine.retire(0, now: bench.now)
        #expect(end(0, of: &bench).starts.isEmpty)
    }

    // MARK: Requests that end workers

    /// A worker ends, and its lane reports that it was at this call.
    private func end(_ dispatch: Dispatch, of bench: inout Bench) -> [PoolActions] {
        [
            end(dispatch.lane.hsm, of: &bench),
            bench.machine.endedDuring(generation: dispatch.generation, now: bench.now),
        ]
    }

    /// Without the limit it took a third worker.
    @Test("a request at which two workers ended is given to no other, and says so", arguments: [false, true])
    func secondDeath(lanesFirst: Bool) throws {
        var bench = Bench(hsms: 3, lanes: 2)
        let first = try bench.send([0, 1, 2])
        var moved = lanesFirst ? [bench.machine.laneClosed(first.lane, now: bench.now)] : []
        moved += end(first, of: &bench)
        let second = try #require(moved.flatMap(\.dispatches).first)
        let finish = try #require(end(second, of: &bench).flatMap(\.finishes).first)
        guard case .unavailable(let reason) = finish.outcome else { throw Unexpected() }
        #expect(reason.contains("two workers ended") && finish.hsm == second.lane.hsm)
        #expect(bench.machine.unfinished == 0)
    }

    @Test("a call that the worker had not read, one sent beside another, and a worker that was killed prove nothing")
    func noSuspicion() throws {
        var bench = Bench(hsms: 3, lanes: 1)
        for hsm in 0..<2 { try bench.teach(hsm) }
        // All workers are killed: the hedge was sent before the first end, the third attempt was never read.
        let first = try bench.send([0, 1])
        let hedge = try #require(bench.tick(after: 10).dispatches.first)
        #expect(hedge.operation == first.operation)
        _ = bench.machine.joined(2, holdersOf: first.operation, now: bench.now)
        let ends = end(first, of: &bench) + end(hedge, of: &bench)
        #expect(ends.flatMap(\.finishes).isEmpty)
        #expect(ends.flatMap(\.dispatches).map(\.lane.hsm) == [2])
        #expect(end(2, of: &bench).finishes.isEmpty, "it waits for one of the three")
    }

    /// It was hedged, and both lanes' workers could end with it.
    @Test("a request at which one worker ended is on one HSM at a time")
    func suspectIsNotHedged() throws {
        var bench = Bench(hsms: 3, lanes: 1)
        for hsm in 0..<3 { try bench.teach(hsm) }
        let first = try bench.send([0, 1, 2])
        let second = try #require(end(first, of: &bench).flatMap(\.dispatches).first)
        #expect(bench.tick(after: 10).dispatches.isEmpty)
        #expect(bench.answer(second, .done).finishes.map(\.outcome) == [.done])
    }

    @Test("the word of a lane that comes when the request is over, or is about no request, is no matter")
    func lateWord() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let first = try bench.send([0, 1])
        let second = try #require(end(first.lane.hsm, of: &bench).dispatches.first)
        _ = bench.answer(second, .done)
        for generation in [0, first.generation, second.generation, .max] {
            #expect(bench.machine.endedDuring(generation: generation, now: bench.now).isEmpty)
        }
    }

    // MARK: Lanes that close

    /// Without it the lane was parked, asked for a session, and its worker killed after `stuck_after` for the silence.
    @Test("a lane that the worker closed before it was ready is never asked for a session")
    func closedEarly() {
        var bench = Bench(hsms: 1, lanes: 0)
        _ = end(0, of: &bench)
        bench.machine.starting(0, now: bench.now)
        for lane in [0, 3] { _ = bench.machine.laneClosed(LaneID(hsm: 0, lane: lane), now: bench.now) }
        _ = bench.machine.ready(0, openLanes: 3, lanes: 4, now: bench.now)
        _ = bench.machine.probed(0, passed: true, now: bench.now)
        #expect(bench.machine.lanes(of: 0) == (2, 0, 0) && bench.machine.closedLanes(of: 0) == (2, 4))
        for _ in 0..<10 {
            let actions = bench.tick(after: 1_000)
            #expect(actions.laneOrders.isEmpty && actions.restarts.isEmpty)
        }
        // The next worker has them all.
        _ = end(0, of: &bench)
        bench.machine.starting(0, now: bench.now)
        _ = bench.start(0, lanes: 4)
        #expect(bench.machine.lanes(of: 0) == (4, 0, 0) && bench.machine.closedLanes(of: 0) == (0, 4))
    }

    /// Without the hold the request went down each of the dead worker's lanes, and ended after the third.
    @Test("after a lane has closed its HSM gets nothing for a moment: its worker may be ending")
    func held() throws {
        var bench = Bench(hsms: 1, lanes: 4)
        let first = try bench.send([0])
        let other = try bench.send([0])
        #expect(bench.machine.laneClosed(first.lane, now: bench.now).isEmpty)
        #expect(bench.machine.laneClosed(LaneID(hsm: 0, lane: 3), now: bench.now).isEmpty)
        #expect(bench.answer(other, .done).dispatches.isEmpty, "its lane is free, and held as well")
        #expect(bench.tick(after: 40).dispatches.isEmpty)
        #expect(bench.tick(after: 10).dispatches.map(\.operation) == [first.operation], "the worker lives on")
    }

    /// Without it the HSM stayed `serving`, its probes passed, and requests waited to their deadline.
    @Test("an HSM all of whose lanes have closed does not serve, and its worker is replaced")
    func allClosed() throws {
        var bench = Bench(hsms: 2, lanes: 2)
        for lane in 0..<2 { _ = bench.machine.laneClosed(LaneID(hsm: 0, lane: lane), now: bench.now) }
        #expect(try bench.send([0, 1]).lane.hsm == 1)
        let (waiting, actions) = bench.submit([0])
        #expect(actions.isEmpty)
        #expect(bench.tick(after: 40).restarts.isEmpty, "its end may come in in a moment")
        let restart = try #require(bench.tick(after: 10).restarts.first)
        #expect(restart.hsm == 0 && restart.reason.contains("all of its lanes"))
        _ = end(0, of: &bench)
        bench.machine.starting(0, now: bench.now)
        #expect(bench.start(0, lanes: 2).flatMap(\.dispatches).map(\.operation) == [waiting])
    }
}

private struct Unexpected: Error {}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

@Suite("Pool machine: lanes come and go")
struct PoolMachineLaneTests {
    /// One HSM that serves with some of its lanes open.
    private func bench(open: Int, of lanes: Int) -> Bench {
        var bench = Bench(hsms: 1, lanes: 0)
        _ = bench.machine.ready(0, openLanes: open, lanes: lanes, now: bench.now)
        _ = bench.machine.probed(0, passed: true, now: bench.now)
        return bench
    }

    @Test("fewer lanes allowed: free ones close their session from the end, busy ones when they come free")
    func park() throws {
        var bench = bench(open: 4, of: 4)
        let busy = try (0..<3).map { _ in try bench.send([0]) }
        let actions = bench.machine.allow(0, lanes: 1, now: bench.now)
        #expect(actions.laneOrders.map(\.operation) == [.closeSession])
        let order = try #require(actions.laneOrders.first)
        #expect(!busy.map(\.lane).contains(order.lane))
        #expect(bench.machine.kind(on: order.lane, generation: order.generation) == .closeSession)
        #expect(bench.machine.needsTicks)
        #expect(bench.answer(order, .done).isEmpty)
        // One with a request waiting: it is parked all the same.
        let (waiting, _) = bench.submit([0])
        let second = bench.answer(busy[0], .done)
        #expect(second.laneOrders.map(\.lane) == [busy[0].lane])
        #expect(second.dispatches.isEmpty)
        let third = bench.answer(busy[1], .done)
        #expect(third.laneOrders.map(\.lane) == [busy[1].lane])
        let last = bench.answer(busy[2], .done)
        #expect(last.laneOrders.isEmpty)
        #expect(last.dispatches.map(\.operation) == [waiting])
        #expect(bench.machine.lanes(of: 0).open == 1)
    }

    @Test("more lanes allowed: parked ones open a session, and then serve who waits")
    func open() throws {
        var bench = bench(open: 2, of: 2)
        for order in bench.machine.allow(0, lanes: 1, now: bench.now).laneOrders { _ = bench.answer(order, .done) }
        let running = try bench.send([0])
        let (waiting, queued) = bench.submit([0])
        #expect(queued.isEmpty)
        let order = try #require(bench.machine.allow(0, lanes: 8, now: bench.now).laneOrders.first)
        #expect(order.operation == .openSession)
        let opened = bench.answer(order, .done)
        #expect(opened.dispatches.map(\.operation) == [waiting])
        #expect(opened.dispatches.first?.lane != running.lane)
        #expect(bench.machine.lanes(of: 0) == (2, 2, 0))
    }

    @Test("one lane always stays")
    func one() {
        var bench = bench(open: 2, of: 2)
        #expect(bench.machine.allow(0, lanes: 0, now: bench.now).laneOrders.count == 1)
        #expect(bench.machine.lanes(of: 0).open == 1)
    }

    @Test("a session that the token refuses is asked for again two seconds later")
    func refused() throws {
        var bench = bench(open: 1, of: 2)
        #expect(bench.tick(after: 1_900).laneOrders.isEmpty, "the worker has only just tried")
        let order = try #require(bench.tick(after: 100).laneOrders.first)
        #expect((order.lane.lane, order.operation) == (1, .openSession))
        #expect(bench.answer(order, .tryElsewhere).isEmpty)
        #expect(bench.machine.lanes(of: 0) == (1, 0, 0))
        #expect(bench.tick(after: 1_900).laneOrders.isEmpty)
        let again = try #require(bench.tick(after: 100).laneOrders.first)
        #expect(again.generation != order.generation)
        #expect(bench.answer(order, .done).isEmpty, "an old answer")
        _ = bench.answer(again, .done)
        #expect(bench.machine.lanes(of: 0) == (2, 0, 0))
        #expect(bench.tick(after: 5_000).laneOrders.isEmpty)
    }

    @Test("a hard failure while a session is opened takes the HSM out")
    func refusedHard() throws {
        var bench = bench(open: 1, of: 2)
        let order = try #require(bench.tick(after: 2_000).laneOrders.first)
        #expect(bench.answer(order, .hsmOut).restarts.map(\.hsm) == [0])
    }

    @Test("a session that is neither opened nor refused means that the worker is stuck")
    func stuck() throws {
        var bench = bench(open: 1, of: 2)
        _ = try #require(bench.tick(after: 2_000).laneOrders.first)
        #expect(bench.tick(after: 1_990).restarts.isEmpty)
        #expect(bench.tick(after: 10).restarts.map(\.hsm) == [0])
    }

    @Test("a worker without one session serves when it has got one")
    func none() throws {
        var bench = bench(open: 0, of: 1)
        let (id, queued) = bench.submit([0], deadlineIn: 3_000)
        #expect(queued.isEmpty)
        let order = try #require(bench.tick(after: 2_000).laneOrders.first)
        #expect(bench.answer(order, .done).dispatches.map(\.operation) == [id])
    }

    @Test("an HSM without one open lane does not keep a request from one that failed at it")
    func noneOfTwo() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        _ = bench.machine.laneClosed(LaneID(hsm: 1, lane: 0), now: bench.now)
        let first = try bench.send([0, 1])
        #expect(first.lane.hsm == 0)
        #expect(bench.answer(first, .tryElsewhere).dispatches.map(\.lane.hsm) == [0])
    }

    // MARK: Closed

    @Test("a free lane that closes is not used again")
    func closedFree() throws {
        var bench = bench(open: 2, of: 2)
        #expect(bench.machine.laneClosed(LaneID(hsm: 0, lane: 0), now: bench.now).isEmpty)
        #expect(bench.machine.lanes(of: 0) == (1, 0, 0) && bench.machine.closedLanes(of: 0) == (1, 2))
        _ = bench.tick(after: 50)
        #expect(try bench.send([0]).lane.lane == 1)
        #expect(bench.submit([0]).1.dispatches.isEmpty)
        #expect(bench.machine.laneClosed(LaneID(hsm: 0, lane: 0), now: bench.now).isEmpty, "it is closed already")
        #expect(bench.machine.lanes(of: 0) == (1, 1, 0))
    }

    @Test("the request on a lane that closes goes to another; what the old one still says is dropped")
    func closedBusy() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let first = try bench.send([0, 1])
        let moved = bench.machine.laneClosed(first.lane, now: bench.now)
        #expect(moved.dispatches.map(\.operation) == [first.operation])
        #expect(moved.dispatches.first?.lane.hsm != first.lane.hsm)
        #expect(bench.machine.lanes(of: first.lane.hsm) == (0, 0, 0))
        #expect(bench.answer(first, .done).isEmpty)
    }

    @Test("an overdue lane that closes is not overdue any more")
    func closedOverdue() throws {
        var bench = bench(open: 2, of: 2)
        let dispatch = try bench.send([0])
        _ = bench.tick(after: 81)
        #expect(bench.machine.lanes(of: 0) == (2, 1, 1))
        _ = bench.machine.laneClosed(dispatch.lane, now: bench.now)
        #expect(bench.machine.lanes(of: 0).overdue == 0)
        #expect(bench.machine.lanes(of: 0).overdue == 0)
    }

    @Test("a parked or moving lane that closes takes nothing with it, and another one is opened")
    func closedParkedOrMoving() throws {
        var bench = bench(open: 1, of: 4)
        _ = bench.machine.laneClosed(LaneID(hsm: 0, lane: 3), now: bench.now)
        _ = bench.machine.allow(0, lanes: 2, now: bench.now)
        let order = try #require(bench.tick(after: 2_000).laneOrders.first)
        #expect(bench.machine.lanes(of: 0).open == 2)
        _ = bench.machine.laneClosed(order.lane, now: bench.now)
        #expect(bench.machine.lanes(of: 0).open == 1)
        #expect(bench.answer(order, .done).isEmpty)
        let other = try #require(bench.tick(after: 50).laneOrders.first)
        #expect(other.lane != order.lane && other.lane.lane != 3)
        // One that closes its session.
        _ = bench.answer(other, .done)
        let closing = try #require(bench.machine.allow(0, lanes: 1, now: bench.now).laneOrders.first)
        _ = bench.machine.laneClosed(closing.lane, now: bench.now)
        #expect(bench.machine.lanes(of: 0).open == 1)
        #expect(try bench.send([0]).lane != closing.lane)
    }

    @Test("lanes that do not exist are ignored")
    func unknown() {
        var bench = bench(open: 1, of: 1)
        for lane in [LaneID(hsm: 0, lane: 9), LaneID(hsm: 9, lane: 0), LaneID(hsm: -1, lane: -1)] {
            #expect(bench.machine.laneClosed(lane, now: bench.now).isEmpty)
            #expect(bench.machine.answered(lane, generation: 1, disposition: .done, now: bench.now).isEmpty)
        }
        #expect(bench.machine.ready(9, openLanes: 1, lanes: 1, now: bench.now).isEmpty)
        #expect(bench.machine.ended(9, returning: true, now: bench.now).isEmpty)
    }
}

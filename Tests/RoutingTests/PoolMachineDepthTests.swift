// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

@Suite("Pool machine: more than one request on a lane")
struct PoolMachineDepthTests {
    private static let stuckAfter = 2_000 * millisecond

    private func bench(hsms: Int = 1, lanes: Int = 1, depth: Int = 2, limits: PoolLimits = PoolLimits()) -> Bench {
        let traits = HSMTraits(stuckAfter: Self.stuckAfter, depth: depth)
        return Bench(Array(repeating: traits, count: hsms), lanes: lanes, limits: limits)
    }

    @Test("without a free lane, requests go behind calls as far as the depth allows; the rest waits in line")
    func behind() throws {
        var bench = bench(depth: 3)
        let sent = try (0..<3).map { _ in try bench.send([0]) }
        #expect(sent.allSatisfy { $0.lane == LaneID(hsm: 0, lane: 0) })
        #expect(bench.machine.lanes(of: 0) == (1, 1, 0))
        #expect(bench.machine.queued(on: 0) == 2)
        let (waiting, nothing) = bench.submit([0])
        #expect(nothing.isEmpty && bench.machine.inLine == 1)
        // The first answer makes room for it.
        let after = bench.answer(sent[0], .done)
        #expect(after.finishes.map(\.operation) == [sent[0].operation])
        #expect(after.dispatches.map(\.operation) == [waiting])
        #expect(bench.machine.queued(on: 0) == 2)
        for dispatch in [sent[1], sent[2]] + after.dispatches {
            #expect(bench.answer(dispatch, .done).finishes.map(\.operation) == [dispatch.operation])
        }
        #expect(bench.machine.lanes(of: 0) == (1, 0, 0))
        #expect(bench.machine.queued(on: 0) == 0 && !bench.machine.needsTicks)
    }

    @Test("a depth of 1 sends nothing behind a call")
    func depthOfOne() throws {
        var bench = bench(depth: 1)
        _ = try bench.send([0])
        #expect(bench.submit([0]).1.isEmpty)
        #expect(bench.machine.queued(on: 0) == 0 && bench.machine.inLine == 1)
    }

    @Test("a free lane comes before room behind a call, on whichever HSM; then lanes are filled evenly")
    func freeFirst() throws {
        var bench = bench(hsms: 2, lanes: 2, depth: 2)
        let first = Set(try (0..<4).map { _ in try bench.send([0, 1]).lane })
        #expect(first.count == 4)
        #expect(bench.machine.queued(on: 0) + bench.machine.queued(on: 1) == 0)
        let second = Set(try (0..<4).map { _ in try bench.send([0, 1]).lane })
        #expect(second == first)
        #expect(bench.submit([0, 1]).1.isEmpty)
    }

    @Test("room on a lower tier comes before a free lane of a higher one")
    func tiers() throws {
        var bench = Bench(
            [
                HSMTraits(stuckAfter: Self.stuckAfter, tier: 0, depth: 2),
                HSMTraits(stuckAfter: Self.stuckAfter, tier: 1, depth: 2),
            ], lanes: 1)
        #expect(try (0..<3).map { _ in try bench.send([0, 1]).lane.hsm } == [0, 0, 1])
    }

    @Test("room on a lane of the caller's own group comes first")
    func groups() throws {
        var bench = bench(lanes: 2, depth: 2)
        for _ in 0..<2 { _ = try bench.send([0]) }
        for group in [1, 0] {
            let dispatch = try #require(bench.submit([0], group: group).1.dispatches.first)
            #expect(dispatch.lane.group(among: 2) == group)
        }
    }

    @Test("lanes of HSMs that have one each are spread over the groups")
    func spread() {
        #expect(Set((0..<4).map { LaneID(hsm: $0, lane: 0).group(among: 2) }) == [0, 1])
        #expect(Set((0..<4).map { LaneID(hsm: 1, lane: $0).group(among: 2) }) == [0, 1])
    }

    @Test("nothing is sent behind a silent call; what lies behind it goes elsewhere when its patience ends")
    func silence() throws {
        var bench = bench(hsms: 2, depth: 3)
        let silent = try bench.send([0])
        let behind = try bench.send([0])
        _ = bench.machine.joined(1, holdersOf: behind.operation, now: bench.now)
        let after = bench.tick(after: 80)
        // The call can go nowhere else; what lies behind it can.
        #expect(after.dispatches.map(\.operation) == [behind.operation])
        let elsewhere = try #require(after.dispatches.first)
        #expect(elsewhere.lane.hsm == 1)
        #expect(bench.machine.lanes(of: 0) == (1, 1, 1), "one lane is overdue, not two")
        #expect(bench.submit([0]).1.isEmpty, "although there would be room behind the call")
        #expect(bench.answer(elsewhere, .done).finishes.map(\.operation) == [behind.operation])

        // The call returns after all: what lies behind it is called, and nobody waits for it any more.
        let late = bench.answer(silent, .done)
        #expect(late.finishes.map(\.operation) == [silent.operation])
        #expect(late.dispatches.count == 1, "there is room again for the one in the line")
        #expect(bench.machine.lanes(of: 0) == (1, 1, 0))
        #expect(bench.answer(behind, .done).finishes.isEmpty)
    }

    @Test("the time behind another call is not held against an HSM: it counts as stuck from its own call on")
    func stuck() throws {
        var bench = bench(depth: 2)
        let slow = try bench.send([0])
        let behind = try bench.send([0])
        #expect(bench.tick(after: 1_990).restarts.isEmpty)
        _ = bench.answer(slow, .tryElsewhere)
        #expect(bench.machine.lanes(of: 0) == (1, 1, 0))
        #expect(bench.tick(after: 1_990).restarts.isEmpty, "sent 3.98 s ago, called 1.99 s ago")
        #expect(bench.tick(after: 20).restarts.map(\.hsm) == [0])
        #expect(bench.answer(behind, .done).isEmpty)
    }

    @Test("behind a slow call an operation ends at its deadline, and what the lane says of it later is dropped")
    func deadline() throws {
        var bench = bench(depth: 2)
        let call = try bench.send([0], deadlineIn: 200)
        let behind = try bench.send([0], deadlineIn: 20)
        let after = bench.tick(after: 20)
        #expect(after.finishes.map(\.operation) == [behind.operation])
        #expect(after.finishes.first?.outcome == .timedOut(.answer))
        #expect(bench.answer(call, .done).finishes.count == 1)
        // The worker skips what is late.
        #expect(bench.answer(behind, .tryElsewhere).isEmpty)
        #expect(bench.machine.lanes(of: 0) == (1, 0, 0))
    }

    @Test("a hedge goes to a free lane, never behind another call")
    func hedge() throws {
        var bench = bench(hsms: 2, depth: 2)
        for hsm in 0..<2 { try bench.teach(hsm) }
        let other = try bench.send([1])
        let slow = try bench.send([0])
        _ = bench.machine.joined(1, holdersOf: slow.operation, now: bench.now)
        #expect(bench.tick(after: 6).dispatches.isEmpty)
        #expect(bench.machine.counters.hedges == 0)
        // With a free lane it would have been: the same again.
        _ = bench.answer(other, .done)
        _ = bench.answer(slow, .done)
        let again = try bench.send([0])
        _ = bench.machine.joined(1, holdersOf: again.operation, now: bench.now)
        #expect(bench.tick(after: 6).dispatches.map(\.lane.hsm) == [1])
        #expect(bench.machine.counters.hedges == 1)
    }

    @Test("with fewer lanes allowed, nothing more is sent behind calls, so that lanes come free and close")
    func park() throws {
        var bench = bench(lanes: 2, depth: 2)
        let sent = try (0..<4).map { _ in try bench.send([0]) }
        #expect(bench.machine.allow(0, lanes: 1, now: bench.now).isEmpty)
        #expect(bench.submit([0]).1.isEmpty)
        var closed = 0
        for dispatch in sent {
            let after = bench.answer(dispatch, .done)
            closed += after.laneOrders.count
            if bench.machine.lanes(of: 0).open == 2 { #expect(after.dispatches.isEmpty) }
        }
        #expect(closed == 1 && bench.machine.lanes(of: 0).open == 1)
        #expect(bench.machine.inLine == 0)
    }

    @Test("everything on a lane goes elsewhere when its socket closes, or its worker ends", arguments: [true, false])
    func lost(workerEnds: Bool) throws {
        var bench = bench(hsms: 2, depth: 3)
        let lost = try (0..<3).map { _ -> OperationID in
            let dispatch = try bench.send([0])
            _ = bench.machine.joined(1, holdersOf: dispatch.operation, now: bench.now)
            return dispatch.operation
        }
        let actions =
            workerEnds
            ? bench.machine.ended(0, returning: true, now: bench.now)
            : bench.machine.laneClosed(LaneID(hsm: 0, lane: 0), now: bench.now)
        #expect(actions.dispatches.map(\.operation) == lost)
        #expect(actions.dispatches.allSatisfy { $0.lane.hsm == 1 })
        #expect(bench.machine.queued(on: 0) == 0 && bench.machine.lanes(of: 0) == (0, 0, 0))
    }

    @Test("what one event loop sent may overtake what another did: answers count by their generation")
    func overtaking() throws {
        var bench = bench(depth: 2)
        let first = try bench.send([0])
        let second = try bench.send([0])
        #expect(bench.machine.kind(on: second.lane, generation: second.generation) == .encrypt)
        #expect(bench.answer(second, .done).finishes.map(\.operation) == [second.operation])
        #expect(bench.machine.lanes(of: 0) == (1, 1, 0) && bench.machine.queued(on: 0) == 0)
        #expect(bench.answer(first, .done).finishes.map(\.operation) == [first.operation])
    }

    @Test("a driver that cannot send what it was told to put behind a call says so, and the operation goes elsewhere")
    func refused() throws {
        var bench = bench(hsms: 2, depth: 2)
        _ = try bench.send([0])
        let behind = try bench.send([0])
        _ = bench.machine.joined(1, holdersOf: behind.operation, now: bench.now)
        let after = bench.answer(behind, .tryElsewhere)
        #expect(after.dispatches.map(\.lane.hsm) == [1])
        #expect(bench.machine.queued(on: 0) == 0)
    }

    @Test("another depth holds from the next request on")
    func change() throws {
        var bench = bench(depth: 1)
        _ = try bench.send([0])
        #expect(bench.submit([0]).1.isEmpty)
        bench.machine.change(0, to: HSMTraits(stuckAfter: Self.stuckAfter, depth: 3))
        #expect(bench.tick(after: 5).dispatches.count == 1, "the one in the line has its place now")
        _ = try bench.send([0])
        bench.machine.change(0, to: HSMTraits(stuckAfter: Self.stuckAfter, depth: 1))
        #expect(bench.submit([0]).1.isEmpty)
        #expect(bench.machine.queued(on: 0) == 2)
    }
}

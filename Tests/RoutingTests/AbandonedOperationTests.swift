// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

@Suite("Pool machine: operations that nobody waits for any more")
struct AbandonedOperationTests {
    @Test("it leaves the line, and whoever stands behind it gets the lane")
    func leavesTheLine() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        let running = try bench.send([0])
        let (gone, first) = bench.submit([0])
        let (waits, second) = bench.submit([0])
        #expect(first.dispatches.isEmpty && second.dispatches.isEmpty)
        let end = bench.machine.abandoned(gone, now: bench.now)
        let finish = try #require(end.finishes.first)
        #expect((finish.operation, finish.outcome, finish.attempts) == (gone, .abandoned, 0))
        #expect(end.finishes.count == 1 && end.dispatches.isEmpty)
        let next = bench.answer(running, .done)
        #expect(next.dispatches.map(\.operation) == [waits])
    }

    @Test("those that are gone leave their room in the line to others")
    func makesRoom() throws {
        // One lane of 2 ms, and 200 ms for each operation: some hundred may wait.
        var bench = Bench(hsms: 1, lanes: 1)
        try bench.teach(0)
        _ = try bench.send([0])
        var waiting: [OperationID] = []
        while true {
            let (id, actions) = bench.submit([0])
            guard actions.finishes.isEmpty else { break }
            waiting.append(id)
            try #require(waiting.count < 2_000)
        }
        #expect(bench.submit([0]).1.finishes.first?.outcome == .overloaded)
        for id in waiting { _ = bench.machine.abandoned(id, now: bench.now) }
        #expect(bench.submit([0]).1.finishes.isEmpty, "the next one is let in")
    }

    @Test("what a lane is at for it goes on for nothing, and no further HSM is asked")
    func isTriedNoMore() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let (id, actions) = bench.submit([0, 1])
        let dispatch = try #require(actions.dispatches.first)
        #expect(bench.machine.abandoned(id, now: bench.now).finishes.map(\.outcome) == [.abandoned])
        // Without that, the failure of its HSM would send it to the other one.
        #expect(bench.answer(dispatch, .tryElsewhere).dispatches.isEmpty)
        #expect(bench.machine.unfinished == 0)
        #expect(bench.machine.abandoned(id, now: bench.now) == PoolActions(), "it is abandoned once")
        #expect(try bench.send([dispatch.lane.hsm] as HSMSet).lane == dispatch.lane, "the lane is free again")
    }
}

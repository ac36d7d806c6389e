// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

@Suite("Pool machine: key stores, and requests of two calls, in the line")
struct FairLineTests {
    private func stand(
        _ bench: inout Bench, share: Int, calls: Int = 1, isContinuation: Bool = false
    ) -> OperationID {
        bench.machine.submit(
            .encrypt, holders: [0],
            terms: OperationTerms(share: share, calls: calls, isContinuation: isContinuation),
            deadline: bench.now + 200 * millisecond, group: 0, now: bench.now
        ).0
    }

    /// Has the one lane do one call after the other. Returns who got it.
    private func served(_ bench: inout Bench, after first: Dispatch, count: Int) throws -> [OperationID] {
        var (busy, served): (Dispatch, [OperationID]) = (first, [])
        for _ in 0..<count {
            busy = try #require(bench.answer(busy, .done).dispatches.first)
            served.append(busy.operation)
        }
        return served
    }

    @Test("key stores take turns, however many each has in the line")
    func turns() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        let busy = try bench.send([0])
        let flood = (0..<6).map { _ in stand(&bench, share: 1) }
        let few = (0..<2).map { _ in stand(&bench, share: 2) }
        let served = try served(&bench, after: busy, count: 8)
        #expect(served == [flood[0], few[0], flood[1], few[1], flood[2], flood[3], flood[4], flood[5]])
    }

    @Test("what takes two calls has had two turns")
    func debt() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        let busy = try bench.send([0])
        let twofold = (0..<2).map { _ in stand(&bench, share: 1, calls: 2) }
        let plain = (0..<4).map { _ in stand(&bench, share: 2) }
        let served = try served(&bench, after: busy, count: 6)
        #expect(served == [twofold[0], plain[0], plain[1], twofold[1], plain[2], plain[3]])
    }

    @Test("the second call of a request stands before all others")
    func continuation() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        let busy = try bench.send([0])
        _ = stand(&bench, share: 1)
        let second = stand(&bench, share: 2, isContinuation: true)
        #expect(try served(&bench, after: busy, count: 1) == [second])
    }

    @Test("what takes two calls is let into the line when both can be made in time")
    func admission() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        try bench.teach(0, answers: 20, milliseconds: 80)
        _ = try bench.send([0])
        let twofold = bench.machine.submit(
            .encrypt, holders: [0], terms: OperationTerms(calls: 2), deadline: bench.now + 200 * millisecond, group: 0,
            now: bench.now)
        #expect(twofold.1.finishes.map(\.outcome) == [.overloaded])
        #expect(bench.submit([0]).1.finishes.isEmpty)
    }

    @Test("a line that is full for one key store is not for another")
    func bound() throws {
        var bench = Bench(hsms: 1, lanes: 1, limits: PoolLimits(waiting: 3))
        _ = try bench.send([0])
        for _ in 0..<5 { _ = stand(&bench, share: 1) }
        #expect(bench.machine.inLine == 3)
        _ = stand(&bench, share: 2)
        #expect(bench.machine.inLine == 4)
    }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

@Suite("Pool machine: what nothing here serves is given back, for another node")
struct PoolMachinePassingTests {
    /// Submits an operation that may be passed on.
    private func submit(_ holders: HSMSet, to bench: inout Bench) -> (OperationID, PoolActions) {
        bench.machine.submit(
            .encrypt, holders: holders, terms: OperationTerms(mayPassOn: true),
            deadline: bench.now + 200 * millisecond, group: 0, now: bench.now)
    }

    /// Ticks as the driver does until something ends; the milliseconds that it took, and what ended.
    private func end(_ bench: inout Bench, within milliseconds: UInt64 = 250) -> (after: UInt64, finishes: [Finish]) {
        for passed in stride(from: UInt64(5), through: milliseconds, by: 5) {
            let finishes = bench.tick(after: 5).finishes
            if !finishes.isEmpty { return (passed, finishes) }
        }
        return (milliseconds, [])
    }

    @Test("at once when no HSM serves; only where another node may be asked")
    func atOnce() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        for hsm in 0..<2 {
            _ = bench.machine.ended(hsm, returning: true, now: bench.now)
            bench.machine.starting(hsm, now: bench.now)
        }
        let (id, actions) = submit([0, 1], to: &bench)
        #expect(actions.finishes.map(\.operation) == [id])
        #expect(actions.finishes.first?.outcome.isUnavailable == true)
        #expect(bench.submit([0, 1]).1.finishes.isEmpty, "it waits for a worker")
    }

    // Each waited for its deadline, beside a node that could have answered.
    @Test("at once when every HSM that serves is slower than a request may take, by its probes")
    func tooSlow() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        for hsm in 0..<2 { _ = bench.machine.probed(hsm, passed: true, latency: 900 * millisecond, now: bench.now) }
        let (id, actions) = submit([0, 1], to: &bench)
        #expect(actions.finishes.map(\.operation) == [id] && actions.dispatches.isEmpty)
        #expect(actions.finishes.first?.outcome.isUnavailable == true)
        #expect(bench.submit([0, 1]).1.dispatches.count == 1, "no other node may be asked")
        _ = bench.machine.probed(1, passed: true, latency: 2 * millisecond, now: bench.now)
        #expect(submit([0, 1], to: &bench).1.dispatches.map(\.lane.hsm) == [1])
    }

    @Test("when the last HSM's patience ends, with the time that is left", arguments: 1...4)
    func silent(hsms: Int) throws {
        var bench = Bench(hsms: hsms, lanes: 1)
        for hsm in 0..<hsms { try bench.teach(hsm, milliseconds: 2) }
        let (id, actions) = submit(HSMSet(0..<hsms), to: &bench)
        #expect(actions.finishes.isEmpty)
        let (after, finishes) = end(&bench)
        #expect(finishes.map(\.operation) == [id] && finishes.first?.outcome.isUnavailable == true)
        #expect(after <= 80, "\(after) ms")
    }

    /// Without it, 4 of 813 requests waited to their deadline: they stood in line for the second HSM when it fell silent.
    @Test("also what is on a silent HSM, and in line for another one that falls silent, too")
    func inLine() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        for hsm in 0..<2 { try bench.teach(hsm, milliseconds: 2) }
        let other = try #require(submit([1], to: &bench).1.dispatches.first)
        let both = try #require(submit([0, 1], to: &bench).1.dispatches.first)
        #expect(both.lane.hsm == 0)
        var ended: [OperationID] = []
        for _ in 0..<6 { ended += bench.tick(after: 5).finishes.map(\.operation) }
        #expect(Set(ended) == [other.operation, both.operation])
    }

    /// Without it, an operation that had had six attempts was not looked at again, and ended at its deadline.
    @Test("also what has had all of its attempts when the last HSM falls silent")
    func attempts() throws {
        var bench = Bench(hsms: 7, lanes: 1)
        for hsm in 0..<7 { try bench.teach(hsm, milliseconds: 2) }
        let (id, _) = submit([0, 1, 2, 3, 4, 5], to: &bench)
        var count = 1
        for _ in 0..<100 where count < 6 { count += bench.tick(after: 5).dispatches.count }
        #expect(count == 6)
        _ = bench.machine.joined(6, holdersOf: id, now: bench.now)
        for _ in 0..<5 { #expect(bench.tick(after: 5).isEmpty, "six are silent, and the seventh serves") }
        let last = try #require(submit([6], to: &bench).1.dispatches.first)
        var ended: [OperationID] = []
        for _ in 0..<6 { ended += bench.tick(after: 5).finishes.map(\.operation) }
        #expect(Set(ended) == [id, last.operation])
    }

    /// Without it, the operation stood in the line for the second HSM to its deadline, and no other node was asked.
    @Test("also what is on a silent HSM when the last other one fails and is out")
    func failsBesideSilence() throws {
        var bench = Bench(hsms: 2, lanes: 2)
        for hsm in 0..<2 { try bench.teach(hsm, milliseconds: 2) }
        let (id, actions) = submit([0], to: &bench)
        #expect(actions.dispatches.map(\.lane.hsm) == [0])
        _ = bench.machine.joined(1, holdersOf: id, now: bench.now)
        // One more soft failure takes it out.
        for _ in 0..<2 { _ = bench.machine.probed(1, passed: false, now: bench.now) }
        let hedge = try #require(bench.tick(after: 5).dispatches.first)
        #expect(hedge.operation == id && hedge.lane.hsm == 1)
        for _ in 0..<2 { #expect(bench.tick(after: 5).finishes.isEmpty) }
        #expect(bench.machine.lanes(of: 0).overdue == 1 && bench.machine.lanes(of: 1).overdue == 0)
        let finishes = bench.answer(hedge, .hsmSuspect).finishes
        #expect(finishes.map(\.operation) == [id] && finishes.first?.outcome.isUnavailable == true)
    }
}

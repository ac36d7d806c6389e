// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

private let millisecond: UInt64 = 1_000_000

/// A machine with its HSMs up, and a hand to step it.
private struct Bench {
    var machine: PoolMachine
    var now: UInt64 = 1_000 * millisecond

    init(hsms: Int, lanes: Int, limits: PoolLimits = PoolLimits()) {
        machine = PoolMachine(
            stuckAfter: Array(repeating: 2_000_000_000, count: hsms), groups: 2, limits: limits)
        for hsm in 0..<hsms { _ = machine.ready(hsm, lanes: lanes, now: now) }
    }

    mutating func submit(
        _ holders: HSMSet, kind: LaneOperation = .encrypt, deadlineIn: UInt64 = 200
    ) -> (OperationID, PoolActions) {
        machine.submit(
            kind, holders: holders, deadline: now + deadlineIn * millisecond, group: 0, now: now)
    }

    mutating func answer(_ dispatch: Dispatch, _ disposition: Disposition) -> PoolActions {
        machine.answered(dispatch.lane, generation: dispatch.generation, disposition: disposition, now: now)
    }

    mutating func tick(after milliseconds: UInt64) -> PoolActions {
        now += milliseconds * millisecond
        return machine.tick(now: now)
    }
}

@Suite("Pool machine: one operation")
struct PoolMachineOperationTests {
    @Test("an answer ends the operation and frees the lane")
    func done() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        let (id, actions) = bench.submit([0])
        let dispatch = try #require(actions.dispatches.first)
        #expect(bench.machine.lanes(of: 0) == (1, 1, 0))
        let end = bench.answer(dispatch, .done)
        let finish = try #require(end.finishes.first)
        #expect((finish.operation, finish.outcome) == (id, .done))
        #expect((finish.hsm, finish.attempts) == (0, 1))
        #expect(bench.machine.lanes(of: 0) == (1, 0, 0))
        #expect(bench.machine.unfinished == 0)
    }

    @Test("equals take turns")
    func turns() throws {
        var bench = Bench(hsms: 3, lanes: 4)
        var used = HSMSet()
        for _ in 0..<3 { used.insert(try #require(bench.submit([0, 1, 2]).1.dispatches.first).lane.hsm) }
        #expect(used.count == 3)
    }

    @Test("only an HSM that holds the key is asked")
    func holders() throws {
        var bench = Bench(hsms: 3, lanes: 8)
        for _ in 0..<8 { #expect(try #require(bench.submit([1]).1.dispatches.first).lane.hsm == 1) }
    }

    @Test(
        "an HSM that fails costs the caller nothing while another is there",
        arguments: [
            Disposition.tryElsewhere, .sessionLost, .hsmSuspect, .hsmOut, .keyMissing, .ambiguous,
        ])
    func failover(disposition: Disposition) throws {
        var bench = Bench(hsms: 2, lanes: 2)
        let (id, actions) = bench.submit([0, 1], kind: .decrypt)
        let first = try #require(actions.dispatches.first)
        let retry = bench.answer(first, disposition)
        let second = try #require(retry.dispatches.first)
        #expect(second.operation == id)
        #expect(second.lane.hsm != first.lane.hsm)
        #expect(retry.finishes.isEmpty)
        #expect(retry.restarts.map(\.hsm) == (disposition == .hsmOut ? [first.lane.hsm] : []))
        let end = bench.answer(second, .done)
        #expect(end.finishes.first?.outcome == .done)
        #expect(end.finishes.first?.attempts == 2)
    }

    @Test("one HSM's ambiguous word never makes a ciphertext invalid; two HSMs' words do")
    func ambiguity() throws {
        var alone = Bench(hsms: 1, lanes: 2)
        let lonely = try #require(alone.submit([0], kind: .decrypt).1.dispatches.first)
        guard case .unavailable = alone.answer(lonely, .ambiguous).finishes.first?.outcome else {
            Issue.record("a single HSM's ambiguous answer decided")
            return
        }
        var pair = Bench(hsms: 2, lanes: 2)
        let first = try #require(pair.submit([0, 1], kind: .decrypt).1.dispatches.first)
        let second = try #require(pair.answer(first, .ambiguous).dispatches.first)
        #expect(pair.answer(second, .ambiguous).finishes.first?.outcome == .callersFault(.ciphertextIsInvalid))
        #expect(!pair.machine.isSuspect(0) && !pair.machine.isSuspect(1))
    }

    @Test("the key is gone only when every HSM that can be asked says so")
    func keyGone() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let first = try #require(bench.submit([0, 1]).1.dispatches.first)
        let second = try #require(bench.answer(first, .keyMissing).dispatches.first)
        #expect(bench.answer(second, .keyMissing).finishes.first?.outcome == .callersFault(.keyIsGone))

        var sick = Bench(hsms: 2, lanes: 1)
        let one = try #require(sick.submit([0, 1]).1.dispatches.first)
        var actions = sick.answer(one, .keyMissing)
        while let next = actions.dispatches.first { actions = sick.answer(next, .hsmSuspect) }
        guard case .unavailable = actions.finishes.first?.outcome else {
            Issue.record("absence was said although one HSM could not be asked")
            return
        }
    }

    @Test("attempts are bounded, also on a single HSM")
    func attempts() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        var dispatch = bench.submit([0]).1.dispatches.first
        var count = 0
        var end = PoolActions()
        while let current = dispatch {
            count += 1
            end = bench.answer(current, .hsmSuspect)
            dispatch = end.dispatches.first
        }
        #expect(count == 3)
        guard case .unavailable = end.finishes.first?.outcome else {
            Issue.record("expected unavailable, not \(String(describing: end.finishes.first))")
            return
        }
    }

    @Test("nobody left to ask is said at once")
    func nobody() {
        var bench = Bench(hsms: 1, lanes: 1)
        _ = bench.machine.down(0, now: bench.now)
        guard case .unavailable = bench.submit([0]).1.finishes.first?.outcome else {
            Issue.record("expected unavailable")
            return
        }
    }
}

@Suite("Pool machine: silence, death and crowds")
struct PoolMachineSilenceTests {
    @Test("a silent HSM is left for another when its time is up, and its late answer is dropped")
    func patience() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let (id, actions) = bench.submit([0, 1])
        let first = try #require(actions.dispatches.first)
        #expect(bench.tick(after: 79).dispatches.isEmpty)
        let second = try #require(bench.tick(after: 2).dispatches.first)
        #expect(second.lane.hsm != first.lane.hsm)
        #expect(bench.machine.lanes(of: first.lane.hsm).overdue == 1)
        #expect(bench.answer(second, .done).finishes.map(\.operation) == [id])
        #expect(bench.answer(first, .done) == PoolActions())
        #expect(bench.machine.lanes(of: first.lane.hsm).overdue == 0)
        #expect(bench.machine.lanes(of: first.lane.hsm).busy == 0)
    }

    @Test("where there is no other HSM, a slow answer before the deadline still counts")
    func slowButAlone() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        let dispatch = try #require(bench.submit([0]).1.dispatches.first)
        #expect(bench.tick(after: 150) == PoolActions())
        #expect(bench.answer(dispatch, .done).finishes.first?.outcome == .done)
    }

    @Test("what a silent HSM holds is the first to get a lane elsewhere, also when the others are never idle")
    func crowdedElsewhere() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let placed = [bench.submit([0, 1]), bench.submit([0, 1])].compactMap(\.1.dispatches.first)
        let silent = try #require(placed.first)
        let busy = try #require(placed.last)
        for _ in 0..<5 { _ = bench.submit([0, 1]) }
        #expect(bench.tick(after: 81).dispatches.isEmpty)
        let next = try #require(bench.answer(busy, .done).dispatches.first)
        #expect(next.operation == silent.operation)
        #expect(next.lane.hsm == busy.lane.hsm)
        #expect(bench.machine.lanes(of: silent.lane.hsm).overdue == 1)
        #expect(bench.answer(silent, .done).finishes.isEmpty, "its late answer is dropped")
    }

    @Test("an HSM that answers while its operation stands in line elsewhere has done it")
    func slowButFirst() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let placed = [bench.submit([0, 1]), bench.submit([0, 1])].compactMap(\.1.dispatches.first)
        _ = bench.tick(after: 81)
        let slow = try #require(placed.first)
        #expect(bench.answer(slow, .done).finishes.map(\.operation) == [slow.operation])
        let other = try #require(placed.last)
        #expect(bench.answer(other, .done).dispatches.isEmpty, "nothing is left in the line")
    }

    @Test("the deadline ends an operation, on a lane or in the line")
    func deadline() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        let (running, _) = bench.submit([0])
        let (waiting, queued) = bench.submit([0])
        #expect(queued.dispatches.isEmpty && queued.finishes.isEmpty)
        let end = bench.tick(after: 200)
        #expect(Set(end.finishes.map(\.operation)) == [running, waiting])
        #expect(end.finishes.allSatisfy { $0.outcome == .timedOut })
        #expect(bench.machine.unfinished == 0)
    }

    @Test("a worker whose call does not come back is killed, and serves again when it is ready")
    func stuck() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        _ = bench.submit([0])
        _ = bench.tick(after: 200)
        #expect(bench.tick(after: 1_700).restarts.isEmpty)
        #expect(bench.tick(after: 200).restarts.map(\.hsm) == [0])
        #expect(bench.tick(after: 200).restarts.isEmpty, "it is killed once")
        #expect(bench.machine.phase(of: 0) == .starting)
        let (id, actions) = bench.submit([0])
        #expect(actions == PoolActions(), "it waits for the worker that is coming")
        let ready = bench.machine.ready(0, lanes: 2, now: bench.now)
        #expect(ready.dispatches.map(\.operation) == [id])
    }

    @Test("what was on a dead worker's lanes moves to the others")
    func death() throws {
        var bench = Bench(hsms: 2, lanes: 4)
        var placed: [OperationID: Int] = [:]
        for _ in 0..<6 {
            let (id, actions) = bench.submit([0, 1])
            placed[id] = try #require(actions.dispatches.first).lane.hsm
        }
        let moved = bench.machine.ended(0, returning: true, now: bench.now)
        #expect(moved.finishes.isEmpty)
        #expect(moved.dispatches.allSatisfy { $0.lane.hsm == 1 && placed[$0.operation] == 0 })
        #expect(moved.dispatches.count == 1, "HSM 1 has one lane left; the others wait")
        #expect(bench.machine.unfinished == 6)
        let back = bench.machine.ready(0, lanes: 4, now: bench.now)
        #expect(back.dispatches.count == 2)
    }

    @Test("an HSM with an overdue call, or three soft failures, is asked last")
    func suspects() throws {
        var bench = Bench(hsms: 2, lanes: 4)
        for _ in 0..<3 {
            let dispatch = try #require(bench.submit([0]).1.dispatches.first)
            _ = bench.answer(dispatch, .hsmSuspect)
        }
        #expect(bench.machine.isSuspect(0))
        for _ in 0..<4 { #expect(try #require(bench.submit([0, 1]).1.dispatches.first).lane.hsm == 1) }
        #expect(try #require(bench.submit([0, 1]).1.dispatches.first).lane.hsm == 0, "a suspect is better than none")
        _ = bench.machine.probed(0, passed: true, now: bench.now)
        #expect(!bench.machine.isSuspect(0))
    }

    @Test("over the limit the answer is 'overloaded' at once")
    func overload() {
        var limits = PoolLimits()
        limits.waiting = 2
        var bench = Bench(hsms: 1, lanes: 1, limits: limits)
        for _ in 0..<3 { #expect(bench.submit([0]).1.finishes.isEmpty) }
        #expect(bench.submit([0]).1.finishes.first?.outcome == .overloaded)
    }

    @Test("those that wait are served in their order")
    func order() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        var dispatch = try #require(bench.submit([0]).1.dispatches.first)
        let queue = (0..<5).map { _ in bench.submit([0]).0 }
        for expected in queue {
            dispatch = try #require(bench.answer(dispatch, .done).dispatches.first)
            #expect(dispatch.operation == expected)
        }
    }

    @Test("probes that keep failing get the HSM a new process")
    func probes() {
        var bench = Bench(hsms: 1, lanes: 1)
        var restarts: [Restart] = []
        for _ in 0..<6 { restarts += bench.machine.probed(0, passed: false, now: bench.now).restarts }
        #expect(restarts.map(\.hsm) == [0])
    }

    @Test("a lane of the caller's own group is preferred")
    func groups() throws {
        var bench = Bench(hsms: 1, lanes: 4)
        for group in [0, 1, 1, 0] {
            let (_, actions) = bench.machine.submit(
                .encrypt, holders: [0], deadline: bench.now + millisecond, group: group, now: bench.now)
            #expect(try #require(actions.dispatches.first).lane.lane % 2 == group)
        }
    }
}

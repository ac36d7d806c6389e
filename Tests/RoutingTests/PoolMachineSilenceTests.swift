// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

@Suite("Pool machine: silence, hedges and death")
struct PoolMachineSilenceTests {
    // MARK: Patience

    @Test("a silent HSM is left for another when its time is up, and its late answer is dropped")
    func patience() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let first = try bench.send([0, 1])
        #expect(bench.tick(after: 79).dispatches.isEmpty)
        let second = try #require(bench.tick(after: 2).dispatches.first)
        #expect(second.lane.hsm != first.lane.hsm)
        #expect(bench.machine.lanes(of: first.lane.hsm).overdue == 1)
        #expect(bench.machine.lanes(of: first.lane.hsm).overdue > 0)
        #expect(bench.answer(second, .done).finishes.map(\.operation) == [first.operation])
        #expect(bench.answer(first, .done) == PoolActions())
        #expect(bench.machine.lanes(of: first.lane.hsm) == (1, 0, 0))
    }

    @Test(
        "patience follows the HSM's own 99th percentile, within 15 and 80 ms, and is never below its usual time",
        arguments: [(UInt64(1), UInt64(15)), (10, 30), (60, 80), (100, 110)])
    func patienceFromAnswers(usual: UInt64, expected: UInt64) throws {
        var bench = Bench(hsms: 2, lanes: 2)
        try bench.teach(0, milliseconds: usual)
        // The other HSM is busy, so that there is no hedge.
        for _ in 0..<2 { _ = try bench.send([1], deadlineIn: 500) }
        let dispatch = try bench.send([0, 1])
        #expect(dispatch.lane.hsm == 0)
        _ = bench.tick(after: expected - 1)
        #expect(bench.machine.lanes(of: 0).overdue == 0)
        // The percentile is known to a quarter of an octave.
        _ = bench.tick(after: expected == 30 ? 9 : expected == 110 ? 25 : 1)
        #expect(bench.machine.lanes(of: 0).overdue > 0)
    }

    /// Of calls that all stand in one line each was sent to a second HSM, where it stood in the next line: a fifth of what
    /// HSMs did was for nothing, just when they had more to do than they could.
    @Test("a call is in a line, not silent, while those before it come back one by one and none after it has")
    func inLine() throws {
        var bench = Bench(hsms: 2, lanes: 8)
        try bench.teach(0, answers: 20, milliseconds: 10)
        var sent: [Dispatch] = []
        for _ in 0..<8 {
            sent.append(try bench.send([0], deadlineIn: 500))
            bench.now += millisecond
        }
        // One each 20 ms: the last one after 160, twice as long as an attempt may be silent.
        for call in sent.dropLast() {
            #expect(bench.tick(after: 20).dispatches.isEmpty)
            _ = bench.answer(call, .done)
        }
        #expect(bench.machine.lanes(of: 0).overdue == 0 && bench.machine.counters.retries == 0)
        // And then nothing comes back any more.
        _ = bench.tick(after: 100)
        #expect(bench.machine.lanes(of: 0).overdue == 1)
    }

    @Test("a call that others have overtaken is silent when its patience ends, however many come back")
    func overtaken() throws {
        var bench = Bench(hsms: 1, lanes: 8)
        try bench.teach(0, answers: 20, milliseconds: 10)
        let lost = try bench.send([0], deadlineIn: 500)
        for _ in 0..<8 {
            let other = try bench.send([0], deadlineIn: 500)
            _ = bench.tick(after: 10)
            _ = bench.answer(other, .done)
        }
        _ = bench.tick(after: 1)
        #expect(bench.machine.lanes(of: 0).overdue == 1, "\(lost)")
    }

    /// It was left after 80 ms for each of its first hundred answers.
    @Test("an HSM of which little is known is waited for twice as long as its calls take")
    func littleKnown() throws {
        var bench = Bench(hsms: 2, lanes: 2)
        try bench.teach(0, answers: 20, milliseconds: 100)
        _ = try bench.send([0], deadlineIn: 500)
        _ = bench.tick(after: 180)
        #expect(bench.machine.lanes(of: 0).overdue == 0)
        _ = bench.tick(after: 40)
        #expect(bench.machine.lanes(of: 0).overdue == 1)
    }

    /// With a tail of five per cent the condition came and went twenty times a second.
    @Test("an HSM is said to have silent calls until three seconds after the last of them")
    func silentCalls() throws {
        var bench = Bench(hsms: 1, lanes: 2)
        let call = try bench.send([0])
        _ = bench.tick(after: 80)
        #expect(bench.machine.silentCalls(of: 0, now: bench.now) == 0)
        _ = bench.tick(after: 20)
        #expect(bench.machine.silentCalls(of: 0, now: bench.now) == 1)
        _ = bench.answer(call, .done)
        _ = bench.tick(after: 2_950)
        #expect(bench.machine.silentCalls(of: 0, now: bench.now) == 1)
        _ = bench.tick(after: 100)
        #expect(bench.machine.silentCalls(of: 0, now: bench.now) == 0)
    }

    @Test("where there is no other HSM, a slow answer before the deadline still counts")
    func slowButAlone() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        let dispatch = try bench.send([0])
        #expect(bench.tick(after: 150) == PoolActions())
        #expect(bench.answer(dispatch, .done).finishes.first?.outcome == .done)
    }

    @Test("what a silent HSM holds is the first to get a lane elsewhere, also when the others are never idle")
    func crowdedElsewhere() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let silent = try bench.send([0, 1])
        let busy = try bench.send([0, 1])
        for _ in 0..<5 { _ = bench.submit([0, 1]) }
        #expect(bench.tick(after: 81).dispatches.isEmpty)
        let next = try #require(bench.answer(busy, .done).dispatches.first)
        #expect(next.operation == silent.operation)
        #expect(next.lane.hsm == busy.lane.hsm)
        #expect(bench.machine.lanes(of: silent.lane.hsm).overdue == 1)
        #expect(bench.answer(silent, .done).finishes.map(\.operation) == [silent.operation], "the first answer counts")
        #expect(bench.answer(next, .done).finishes.isEmpty)
    }

    @Test("an HSM that answers while its operation stands in line elsewhere has done it")
    func slowButFirst() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let slow = try bench.send([0, 1])
        let other = try bench.send([0, 1])
        _ = bench.tick(after: 81)
        #expect(bench.machine.inLine == 2)
        #expect(bench.answer(slow, .done).finishes.map(\.operation) == [slow.operation])
        #expect(bench.machine.inLine == 0, "the other has got the lane that came free")
        #expect(bench.answer(other, .done).dispatches.isEmpty, "nothing is left in the line")
    }

    @Test("an attempt that the budget has paid for is not paid again when the silent HSM fails after all")
    func paidOnce() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let silent = try bench.send([0, 1])
        bench.now += 60 * millisecond
        let busy = try bench.send([silent.lane.hsm == 0 ? 1 : 0])
        _ = bench.tick(after: 21)
        #expect(bench.machine.counters.retries == 1)
        let failed = bench.answer(silent, .sessionLost)
        #expect(failed.finishes.isEmpty)
        #expect(bench.machine.counters.retries == 1)
        let next = bench.answer(busy, .done)
        #expect(next.dispatches.map(\.operation) == [silent.operation])
    }

    /// Where that was the last word the request stayed with the silent HSM to its deadline.
    @Test("what the budget does not allow when patience ends is tried again as soon as there is a token")
    func laterToken() throws {
        var bench = Bench(hsms: 3, lanes: 2)
        let silent = try bench.send([0, 1])
        bench.now += 79 * millisecond
        // Others use up the budget.
        while bench.machine.counters.refusedByBudget == 0 {
            var actions = bench.submit([2]).1
            while let dispatch = actions.dispatches.first { actions = bench.answer(dispatch, .tryElsewhere) }
        }
        #expect(bench.tick(after: 2).dispatches.isEmpty)
        #expect(bench.machine.counters.refusedByBudget == 2)
        var next: Dispatch?
        for _ in 0..<10 where next == nil { next = bench.tick(after: 10).dispatches.first }
        #expect(next?.operation == silent.operation && next?.lane.hsm != silent.lane.hsm)
    }

    @Test("one that failed is asked again when the only other one is silent with every lane")
    func failedBeforeSilent() throws {
        var bench = Bench(hsms: 2, lanes: 2)
        for _ in 0..<2 { _ = try bench.send([1], deadlineIn: 1_000) }
        _ = bench.tick(after: 81)
        #expect(bench.machine.lanes(of: 1) == (2, 2, 2))
        let first = try bench.send([0, 1])
        let again = try #require(bench.answer(first, .tryElsewhere).dispatches.first)
        #expect(again.lane.hsm == 0)
    }

    @Test("an operation on a silent HSM goes back to one that failed at it when there is no other")
    func failedThenSilent() throws {
        var bench = Bench(hsms: 2, lanes: 2)
        let first = try bench.send([0, 1])
        let second = try #require(bench.answer(first, .tryElsewhere).dispatches.first)
        #expect(second.lane.hsm != first.lane.hsm)
        let third = try #require(bench.tick(after: 81).dispatches.first)
        #expect(third.lane.hsm == first.lane.hsm)
        #expect(bench.answer(third, .done).finishes.first?.attempts == 3)
    }

    /// An operation on a silent HSM, which goes out meanwhile, in the line for a lane of the other one.
    private func silentAndOut() throws -> (Bench, Dispatch) {
        var bench = Bench(hsms: 2, lanes: 2)
        let silent = try bench.send([0, 1])
        let other = 1 - silent.lane.hsm
        bench.now += 60 * millisecond
        for _ in 0..<2 { _ = try bench.send([other]) }
        _ = bench.tick(after: 21)
        #expect(bench.machine.inLine == 1)
        for _ in 0..<3 { _ = bench.machine.probed(silent.lane.hsm, passed: false, now: bench.now) }
        #expect(bench.machine.phase(of: silent.lane.hsm) == .probing)
        return (bench, silent)
    }

    @Test("an answer that brings its HSM back does not send its own operation there again")
    func answerBringsBack() throws {
        var (bench, silent) = try silentAndOut()
        let end = bench.answer(silent, .done)
        #expect(bench.machine.phase(of: silent.lane.hsm) == .serving)
        #expect(end.finishes.map(\.operation) == [silent.operation])
        #expect(end.dispatches.isEmpty)
    }

    @Test("an operation is never on one HSM twice, also when that comes back")
    func notTwice() throws {
        var (bench, silent) = try silentAndOut()
        #expect(bench.machine.probed(silent.lane.hsm, passed: true, now: bench.now).dispatches.isEmpty)
        #expect(bench.machine.lanes(of: silent.lane.hsm) == (2, 1, 1))
    }

    // MARK: Hedges

    @Test("a call slower than 19 of 20 is done by another HSM as well, and the first answer counts")
    func hedge() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        try bench.teach(0, milliseconds: 6)
        try bench.teach(1, milliseconds: 6)
        let first = try bench.send([0, 1])
        #expect(bench.tick(after: 5).isEmpty)
        let second = try #require(bench.tick(after: 3).dispatches.first)
        #expect(second.lane.hsm != first.lane.hsm)
        #expect(bench.machine.lanes(of: first.lane.hsm).overdue == 0, "slow, but not silent")
        #expect(bench.machine.counters.hedges == 1 && bench.machine.counters.retries == 0)
        let end = bench.answer(second, .done)
        #expect((end.finishes.first?.outcome, end.finishes.first?.hsm) == (.done, second.lane.hsm))
        #expect(bench.machine.counters.hedgesWon == 1)
        #expect(bench.machine.lanes(of: first.lane.hsm).busy == 1, "the loser goes on")
        #expect(bench.answer(first, .done) == PoolActions(), "nobody waits for it")
        #expect(bench.machine.lanes(of: first.lane.hsm).busy == 0)
    }

    @Test("when the first wins after all, the hedge's lane comes back by itself")
    func hedgeLoses() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        try bench.teach(0, milliseconds: 6)
        try bench.teach(1, milliseconds: 6)
        let first = try bench.send([0, 1])
        let second = try #require(bench.tick(after: 8).dispatches.first)
        #expect(bench.answer(first, .done).finishes.first?.hsm == first.lane.hsm)
        #expect(bench.machine.counters.hedgesWon == 0)
        #expect(bench.answer(second, .hsmSuspect).isEmpty)
        #expect(bench.machine.lanes(of: second.lane.hsm) == (1, 0, 0))
    }

    @Test("there is no hedge before enough is known, nor within 3 ms, nor on a suspect, nor twice")
    func noHedge() throws {
        var unknown = Bench(hsms: 2, lanes: 1)
        _ = try unknown.send([0, 1])
        #expect(unknown.tick(after: 70).isEmpty)

        var bench = Bench(hsms: 3, lanes: 2)
        for hsm in 0..<3 { try bench.teach(hsm, milliseconds: 1) }
        _ = try bench.send([0, 1, 2])
        #expect(bench.tick(after: 2).isEmpty)
        #expect(bench.tick(after: 2).dispatches.count == 1)
        #expect(bench.tick(after: 4).isEmpty, "one hedge is enough")

        var suspect = Bench(hsms: 2, lanes: 2)
        for hsm in 0..<2 { try suspect.teach(hsm, milliseconds: 2) }
        for _ in 0..<2 { _ = try suspect.send([1], deadlineIn: 1_000) }
        _ = suspect.tick(after: 81)
        #expect(suspect.machine.lanes(of: 1).overdue == 2)
        _ = suspect.machine.allow(1, lanes: 3, now: suspect.now)
        for _ in 0..<2 { #expect(try suspect.send([0, 1]).lane.hsm == 0) }
        #expect(suspect.tick(after: 10).isEmpty)
    }

    @Test("an HSM with one overdue call is healthy: a hedge goes there, and a refused one is tried again")
    func hedgeIsTriedAgain() throws {
        var bench = Bench(hsms: 2, lanes: 2)
        _ = try bench.send([1], deadlineIn: 5_000)
        _ = bench.tick(after: 81)
        for hsm in 0..<2 { try bench.teach(hsm, answers: 110, milliseconds: 6) }
        #expect(bench.machine.lanes(of: 1).overdue == 1)
        let other = try bench.send([1])
        for _ in 0..<2 { _ = try bench.send([0, 1]) }
        #expect(bench.tick(after: 10).dispatches.isEmpty, "no lane is free")
        _ = bench.answer(other, .done)
        #expect(bench.tick(after: 5).dispatches.map(\.lane.hsm) == [1])
    }

    @Test("one HSM alone is asked on another of its lanes")
    func hedgeAlone() throws {
        var bench = Bench(hsms: 1, lanes: 2)
        try bench.teach(0, milliseconds: 6)
        let slow = try bench.send([0])
        let again = try #require(bench.tick(after: 8).dispatches.first)
        #expect(again.operation == slow.operation && again.lane != slow.lane)
        #expect(bench.answer(again, .done).finishes.map(\.outcome) == [.done])
        #expect(bench.answer(slow, .done).isEmpty)
    }

    // MARK: Pauses

    @Test("while the node stands still, nobody is silent", arguments: [UInt64(2_500), 10_000, 60_000])
    func pause(milliseconds: UInt64) throws {
        var bench = Bench(hsms: 2, lanes: 2)
        for hsm in 0..<2 { try bench.teach(hsm, milliseconds: 2) }
        let calls = try (0..<4).map { _ in try bench.send([0, 1]) }
        bench.now += milliseconds * millisecond
        let after = bench.machine.tick(now: bench.now)
        #expect(after.restarts.isEmpty && after.dispatches.isEmpty)
        #expect(
            after.finishes.map(\.outcome) == Array(repeating: .timedOut(.answer), count: 4),
            "they are over by their deadline")
        #expect(bench.machine.lanes(of: 0).overdue == 0)
        #expect(bench.machine.stoodStill == milliseconds * millisecond)
        for call in calls { _ = bench.answer(call, .done) }
        #expect((bench.machine.latency(of: 0)?.p99 ?? .max) < 4_000)
        #expect(bench.submit([0, 1]).1.dispatches.count == 1)
    }

    // MARK: Stuck and dead workers

    @Test("a worker whose call does not come back is killed, and serves again when it is ready")
    func stuck() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        _ = try bench.send([0])
        _ = bench.tick(after: 200)
        #expect(bench.tick(after: 1_700).restarts.isEmpty)
        #expect(bench.tick(after: 200).restarts.map(\.hsm) == [0])
        #expect(bench.tick(after: 200).restarts.isEmpty, "it is killed once")
        #expect(bench.machine.phase(of: 0) == .starting)
        let (id, actions) = bench.submit([0])
        #expect(actions == PoolActions(), "it waits for the worker that is coming")
        let back = bench.start(0, lanes: 2)
        #expect(back.flatMap(\.dispatches).map(\.operation) == [id])
    }

    @Test("what was on a dead worker's lanes moves to the others")
    func death() throws {
        var bench = Bench(hsms: 2, lanes: 4)
        var assigned: [OperationID: Int] = [:]
        for _ in 0..<6 {
            let dispatch = try bench.send([0, 1])
            assigned[dispatch.operation] = dispatch.lane.hsm
        }
        let onDead = assigned.values.count { $0 == 0 }
        let free = 4 - (6 - onDead)
        let moved = bench.machine.ended(0, returning: true, now: bench.now)
        #expect(moved.finishes.isEmpty)
        #expect(moved.dispatches.allSatisfy { $0.lane.hsm == 1 && assigned[$0.operation] == 0 })
        #expect(moved.dispatches.count == min(free, onDead))
        #expect(bench.machine.unfinished == 6)
        let back = bench.start(0, lanes: 4).flatMap(\.dispatches)
        #expect(back.count == onDead - min(free, onDead), "the others waited for a lane")
    }

    @Test("answers of an earlier worker's lanes are dropped")
    func staleAnswers() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        let old = try bench.send([0])
        _ = bench.machine.ended(0, returning: true, now: bench.now)
        #expect(bench.answer(old, .done) == PoolActions())
        let new = try #require(bench.start(0, lanes: 1).flatMap(\.dispatches).first)
        #expect(bench.answer(old, .hsmOut) == PoolActions())
        #expect(bench.answer(new, .done).finishes.map(\.operation) == [old.operation])
    }
}

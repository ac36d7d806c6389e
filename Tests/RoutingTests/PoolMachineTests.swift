// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

@Suite("Pool machine: one operation")
struct PoolMachineTests {
    @Test("an answer ends the operation and frees the lane")
    func done() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        let (id, actions) = bench.submit([0])
        let dispatch = try #require(actions.dispatches.first)
        #expect(bench.machine.kind(on: dispatch.lane, generation: dispatch.generation) == .encrypt)
        #expect(bench.machine.lanes(of: 0) == (1, 1, 0))
        let end = bench.answer(dispatch, .done)
        let finish = try #require(end.finishes.first)
        #expect((finish.operation, finish.outcome) == (id, .done))
        #expect((finish.hsm, finish.attempts) == (0, 1))
        #expect(bench.machine.lanes(of: 0) == (1, 0, 0))
        #expect(bench.machine.unfinished == 0 && !bench.machine.needsTicks)
        #expect(bench.answer(dispatch, .done) == PoolActions(), "the same answer again says nothing")
    }

    @Test("equals take turns")
    func turns() throws {
        var bench = Bench(hsms: 3, lanes: 4)
        var used = HSMSet()
        for _ in 0..<12 { used.insert(try bench.send([0, 1, 2]).lane.hsm) }
        #expect(used.count == 3)
    }

    @Test("only an HSM that holds the key is asked")
    func holders() throws {
        var bench = Bench(hsms: 3, lanes: 8)
        for _ in 0..<8 { #expect(try bench.send([1]).lane.hsm == 1) }
    }

    @Test(
        "an HSM that fails costs the caller nothing while another is there",
        arguments: [
            Disposition.tryElsewhere, .sessionLost, .hsmSuspect, .hsmOut, .keyMissing,
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
        #expect(bench.machine.counters.retries == 1)
    }

    /// With 16631be an HSM was out for "a fault that only a new process or a person can mend": which call, and how, stood
    /// nowhere.
    @Test("function and code are in the reason that comes of an HSM's answer")
    func reasons() throws {
        let header = LaneAnswerHeader(
            status: .refused, function: PKCS11Function.encrypt.rawValue, generation: 0,
            code: UInt64(ReturnCode.deviceError.rawValue))
        let refusal = try #require(HSMRefusal(header))
        #expect("\(refusal)" == "C_Encrypt: CKR_DEVICE_ERROR")
        var bench = Bench(hsms: 1, lanes: 1)
        let (_, actions) = bench.submit([0], kind: .encrypt)
        let dispatch = try #require(actions.dispatches.first)
        let answer = bench.machine.answered(
            dispatch.lane, generation: dispatch.generation, disposition: .hsmOut, refusal: refusal, now: bench.now)
        let reason = "it reported a fault that only a new process or a person can mend (C_Encrypt: CKR_DEVICE_ERROR)"
        #expect(answer.restarts.map(\.reason) == [reason])
        #expect(HSMRefusal(LaneAnswerHeader(status: .expired, generation: 0)) == nil)
    }

    @Test("a clear word on the request is final")
    func callersFault() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let dispatch = try bench.send([0, 1])
        let end = bench.answer(dispatch, .callersFault(.usageNotPermitted))
        #expect(end.finishes.map(\.outcome) == [.callersFault(.usageNotPermitted)])
        #expect(end.dispatches.isEmpty)
    }

    /// Without the second round over the HSMs there were three attempts, and where every HSM fails each 7th call some met it
    /// three times.
    @Test("attempts are bounded, also on a single HSM")
    func attempts() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        var dispatch = bench.submit([0]).1.dispatches.first
        var count = 0
        var end = PoolActions()
        while let current = dispatch {
            count += 1
            end = bench.answer(current, .tryElsewhere)
            dispatch = end.dispatches.first
        }
        #expect(count == 6)
        #expect(try #require(end.finishes.first).outcome.isUnavailable)
    }

    @Test("nobody left to ask is said at once")
    func nobody() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        _ = bench.machine.ended(0, returning: false, now: bench.now)
        #expect(try #require(bench.submit([0]).1.finishes.first).outcome.isUnavailable)
        #expect(try #require(bench.submit([]).1.finishes.first).outcome.isUnavailable)
        #expect(try #require(bench.submit([7, 63]).1.finishes.first).outcome.isUnavailable, "no such HSMs")
    }

    @Test("the deadline ends an operation, on a lane or in the line")
    func deadline() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        let (running, _) = bench.submit([0])
        let (waiting, queued) = bench.submit([0])
        #expect(queued.dispatches.isEmpty && queued.finishes.isEmpty)
        #expect(bench.machine.inLine == 1)
        let end = bench.tick(after: 200)
        #expect(Set(end.finishes.map(\.operation)) == [running, waiting])
        #expect(end.finishes.first { $0.operation == running }?.outcome == .timedOut(.answer))
        #expect(end.finishes.first { $0.operation == waiting }?.outcome == .timedOut(.lane))
        #expect(bench.machine.unfinished == 0 && bench.machine.inLine == 0)
        #expect(bench.submit([0], deadlineIn: 0).1.finishes.map(\.outcome) == [.timedOut(.time)])
    }

    @Test("over the limit the answer is 'overloaded' at once")
    func overload() {
        var bench = Bench(hsms: 1, lanes: 1, limits: PoolLimits(waiting: 2))
        for _ in 0..<3 { #expect(bench.submit([0]).1.finishes.isEmpty) }
        #expect(bench.submit([0]).1.finishes.first?.outcome == .overloaded)
    }

    @Test("those that wait are served in their order")
    func order() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        var dispatch = try bench.send([0])
        let queue = (0..<5).map { _ in bench.submit([0]).0 }
        for expected in queue {
            dispatch = try #require(bench.answer(dispatch, .done).dispatches.first)
            #expect(dispatch.operation == expected)
        }
    }

    @Test("a lane of the caller's own group is preferred")
    func groups() throws {
        var bench = Bench(hsms: 1, lanes: 4)
        for group in [0, 1, 1, 0] {
            let dispatch = try #require(bench.submit([0], group: group).1.dispatches.first)
            #expect(dispatch.lane.lane % 2 == group)
        }
    }

    @Test("retries end when the budget does")
    func budget() throws {
        var bench = Bench(hsms: 2, lanes: 2)
        var refused = 0
        for _ in 0..<400 {
            var actions = bench.submit([0, 1]).1
            while let dispatch = actions.dispatches.first { actions = bench.answer(dispatch, .tryElsewhere) }
            #expect(try #require(actions.finishes.first).outcome.isUnavailable)
            if actions.finishes.first?.attempts == 1 { refused += 1 }
        }
        let counters = bench.machine.counters
        #expect(counters.operations == 400)
        #expect(counters.retries <= 200 + 80 && counters.retries >= 278, "\(counters)")
        #expect(counters.refusedByBudget >= refused && refused > 200)
    }
}

@Suite("Pool machine: who holds the key")
struct PoolMachineHolderTests {
    @Test("the key is gone only when every HSM that may hold it says so")
    func keyGone() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let second = try #require(bench.answer(try bench.send([0, 1]), .keyMissing).dispatches.first)
        #expect(bench.answer(second, .keyMissing).finishes.first?.outcome == .callersFault(.keyIsGone))

        var sick = Bench(hsms: 2, lanes: 1)
        var actions = sick.answer(try sick.send([0, 1]), .keyMissing)
        while let next = actions.dispatches.first { actions = sick.answer(next, .hsmSuspect) }
        #expect(try #require(actions.finishes.first).outcome.isUnavailable)
    }

    @Test("an HSM that is out for a moment may still hold the key; one that is down does not keep it")
    func keyGoneWhileOut() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        _ = try bench.failSoftly(1)
        #expect(bench.machine.phase(of: 1) == .probing)
        // The other is asked as a last resort, and fails.
        var actions = bench.answer(try bench.send([0, 1]), .keyMissing)
        var asked: [Int] = []
        while let next = actions.dispatches.first {
            asked.append(next.lane.hsm)
            actions = bench.answer(next, .hsmSuspect)
        }
        #expect(asked == [1, 1, 1, 1, 1])
        #expect(try #require(actions.finishes.first).outcome.isUnavailable)

        _ = bench.machine.ended(1, returning: false, now: bench.now)
        let end = bench.answer(try bench.send([0, 1]), .keyMissing)
        #expect(end.finishes.first?.outcome == .callersFault(.keyIsGone))
    }

    @Test("an HSM that proves the key gets the operation that waits for it")
    func joined() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let (id, actions) = bench.machine.submit(
            .encrypt, holders: [], hopeful: [1], deadline: bench.now + 200 * millisecond, group: 0, now: bench.now)
        #expect(actions == PoolActions(), "it waits for the proof")
        let dispatch = try #require(bench.machine.joined(1, holdersOf: id, now: bench.now).dispatches.first)
        #expect((dispatch.operation, dispatch.lane.hsm) == (id, 1))
        #expect(bench.answer(dispatch, .done).finishes.first?.outcome == .done)
        #expect(bench.machine.joined(1, holdersOf: id, now: bench.now) == PoolActions(), "it is over")
    }

    @Test("an operation whose last hope turns out to lack the key ends")
    func left() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let (id, _) = bench.machine.submit(
            .encrypt, holders: [], hopeful: [0, 1], deadline: bench.now + 200 * millisecond, group: 0, now: bench.now)
        #expect(bench.machine.left(0, holdersOf: id, now: bench.now) == PoolActions())
        let end = bench.machine.left(1, holdersOf: id, now: bench.now)
        #expect(try #require(end.finishes.first).outcome.isUnavailable)
    }

    @Test("what an HSM that left is doing goes on, and it is not asked again")
    func leftWhileAtIt() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        let first = try bench.send([0, 1])
        let other = 1 - first.lane.hsm
        #expect(bench.machine.left(first.lane.hsm, holdersOf: first.operation, now: bench.now) == PoolActions())
        let second = try #require(bench.answer(first, .sessionLost).dispatches.first)
        #expect(second.lane.hsm == other)
        let third = try #require(bench.answer(second, .sessionLost).dispatches.first)
        #expect(third.lane.hsm == other, "the one that left is not asked")
    }
}

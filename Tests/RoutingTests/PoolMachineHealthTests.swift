// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

@Suite("Pool machine: in and out of service")
struct PoolMachineHealthTests {
    @Test("a worker that is ready serves only when a probe has passed")
    func first() throws {
        var bench = Bench([], lanes: 0)
        bench.machine = PoolMachine(
            [HSMTraits(stuckAfter: 2_000 * millisecond)], groups: 1, limits: PoolLimits(lastResort: 0), seed: 1)
        #expect(bench.machine.phase(of: 0) == .down)
        bench.machine.starting(0, now: bench.now)
        #expect(bench.machine.phase(of: 0) == .starting)
        #expect(bench.machine.ready(0, openLanes: 2, lanes: 2, now: bench.now) == PoolActions())
        #expect(bench.machine.phase(of: 0) == .probing)
        let (id, actions) = bench.submit([0])
        #expect(actions.isEmpty, "it waits for the probe")
        #expect(bench.machine.probed(0, passed: false, now: bench.now).isEmpty)
        #expect(bench.machine.phase(of: 0) == .probing)
        let served = bench.machine.probed(0, passed: true, now: bench.now)
        #expect(bench.machine.phase(of: 0) == .serving)
        #expect(served.dispatches.map(\.operation) == [id])
    }

    // An HSM that takes 600 ms for a call was as good as any until a request came.
    @Test(
        "an HSM whose probes are slower than a request may take is known for it, until an answer or a probe is in time")
    func slow() throws {
        var bench = Bench(hsms: 1, lanes: 2)
        func probe(_ milliseconds: UInt64) -> UInt64? {
            // An encryption and a decryption.
            _ = bench.machine.probed(0, passed: true, latency: 2 * milliseconds * millisecond, now: bench.now)
            return bench.machine.slowCall(of: 0).map { $0 / millisecond }
        }
        #expect(probe(199) == nil)
        #expect(probe(200) == 200 && bench.machine.phase(of: 0) == .serving)
        #expect(probe(180) == 180, "about as slow as before")
        #expect(probe(600) == 600)
        #expect(probe(159) == nil)
        #expect(probe(600) == 600)
        let dispatch = try bench.send([0])
        bench.now += 20 * millisecond
        _ = bench.answer(dispatch, .done)
        #expect(bench.machine.slowCall(of: 0) == nil)
        #expect(probe(600) == nil, "it may have waited for requests")
        bench.now += 3_000 * millisecond
        #expect(probe(600) == 600)
        _ = bench.machine.ended(0, returning: true, now: bench.now)
        #expect(bench.machine.slowCall(of: 0) == nil, "it does not serve")
    }

    @Test("three soft failures in a row take an HSM out, a probe is asked for at once, and brings it back")
    func soft() throws {
        var bench = Bench(hsms: 2, lanes: 4)
        var actions = PoolActions()
        for failure in 1...3 {
            #expect(bench.machine.phase(of: 0) == .serving)
            actions = bench.answer(try bench.send([0]), .hsmSuspect)
            if failure < 3, let again = actions.dispatches.first { actions = bench.answer(again, .tryElsewhere) }
            while let again = actions.dispatches.first, failure < 3 { actions = bench.answer(again, .tryElsewhere) }
        }
        #expect(bench.machine.phase(of: 0) == .probing)
        #expect(actions.probes == [0])
        #expect(actions.restarts.isEmpty)
        #expect(try bench.send([0, 1]).lane.hsm == 1)
        _ = bench.machine.probed(0, passed: true, now: bench.now)
        #expect(bench.machine.phase(of: 0) == .serving)
    }

    @Test(
        "a success in between starts the count anew", arguments: [Disposition.done, .callersFault(.usageNotPermitted)])
    func notInARow(success: Disposition) throws {
        var bench = Bench(hsms: 2, lanes: 4)
        for disposition in [.hsmSuspect, .hsmSuspect, success, .hsmSuspect, .hsmSuspect] {
            var actions = bench.answer(try bench.send([0]), disposition)
            while let again = actions.dispatches.first { actions = bench.answer(again, .sessionLost) }
        }
        #expect(bench.machine.phase(of: 0) == .serving)
    }

    @Test("busy, lost sessions, missing keys and doubts speak against no HSM")
    func noEvidence() throws {
        var bench = Bench(hsms: 1, lanes: 4)
        for disposition in [Disposition.tryElsewhere, .sessionLost, .keyMissing, .ambiguous] {
            for _ in 0..<10 {
                var actions = bench.submit([0]).1
                while let dispatch = actions.dispatches.first { actions = bench.answer(dispatch, disposition) }
                #expect(actions.restarts.isEmpty && actions.probes.isEmpty)
            }
        }
        #expect(bench.machine.phase(of: 0) == .serving)
    }

    @Test("while an HSM is out, it is probed again and again, at most four seconds apart")
    func probeAgain() throws {
        var bench = Bench(hsms: 1, lanes: 4)
        #expect(try bench.failSoftly(0) == [0])
        var times: [UInt64] = []
        let out = bench.now
        for _ in 0..<4_000 {
            if !bench.tick(after: 5).probes.isEmpty { times.append((bench.now - out) / millisecond) }
        }
        #expect(times == [250, 750, 1_750, 3_750, 7_750, 11_750, 15_750, 19_750])
        _ = bench.machine.probed(0, passed: true, now: bench.now)
        #expect(bench.tick(after: 5_000).probes.isEmpty, "nothing is asked for while it serves")
    }

    @Test("probes that keep failing get the HSM a new process")
    func probesFail() {
        var bench = Bench(hsms: 1, lanes: 1)
        var restarts: [Restart] = []
        for _ in 0..<5 { restarts += bench.machine.probed(0, passed: false, now: bench.now).restarts }
        #expect(bench.machine.phase(of: 0) == .probing)
        #expect(restarts.isEmpty)
        restarts += bench.machine.probed(0, passed: false, now: bench.now).restarts
        #expect(restarts.map(\.hsm) == [0])
        #expect(bench.machine.phase(of: 0) == .starting)
        #expect(bench.machine.probed(0, passed: true, now: bench.now).isEmpty, "a probe of the old worker")
        #expect(bench.machine.phase(of: 0) == .starting)
    }

    @Test("a hard failure asks for a new worker at once and moves what was on the lanes")
    func hard() throws {
        var bench = Bench(hsms: 2, lanes: 4)
        let first = try bench.send([0])
        let second = try #require(bench.submit([0, 1]).1.dispatches.first)
        let actions = bench.answer(first, .hsmOut)
        #expect(actions.restarts.map(\.hsm) == [0])
        #expect(bench.machine.phase(of: 0) == .starting)
        #expect(actions.dispatches.map(\.operation) == (second.lane.hsm == 0 ? [second.operation] : []))
        #expect(actions.finishes.isEmpty, "the first waits for the new worker")
        let back = bench.start(0, lanes: 4)
        #expect(back.flatMap(\.dispatches).map(\.operation) == [first.operation])
    }

    @Test("an HSM whose worker falls silent is restarted, once")
    func silence() {
        var bench = Bench(hsms: 1, lanes: 1)
        #expect(bench.machine.fellSilent(0, reason: "no probe", now: bench.now).restarts.map(\.reason) == ["no probe"])
        #expect(bench.machine.fellSilent(0, reason: "no probe", now: bench.now).isEmpty)
    }

    // MARK: Last resort

    @Test("when nobody serves, one that is out gets one request at a time, and a success brings it back")
    func lastResort() throws {
        var bench = Bench(hsms: 1, lanes: 4)
        _ = try bench.failSoftly(0)
        let honest = try bench.send([0])
        #expect(bench.machine.counters.lastResorts >= 1)
        let (waiting, queued) = bench.submit([0])
        #expect(queued.isEmpty, "only one at a time")
        #expect(bench.tick(after: 5).dispatches.isEmpty)
        let end = bench.answer(honest, .done)
        #expect(end.finishes.map(\.outcome) == [.done])
        #expect(bench.machine.phase(of: 0) == .serving)
        #expect(end.dispatches.map(\.operation) == [waiting])
    }

    @Test("the next one in the line is the next last resort")
    func lastResorts() throws {
        var bench = Bench(hsms: 1, lanes: 4)
        _ = try bench.failSoftly(0)
        let first = try bench.send([0])
        let (waiting, _) = bench.submit([0])
        var actions = bench.answer(first, .sessionLost)
        var attempts = 1
        while let again = actions.dispatches.first(where: { $0.operation == first.operation }) {
            attempts += 1
            actions = bench.answer(again, .sessionLost)
        }
        #expect(attempts == 6)
        #expect(try #require(actions.finishes.first).outcome.isUnavailable)
        #expect(bench.tick(after: 5).dispatches.map(\.operation) == [waiting])
    }

    @Test("of several that are out, one that has not failed at a request is tried before one that has")
    func lastResortElsewhere() throws {
        var bench = Bench(hsms: 2, lanes: 4)
        for hsm in 0..<2 { _ = try bench.failSoftly(hsm) }
        let first = try bench.send([0, 1])
        let second = try #require(bench.answer(first, .sessionLost).dispatches.first)
        #expect(second.lane.hsm != first.lane.hsm)
    }

    @Test("an HSM that is out gets nothing while another serves, however busy")
    func noLastResort() throws {
        var bench = Bench(hsms: 2, lanes: 1)
        _ = try bench.failSoftly(1)
        #expect(try bench.send([0, 1]).lane.hsm == 0)
        #expect(bench.submit([0, 1]).1.isEmpty)
        #expect(bench.tick(after: 5).dispatches.isEmpty)
    }

    // MARK: Drained

    @Test("a drained HSM gets nothing new, finishes what it has, and serves again when it is let")
    func drain() throws {
        var bench = Bench(hsms: 2, lanes: 2)
        let running = try bench.send([0])
        #expect(bench.machine.drain(0, true, now: bench.now).isEmpty)
        #expect(bench.machine.isDrained(0) && bench.machine.phase(of: 0) == .serving)
        for _ in 0..<2 { #expect(try bench.send([0, 1]).lane.hsm == 1) }
        #expect(bench.answer(running, .done).finishes.map(\.outcome) == [.done])
        let (waiting, _) = bench.submit([0, 1])
        #expect(bench.tick(after: 5).dispatches.isEmpty, "not even for one that waits")
        #expect(bench.machine.drain(0, false, now: bench.now).dispatches.map(\.operation) == [waiting])
    }

    @Test("when the last holder is drained, nobody waits for it")
    func drainLast() throws {
        var bench = Bench(hsms: 1, lanes: 1)
        _ = try bench.send([0])
        let (waiting, _) = bench.submit([0])
        let end = bench.machine.drain(0, true, now: bench.now)
        #expect(end.finishes.map(\.operation) == [waiting])
        #expect(try #require(end.finishes.first).outcome.isUnavailable)
        #expect(try #require(bench.submit([0]).1.finishes.first).outcome.isUnavailable)
    }
}

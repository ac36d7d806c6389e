// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

let millisecond: UInt64 = 1_000_000

/// A machine whose HSMs are up, and a hand to step it.
struct Bench {
    var machine: PoolMachine
    var now: UInt64 = 1_000 * millisecond

    /// HSMs that serve, each with `lanes` open lanes.
    init(_ traits: [HSMTraits], lanes: Int, limits: PoolLimits = PoolLimits(), seed: UInt64 = 1) {
        machine = PoolMachine(traits, groups: 2, limits: limits, seed: seed, now: now)
        for hsm in traits.indices { _ = start(hsm, lanes: lanes) }
    }

    init(hsms: Int, lanes: Int, limits: PoolLimits = PoolLimits(), seed: UInt64 = 1) {
        self.init(
            Array(repeating: HSMTraits(stuckAfter: 2_000 * millisecond), count: hsms), lanes: lanes, limits: limits,
            seed: seed)
    }

    /// A worker comes up, and its first probe passes. Returns what followed from both.
    mutating func start(_ hsm: Int, lanes: Int) -> [PoolActions] {
        [
            machine.ready(hsm, openLanes: lanes, lanes: lanes, now: now),
            machine.probed(hsm, passed: true, latency: millisecond, now: now),
        ]
    }

    mutating func submit(
        _ holders: HSMSet, kind: LaneOperation = .encrypt, deadlineIn: UInt64 = 200, group: Int = 0
    ) -> (OperationID, PoolActions) {
        machine.submit(kind, holders: holders, deadline: now + deadlineIn * millisecond, group: group, now: now)
    }

    /// Submits an operation that gets a lane at once.
    mutating func send(_ holders: HSMSet, deadlineIn: UInt64 = 200) throws -> Dispatch {
        try #require(submit(holders, deadlineIn: deadlineIn).1.dispatches.first)
    }

    mutating func answer(_ dispatch: Dispatch, _ disposition: Disposition) -> PoolActions {
        machine.answered(dispatch.lane, generation: dispatch.generation, disposition: disposition, now: now)
    }

    mutating func answer(_ order: LaneOrder, _ disposition: Disposition) -> PoolActions {
        machine.answered(order.lane, generation: order.generation, disposition: disposition, now: now)
    }

    /// Ticks until so many milliseconds have passed. Returns what followed from all of them.
    mutating func tick(after milliseconds: UInt64) -> PoolActions {
        let end = now + milliseconds * millisecond
        var all = PoolActions()
        repeat {
            now = min(now + 50 * millisecond, end)
            all.append(machine.tick(now: now))
        } while now < end
        return all
    }

    /// Has an HSM answer so many requests, each in so many milliseconds, so that its usual time is known.
    mutating func teach(_ hsm: Int, answers: Int = 200, milliseconds: UInt64 = 2) throws {
        for _ in 0..<answers {
            let dispatch = try send([hsm])
            now += milliseconds * millisecond
            _ = answer(dispatch, .done)
        }
    }

    /// Three soft failures in a row.
    mutating func failSoftly(_ hsm: Int) throws -> [Int] {
        var probes: [Int] = []
        for _ in 0..<3 {
            var actions = answer(try send([hsm]), .hsmSuspect)
            probes += actions.probes
            // The request is tried again on the same HSM, where there is no other.
            while let again = actions.dispatches.first {
                actions = answer(again, .tryElsewhere)
                probes += actions.probes
            }
            if !probes.isEmpty { break }
        }
        return probes
    }
}

extension PoolActions {
    fileprivate mutating func append(_ more: PoolActions) {
        dispatches += more.dispatches
        finishes += more.finishes
        restarts += more.restarts
        starts += more.starts
        laneOrders += more.laneOrders
        probes += more.probes
    }
}

extension OperationOutcome {
    var isUnavailable: Bool { if case .unavailable = self { true } else { false } }
}

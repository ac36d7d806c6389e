// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing

/// An HSM whose condition has changed.
typealias ConditionChange = (name: String, condition: HSMCondition, reason: String)

/// What the pool does after it has let go of its lock.
enum PoolEffect {
    case send(LaneConnection, KeyOperation, keyReference: UInt32, generation: UInt64, deadline: UInt64)
    case complete(@Sendable (OperationResult) -> Void, OperationResult)
    case restart(hsm: Int, reason: String)
    case readCatalogue(ControlConnection)
}

/// One HSM as the driver holds it: its worker, if there is one, and what is known of the token.
struct HSMEntry {
    let settings: PoolMember
    /// Counts the starts of the worker; what an earlier one still says is not listened to.
    var epoch: UInt64 = 0
    var worker: WorkerHandle?
    var identity: TokenIdentity?
    /// Lanes that the worker says it has, until its first catalogue makes it usable.
    var lanesAnnounced: Int?
    var backoff = RestartBackoff()
    /// Said by the worker before it ended.
    var failure: WorkerFailure?
    /// Why the worker was killed, or that it ended by itself.
    var outReason = "its worker is being started"
    var hasServed = false
    var condition = HSMCondition.starting
    var conditionSince: UInt64 = 0
    /// When the worker was started, or last said something.
    var lastHeard: UInt64 = 0

    init(settings: PoolMember) { self.settings = settings }
}

/// A worker that has been started, with the node's ends of its sockets.
struct WorkerHandle {
    var pid: Int32
    var control: ControlConnection
    var lanes: [LaneConnection]
}

/// An operation and whom to tell of its end.
struct PendingOperation {
    var operation: KeyOperation
    var completion: @Sendable (OperationResult) -> Void
}

/// Somebody who waits for the pool to come to a certain state.
struct PoolWaiter {
    var isFulfilled: @Sendable (borrowing PoolState) -> Bool
    var continuation: CheckedContinuation<Void, Never>
}

/// Everything behind the pool's lock: the decisions, and the things that they name.
struct PoolState {
    var machine: PoolMachine
    var hsms: [HSMEntry]
    var catalogue: KeyCatalogue
    var operations: [OperationID: PendingOperation] = [:]
    let startPatience: UInt64
    var isTicking = false
    var isStopping = false
    /// Starts of workers under way on threads of their own.
    var spawning = 0
    var waiters: [PoolWaiter] = []

    init(settings: PoolSettings, groups: Int) {
        machine = PoolMachine(
            stuckAfter: settings.members.map(\.stuckAfter), groups: groups, limits: settings.limits)
        hsms = settings.members.map(HSMEntry.init)
        startPatience = settings.startPatience
        catalogue = KeyCatalogue(hsmCount: settings.members.count)
    }

    var serving: HSMSet { HSMSet(hsms.indices.filter { machine.phase(of: $0) == .serving }) }

    /// Turns decisions into effects. `answer` is what came in with the event, if the event was an answer.
    mutating func effects(of actions: PoolActions, answer: LaneAnswer? = nil, now: UInt64) -> [PoolEffect] {
        var effects: [PoolEffect] = []
        var remaining = [actions]
        while let next = remaining.popLast() {
            for dispatch in next.dispatches {
                if let refused = send(dispatch, now: now, into: &effects) { remaining.append(refused) }
            }
            for finish in next.finishes {
                guard let pending = operations.removeValue(forKey: finish.operation) else { continue }
                effects.append(.complete(pending.completion, result(of: finish, answer: answer)))
            }
            for restart in next.restarts {
                hsms[restart.hsm].outReason = restart.reason
                effects.append(.restart(hsm: restart.hsm, reason: restart.reason))
            }
        }
        return effects
    }

    /// Puts a frame on its way; returns what follows when the HSM turns out not to hold the key any more.
    private mutating func send(
        _ dispatch: Dispatch, now: UInt64, into effects: inout [PoolEffect]
    ) -> PoolActions? {
        guard let pending = operations[dispatch.operation], let worker = hsms[dispatch.lane.hsm].worker,
            worker.lanes.indices.contains(dispatch.lane.lane)
        else { return machine.laneClosed(dispatch.lane, now: now) }
        guard let reference = catalogue.reference(of: pending.operation.label, hsm: dispatch.lane.hsm) else {
            return machine.answered(
                dispatch.lane, generation: dispatch.generation, disposition: .keyMissing, now: now)
        }
        effects.append(
            .send(
                worker.lanes[dispatch.lane.lane], pending.operation, keyReference: reference,
                generation: dispatch.generation, deadline: dispatch.deadline))
        return nil
    }

    private func result(of finish: Finish, answer: LaneAnswer?) -> OperationResult {
        OperationResult(
            outcome: finish.outcome,
            output: finish.outcome == .done ? answer?.output : nil,
            hsm: finish.hsm.flatMap { hsms.indices.contains($0) ? hsms[$0].settings.name : nil },
            attempts: finish.attempts,
            hsmMicroseconds: answer?.header.hsmMicroseconds ?? 0)
    }

    // MARK: Silence

    /// HSMs whose worker has said nothing for longer than it should, with the words for it.
    ///
    /// A worker that hangs while requests are on its lanes is found by its overdue lanes. This finds the others: one that
    /// hangs without work, whose probes stay away, and one that never comes up.
    func silent(now: UInt64) -> [(hsm: Int, reason: String)] {
        hsms.indices.compactMap { hsm in
            let entry = hsms[hsm]
            guard entry.worker != nil, now > entry.lastHeard else { return nil }
            let silence = now - entry.lastHeard
            let isServing = machine.phase(of: hsm) == .serving
            let patience =
                isServing
                ? 2 * UInt64(entry.settings.probeInterval) * 1_000_000 + entry.settings.stuckAfter : startPatience
            guard silence > patience else { return nil }
            let what = isServing ? "its probes have stayed away for" : "its worker has not come up for"
            return (hsm, "\(what) \(silence / 1_000_000) ms")
        }
    }

    // MARK: Conditions

    /// Brings every HSM's condition up to date. Returns those that changed.
    mutating func refreshConditions(now: UInt64) -> [ConditionChange] {
        var changes: [ConditionChange] = []
        for index in hsms.indices {
            let (condition, reason) = condition(of: index)
            guard condition != hsms[index].condition || hsms[index].conditionSince == 0 else { continue }
            hsms[index].condition = condition
            hsms[index].conditionSince = now
            changes.append((hsms[index].settings.name, condition, reason))
        }
        return changes
    }

    func condition(of hsm: Int) -> (HSMCondition, reason: String) {
        let entry = hsms[hsm]
        switch machine.phase(of: hsm) {
        case .serving where machine.isSuspect(hsm):
            let overdue = machine.lanes(of: hsm).overdue
            return (
                .degraded,
                overdue > 0 ? "\(overdue) of its calls have not returned in time" : "its last calls or probes failed"
            )
        case .serving: return (.active, "")
        case .starting where !entry.hasServed && entry.failure == nil: return (.starting, entry.outReason)
        case .starting, .down: return (.unavailable, entry.failure?.message ?? entry.outReason)
        }
    }

    mutating func takeFulfilledWaiters() -> [PoolWaiter] {
        guard !waiters.isEmpty else { return [] }
        let all = waiters
        let isOver = all.map { isStopping || $0.isFulfilled(self) }
        waiters = zip(all, isOver).filter { !$0.1 }.map(\.0)
        return zip(all, isOver).filter(\.1).map(\.0)
    }
}

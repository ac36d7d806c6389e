// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// Decides which HSM does what, and what an answer, a silence or a death means.
///
/// Events go in, `PoolActions` come out. No clock, no I/O, no lock: time is an argument (nanoseconds of any monotonic
/// clock), and the driver performs the actions after it has let go of its lock. An operation is on one lane, or waits
/// for one, or both: when its HSM has been silent for too long, it stands in line for another, and whichever comes first
/// counts. A lane is in exactly one state.
///
/// Failing over happens inside the request: an HSM that dies, refuses or stays silent costs the caller time, not an
/// error, as long as another HSM holds the key and the deadline allows it.
package struct PoolMachine: Sendable {
    private let limits: PoolLimits
    private var hsms: [HSMRecord]
    private var operations: [OperationID: OperationRecord] = [:]
    private var waiting = WaitingLine()
    private var lastNumber: UInt64 = 0
    private var lastGeneration: UInt64 = 0
    /// Where the search for the least loaded HSM begins, so that equals take turns.
    private var turn = 0

    /// - Parameters:
    ///   - stuckAfter: for each HSM (`HSMSet.capacity` at most), how long one of its lanes may be overdue before its
    ///     worker is killed, nanoseconds.
    ///   - groups: how many groups (event loops) the lanes are spread over; a lane's group is its number modulo this.
    ///     An operation is put on a lane of its own group where one is free.
    package init(stuckAfter: [UInt64], groups: Int, limits: PoolLimits) {
        self.limits = limits
        hsms = stuckAfter.prefix(HSMSet.capacity).map { HSMRecord(stuckAfter: $0, groups: max(groups, 1)) }
    }

    /// Operations that have not been finished.
    package var unfinished: Int { operations.count }

    /// True while a tick may have something to decide.
    package var needsTicks: Bool { !operations.isEmpty || hsms.contains { $0.overdue > 0 } }

    package func phase(of hsm: Int) -> HSMPhase { hsms.indices.contains(hsm) ? hsms[hsm].phase : .down }

    /// Lanes of an HSM: open, at work (overdue ones included), overdue.
    package func lanes(of hsm: Int) -> (open: Int, busy: Int, overdue: Int) {
        guard hsms.indices.contains(hsm) else { return (0, 0, 0) }
        return (hsms[hsm].open, hsms[hsm].busy, hsms[hsm].overdue)
    }

    /// True when the HSM serves, but is asked last: a lane is overdue, or it failed softly several times in a row.
    package func isSuspect(_ hsm: Int) -> Bool {
        hsms.indices.contains(hsm) && hsms[hsm].isSuspect(limits)
    }

    /// Lanes' answers are read by the kind of work they were given.
    package func kind(on lane: LaneID, generation: UInt64) -> LaneOperation? {
        guard case .busy(let work) = laneState(lane), work.generation == generation else { return nil }
        return operations[work.operation]?.kind
    }

    // MARK: Operations

    /// A new operation that any of `holders` may do before `deadline`.
    package mutating func submit(
        _ kind: LaneOperation, holders: HSMSet, deadline: UInt64, group: Int, now: UInt64
    ) -> (OperationID, PoolActions) {
        lastNumber &+= 1
        let id = OperationID(number: lastNumber)
        operations[id] = OperationRecord(kind: kind, holders: holders, deadline: deadline, group: group)
        var actions = PoolActions()
        if now >= deadline {
            finish(id, .timedOut, into: &actions)
        } else {
            place(id, now: now, atFront: false, into: &actions)
        }
        return (id, actions)
    }

    /// An answer came in on a lane.
    package mutating func answered(
        _ lane: LaneID, generation: UInt64, disposition: Disposition, now: UInt64
    ) -> PoolActions {
        var actions = PoolActions()
        guard let state = laneState(lane) else { return actions }
        switch state {
        case .busy(let work) where work.generation == generation:
            free(lane)
            judge(work.operation, on: lane.hsm, disposition: disposition, now: now, into: &actions)
        case .overdue(let late, _) where late == generation:
            // Nobody waits for it any more, but it proves that the call has come back.
            hsms[lane.hsm].overdue -= 1
            free(lane)
            if disposition == .hsmOut { putOut(lane.hsm, reason: Self.outReason, now: now, into: &actions) }
        default:
            return actions
        }
        serveWaiting(hsm: lane.hsm, now: now, into: &actions)
        return actions
    }

    /// Time has passed: ends what is too late, moves what has waited long enough for a silent HSM, and has workers
    /// killed whose lanes do not come back. Call it every few milliseconds while `needsTicks`.
    package mutating func tick(now: UInt64) -> PoolActions {
        var actions = PoolActions()
        for hsm in hsms.indices where hsms[hsm].busy > 0 {
            for lane in hsms[hsm].lanes.indices {
                examine(LaneID(hsm: hsm, lane: lane), now: now, into: &actions)
            }
        }
        for id in waiting.ids {
            guard let operation = operations[id], operation.deadline <= now else { continue }
            finish(id, outcomeAtDeadline(operation), into: &actions)
        }
        return actions
    }

    // MARK: HSMs

    /// A worker is being started.
    package mutating func starting(_ hsm: Int) {
        guard hsms.indices.contains(hsm) else { return }
        hsms[hsm].phase = .starting
    }

    /// A worker is ready, and these of its lanes are open.
    package mutating func ready(_ hsm: Int, lanes: Int, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard hsms.indices.contains(hsm) else { return actions }
        dropLanes(of: hsm, now: now, into: &actions)
        hsms[hsm].open(lanes)
        hsms[hsm].phase = .serving
        hsms[hsm].softFailures = 0
        // It is a new process: what the one before it did is no reason to avoid it.
        for id in waiting.ids { operations[id]?.avoid.remove(hsm) }
        serveWaiting(hsm: hsm, now: now, into: &actions)
        return actions
    }

    /// One lane's socket has closed while its worker lives on.
    package mutating func laneClosed(_ lane: LaneID, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard let state = laneState(lane) else { return actions }
        close(lane, state: state)
        if case .busy(let work) = state {
            retry(work.operation, avoiding: lane.hsm, failure: "the worker closed the lane", now: now, into: &actions)
        }
        return actions
    }

    /// The worker has ended. `returning`: another one will be started; otherwise a person has to mend something first.
    package mutating func ended(_ hsm: Int, returning: Bool, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard hsms.indices.contains(hsm) else { return actions }
        hsms[hsm].phase = returning ? .starting : .down
        dropLanes(of: hsm, now: now, into: &actions)
        if !returning { abandonHopeless(now: now, into: &actions) }
        return actions
    }

    /// The worker could not be brought up, or is paused before its next start: do not wait for it.
    package mutating func down(_ hsm: Int, now: UInt64) -> PoolActions {
        ended(hsm, returning: false, now: now)
    }

    /// Outcome of a known-answer probe. A passed one clears the HSM's name; failed ones count as soft failures.
    package mutating func probed(_ hsm: Int, passed: Bool, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard hsms.indices.contains(hsm), hsms[hsm].phase == .serving else { return actions }
        hsms[hsm].softFailures = passed ? 0 : hsms[hsm].softFailures + 1
        // Twice the limit without one success: a new process is the only medicine left to try.
        if hsms[hsm].softFailures >= 2 * limits.softFailures {
            putOut(hsm, reason: "its probes keep failing", now: now, into: &actions)
        }
        return actions
    }

    /// The worker serves, but has not been heard of for longer than its probes allow.
    package mutating func fellSilent(_ hsm: Int, reason: String, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard hsms.indices.contains(hsm) else { return actions }
        putOut(hsm, reason: reason, now: now, into: &actions)
        return actions
    }

    private static let outReason = "it reported a fault that only a new process or a person can mend"
}

// MARK: - What an answer or a silence means

extension PoolMachine {
    private mutating func judge(
        _ id: OperationID, on hsm: Int, disposition: Disposition, now: UInt64, into actions: inout PoolActions
    ) {
        switch disposition {
        case .done:
            hsms[hsm].softFailures = 0
            finish(id, .done, hsm: hsm, into: &actions)
        case .callersFault(let fault):
            finish(id, .callersFault(fault), hsm: hsm, into: &actions)
        case .tryElsewhere:
            retry(id, avoiding: hsm, failure: "it is busy or lacks the key", now: now, into: &actions)
        case .keyMissing:
            operations[id]?.missing.insert(hsm)
            retry(id, avoiding: hsm, failure: "it no longer has the key", now: now, into: &actions)
        case .sessionLost:
            retry(id, avoiding: hsm, failure: "its session was lost", now: now, into: &actions)
        case .hsmSuspect:
            hsms[hsm].softFailures += 1
            retry(id, avoiding: hsm, failure: "the call failed", now: now, into: &actions)
        case .hsmOut:
            retry(id, avoiding: hsm, failure: Self.outReason, now: now, into: &actions)
            putOut(hsm, reason: Self.outReason, now: now, into: &actions)
        case .ambiguous:
            doubt(id, on: hsm, now: now, into: &actions)
        }
    }

    /// One HSM says something that may mean a bad ciphertext. Two different HSMs saying so decide it; a single one
    /// never does. It is no evidence against the HSM: a flood of bad ciphertext must not take it out.
    private mutating func doubt(
        _ id: OperationID, on hsm: Int, now: UInt64, into actions: inout PoolActions
    ) {
        guard var operation = operations[id] else { return }
        operation.doubters.insert(hsm)
        operations[id] = operation
        if operation.doubters.count >= 2 {
            finish(id, .callersFault(.ciphertextIsInvalid), hsm: hsm, into: &actions)
        } else {
            retry(
                id, avoiding: hsm, failure: "its answer may mean a bad ciphertext or a sick HSM", now: now,
                into: &actions)
        }
    }

    private mutating func retry(
        _ id: OperationID, avoiding hsm: Int, failure: String, now: UInt64, into actions: inout PoolActions
    ) {
        guard var operation = operations[id] else { return }
        operation.avoid.insert(hsm)
        operation.lastFailure = (hsm, failure)
        operation.lane = nil
        if operation.isWaiting { waiting.remove(id) }
        operation.isWaiting = false
        operations[id] = operation
        if now >= operation.deadline {
            finish(id, .timedOut, hsm: hsm, into: &actions)
        } else if operation.attempts >= limits.attempts {
            giveUp(id, into: &actions)
        } else {
            place(id, now: now, atFront: true, into: &actions)
        }
    }

    /// One lane at a tick.
    private mutating func examine(_ lane: LaneID, now: UInt64, into actions: inout PoolActions) {
        switch laneState(lane) {
        case .busy(let work):
            guard let operation = operations[work.operation] else { return }
            if operation.deadline <= now {
                becomeOverdue(lane, work)
                finish(work.operation, .timedOut, hsm: lane.hsm, into: &actions)
            } else if work.patienceEnds <= now {
                moveOn(from: lane, work, now: now, into: &actions)
            }
        case .overdue(_, let since) where hsms[lane.hsm].phase == .serving:
            guard now >= since, now - since >= hsms[lane.hsm].stuckAfter else { return }
            let milliseconds = (now - since) / 1_000_000
            putOut(lane.hsm, reason: "a call has not returned for \(milliseconds) ms", now: now, into: &actions)
        default:
            return
        }
    }

    /// The HSM has been silent for as long as one attempt may last. Goes to another one, if one is free now; otherwise
    /// it stands in line for the next lane that becomes free elsewhere, before those that have only just come, and an
    /// answer of the silent one still counts until then.
    private mutating func moveOn(
        from lane: LaneID, _ work: LaneWork, now: UInt64, into actions: inout PoolActions
    ) {
        guard var operation = operations[work.operation], operation.attempts < limits.attempts, !operation.isWaiting
        else { return }
        operation.avoid.insert(lane.hsm)
        operation.lastFailure = (lane.hsm, "it did not answer in time")
        let others = operation.willing.subtracting(operation.avoid)
        if let next = choose(others, group: operation.group, includingSuspects: false) {
            operations[work.operation] = operation
            becomeOverdue(lane, work)
            dispatch(work.operation, to: next, now: now, into: &actions)
        } else if hasHope(others), waiting.count < limits.waiting {
            operation.isWaiting = true
            operations[work.operation] = operation
            waiting.add(work.operation, atFront: true)
        }
    }

    private mutating func becomeOverdue(_ lane: LaneID, _ work: LaneWork) {
        hsms[lane.hsm].lanes[lane.lane] = .overdue(generation: work.generation, since: work.sentAt)
        hsms[lane.hsm].overdue += 1
    }

    /// Takes an HSM out of service and asks for a new worker.
    private mutating func putOut(_ hsm: Int, reason: String, now: UInt64, into actions: inout PoolActions) {
        guard hsms[hsm].phase == .serving else { return }
        hsms[hsm].phase = .starting
        actions.restarts.append(Restart(hsm: hsm, reason: reason))
        dropLanes(of: hsm, now: now, into: &actions)
    }

    private func outcomeAtDeadline(_ operation: OperationRecord) -> OperationOutcome {
        guard operation.attempts == 0,
            !operation.willing.contains(where: { hsms.indices.contains($0) && hsms[$0].phase == .serving })
        else {
            return .timedOut
        }
        return .unavailable("no HSM that holds the key came up in time")
    }
}

// MARK: - Choosing

extension PoolMachine {
    /// Puts an operation on the best free lane, or in the line, or ends it when there is nothing to wait for.
    private mutating func place(
        _ id: OperationID, now: UInt64, atFront: Bool, into actions: inout PoolActions
    ) {
        guard let operation = operations[id] else { return }
        // Those that cannot help are not asked again; those that failed only when no fresh one is left.
        let willing = operation.willing
        let fresh = willing.subtracting(operation.avoid)
        if let lane = choose(fresh, group: operation.group, includingSuspects: true) {
            dispatch(id, to: lane, now: now, into: &actions)
        } else if !hasHope(fresh), let lane = choose(willing, group: operation.group, includingSuspects: true) {
            dispatch(id, to: lane, now: now, into: &actions)
        } else if !hasHope(willing) {
            giveUp(id, into: &actions)
        } else if waiting.count >= limits.waiting {
            finish(id, .overloaded, into: &actions)
        } else {
            operations[id]?.isWaiting = true
            waiting.add(id, atFront: atFront)
        }
    }

    /// True when one of them serves, or is about to.
    private func hasHope(_ set: HSMSet) -> Bool {
        set.contains { hsms.indices.contains($0) && hsms[$0].phase != .down }
    }

    /// The free lane to use: an HSM that is not suspect before one that is, then the one with the fewest calls in
    /// flight, then the one whose turn it is; on it a lane of the caller's own group before another's.
    private mutating func choose(_ candidates: HSMSet, group: Int, includingSuspects: Bool) -> LaneID? {
        var best: (hsm: Int, suspect: Bool, busy: Int)?
        turn = turn &+ 1 < hsms.count ? turn &+ 1 : 0
        for step in hsms.indices {
            let hsm = (turn + step) % hsms.count
            guard candidates.contains(hsm), hsms[hsm].phase == .serving, hsms[hsm].hasFreeLane else { continue }
            let suspect = hsms[hsm].isSuspect(limits)
            if suspect, !includingSuspects { continue }
            if let current = best, (current.suspect ? 1 : 0, current.busy) <= (suspect ? 1 : 0, hsms[hsm].busy) {
                continue
            }
            best = (hsm, suspect, hsms[hsm].busy)
        }
        guard let best, let lane = hsms[best.hsm].takeFreeLane(group: group) else { return nil }
        return LaneID(hsm: best.hsm, lane: lane)
    }

    private mutating func dispatch(
        _ id: OperationID, to lane: LaneID, now: UInt64, into actions: inout PoolActions
    ) {
        guard var operation = operations[id] else { return }
        lastGeneration &+= 1
        operation.attempts += 1
        operation.isWaiting = false
        operation.lane = lane
        operations[id] = operation
        hsms[lane.hsm].lanes[lane.lane] = .busy(
            LaneWork(
                operation: id, generation: lastGeneration, sentAt: now,
                patienceEnds: min(operation.deadline, now &+ limits.attempt)))
        hsms[lane.hsm].busy += 1
        actions.dispatches.append(
            Dispatch(operation: id, lane: lane, generation: lastGeneration, deadline: operation.deadline))
    }

    /// A lane of `hsm` may have become free: gives it to the first in the line that can use it.
    private mutating func serveWaiting(hsm: Int, now: UInt64, into actions: inout PoolActions) {
        guard !waiting.isEmpty else { return }
        while hsms[hsm].phase == .serving, hsms[hsm].hasFreeLane {
            let ready = waiting.first { id in
                guard let operation = operations[id], operation.deadline > now else { return false }
                let willing = operation.willing
                guard willing.contains(hsm) else { return false }
                return !operation.avoid.contains(hsm) || !hasHope(willing.subtracting(operation.avoid))
            }
            guard let ready, let group = operations[ready]?.group,
                let lane = hsms[hsm].takeFreeLane(group: group)
            else { return }
            waiting.remove(ready)
            // It may still be on the lane of an HSM that keeps silent: nobody waits for that one any more.
            if let old = operations[ready]?.lane, case .busy(let work) = laneState(old) { becomeOverdue(old, work) }
            dispatch(ready, to: LaneID(hsm: hsm, lane: lane), now: now, into: &actions)
        }
    }

    /// Ends what waits for HSMs none of which will come back by itself.
    private mutating func abandonHopeless(now: UInt64, into actions: inout PoolActions) {
        for id in waiting.ids {
            guard let operation = operations[id] else { continue }
            if !hasHope(operation.willing) { giveUp(id, into: &actions) }
        }
    }

    /// No HSM is left to ask. "The key is gone" is said only when every HSM that could be asked has said so.
    private mutating func giveUp(_ id: OperationID, into actions: inout PoolActions) {
        guard let operation = operations[id] else { return }
        let silent = operation.holders.subtracting(operation.missing)
        let failure = operation.lastFailure
        if !operation.missing.isEmpty,
            !silent.contains(where: { hsms.indices.contains($0) && hsms[$0].phase == .serving })
        {
            finish(id, .callersFault(.keyIsGone), hsm: failure?.hsm, into: &actions)
        } else {
            finish(id, .unavailable(failure?.text ?? "no HSM can serve"), hsm: failure?.hsm, into: &actions)
        }
    }

    private mutating func finish(
        _ id: OperationID, _ outcome: OperationOutcome, hsm: Int? = nil, into actions: inout PoolActions
    ) {
        guard let operation = operations.removeValue(forKey: id) else { return }
        if operation.isWaiting { waiting.remove(id) }
        actions.finishes.append(Finish(operation: id, outcome: outcome, hsm: hsm, attempts: operation.attempts))
    }
}

// MARK: - Lanes

extension PoolMachine {
    private func laneState(_ lane: LaneID) -> LaneState? {
        guard hsms.indices.contains(lane.hsm), hsms[lane.hsm].lanes.indices.contains(lane.lane) else { return nil }
        return hsms[lane.hsm].lanes[lane.lane]
    }

    private mutating func free(_ lane: LaneID) {
        hsms[lane.hsm].busy -= 1
        hsms[lane.hsm].giveBack(lane.lane)
    }

    private mutating func close(_ lane: LaneID, state: LaneState) {
        switch state {
        case .closed: return
        case .free: hsms[lane.hsm].forgetFree(lane.lane)
        case .busy: hsms[lane.hsm].busy -= 1
        case .overdue:
            hsms[lane.hsm].busy -= 1
            hsms[lane.hsm].overdue -= 1
        }
        hsms[lane.hsm].lanes[lane.lane] = .closed
        hsms[lane.hsm].open -= 1
    }

    /// Closes every lane of an HSM, and moves what was on them.
    private mutating func dropLanes(of hsm: Int, now: UInt64, into actions: inout PoolActions) {
        let states = hsms[hsm].lanes
        hsms[hsm].open(0)
        for case .busy(let work) in states {
            retry(work.operation, avoiding: hsm, failure: "its worker ended", now: now, into: &actions)
        }
    }
}

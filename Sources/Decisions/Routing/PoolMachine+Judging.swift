// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// What an answer or a silence means: first for the HSM, then for the operation.

extension PoolMachine {
    static let firstProbePause: UInt64 = 250_000_000
    /// An HSM that works again is to be back within five seconds.
    package static let longestProbePause: UInt64 = 4_000_000_000
    private static let outReason = "it reported a fault that only a new process or a person can mend"

    /// A reason, and the function and code that say it exactly.
    private static func reason(_ words: String, _ refusal: HSMRefusal?) -> String {
        refusal.map { "\(words) (\($0))" } ?? words
    }

    // MARK: The HSM

    /// What an answer says about its HSM, whether anybody still waits for it or not.
    mutating func weigh(
        _ disposition: Disposition, _ refusal: HSMRefusal?, from hsm: Int, latency: UInt64, now: UInt64,
        into actions: inout PoolActions
    ) {
        switch disposition {
        case .callersFault(.ciphertextIsInvalid), .ambiguous, .keyMissing:
            // No evidence against the HSM, unless it is refuted: a flood of bad ciphertext must not take it out. None
            // for it, either.
            hsms[hsm].latency.record(latency, now: now)
        case .done, .callersFault:
            hsms[hsm].latency.record(latency, now: now)
            hsms[hsm].softFailures = 0
            hsms[hsm].noteAnswer(failed: false, now: now)
            // A request that was done is as good as a probe.
            if hsms[hsm].phase == .probing { comeBack(hsm, now: now, into: &actions) }
        case .tryElsewhere, .sessionLost:
            hsms[hsm].noteAnswer(failed: true, now: now)
        case .hsmSuspect:
            hsms[hsm].noteAnswer(failed: true, now: now)
            failSoftly(hsm, now: now, into: &actions)
        case .hsmOut:
            putOut(hsm, reason: Self.reason(Self.outReason, refusal), now: now, into: &actions)
        }
    }

    /// One soft failure more; several in a row take the HSM out until a probe passes.
    mutating func failSoftly(_ hsm: Int, now: UInt64, into actions: inout PoolActions) {
        hsms[hsm].softFailures += 1
        guard hsms[hsm].phase == .serving, hsms[hsm].softFailures >= limits.softFailures else { return }
        hsms[hsm].phase = .probing
        hsms[hsm].hasBeenOut = true
        hsms[hsm].probePause = Self.firstProbePause
        hsms[hsm].nextProbeAt = now
        askForProbe(hsm, now: now, into: &actions)
    }

    /// While an HSM is out and has a worker, has it probed again and again.
    mutating func askForProbe(_ hsm: Int, now: UInt64, into actions: inout PoolActions) {
        guard hsms[hsm].phase == .probing, hsms[hsm].nextProbeAt <= now else { return }
        hsms[hsm].nextProbeAt = now &+ hsms[hsm].probePause
        hsms[hsm].probePause = min(2 * hsms[hsm].probePause, Self.longestProbePause)
        actions.probes.append(hsm)
    }

    /// The HSM has shown that it works: it gets requests again, few at first.
    mutating func comeBack(_ hsm: Int, now: UInt64, into actions: inout PoolActions) {
        hsms[hsm].phase = .serving
        hsms[hsm].starts.served()
        hsms[hsm].softFailures = 0
        hsms[hsm].failedProbes = 0
        hsms[hsm].nextProbeAt = .max
        if hsms[hsm].hasBeenOut { hsms[hsm].backSince = now }
        // What it failed at before is no reason to avoid it any more.
        for id in waiting.ids { operations[id]?.asked.remove(hsm) }
        serveWaiting(hsm: hsm, now: now, into: &actions)
    }

    /// Takes an HSM out of service and asks for a new worker.
    mutating func putOut(_ hsm: Int, reason: String, now: UInt64, into actions: inout PoolActions) {
        guard hsms[hsm].phase == .serving || hsms[hsm].phase == .probing else { return }
        hsms[hsm].phase = .starting
        hsms[hsm].hasBeenOut = true
        actions.restarts.append(Restart(hsm: hsm, reason: reason))
        dropLanes(of: hsm, now: now, into: &actions)
    }

    // MARK: The operation

    /// What an answer says about the operation that waits for it.
    mutating func settle(
        _ id: OperationID, lane: LaneID, _ work: LaneWork, _ disposition: Disposition, _ refusal: HSMRefusal?,
        now: UInt64, into actions: inout PoolActions
    ) {
        let hsm = lane.hsm
        func failed(_ words: String) {
            self.failed(id, lane: lane, failure: Self.reason(words, refusal), now: now, into: &actions)
        }
        switch disposition {
        case .done where work.question == .canary: openedCanary(id, on: lane, now: now, into: &actions)
        case .done:
            if work.isHedge { counters.hedgesWon &+= 1 }
            if let refusers = operations[id]?.check?.refusers, work.question == .request {
                refute(refusers, now: now, into: &actions)
            }
            finish(id, .done, hsm: hsm, now: now, into: &actions)
        case .callersFault(.ciphertextIsInvalid), .ambiguous:
            refusedCiphertext(id, on: lane, work.question, now: now, into: &actions)
        case .callersFault(let fault):
            finish(id, .callersFault(fault), hsm: hsm, now: now, into: &actions)
        case .tryElsewhere:
            failed("it is busy or lacks the key")
        case .keyMissing:
            operations[id]?.missing.insert(hsm)
            failed("it no longer has the key")
        case .sessionLost:
            failed("its session was lost")
        case .hsmSuspect:
            failed("the call failed")
        case .hsmOut:
            failed(Self.outReason)
        }
    }

    /// One attempt came to nothing. Another HSM is asked, unless one is at it already.
    mutating func failed(
        _ id: OperationID, lane: LaneID, failure: String, now: UInt64, into actions: inout PoolActions
    ) {
        let wasChecked = abandonCheck(id, now: now, into: &actions)
        guard var operation = operations[id] else { return }
        operation.flights.remove(lane)
        operation.lastFailure = (lane.hsm, failure)
        operations[id] = operation
        guard operation.flights.isEmpty else {
            // The others at it are silent: nothing is gained by waiting for them alone.
            if !isInGoodHands(id, operation), !passOn(id, now: now, into: &actions) {
                askAnother(id, now: now, into: &actions)
            }
            return
        }
        // It stands in the line for an attempt that the budget has paid for already; checks have a budget of their own.
        let isPaid = operation.isWaiting || wasChecked
        if operation.isWaiting { leaveLine(id, now: now) }
        if now >= operation.deadline {
            finish(id, .timedOut(.answer), hsm: lane.hsm, now: now, into: &actions)
        } else if operation.spentAttempts >= 2 * limits.attempts {
            giveUp(id, now: now, into: &actions)
        } else if !isPaid, !budget.withdraw(now: now) {
            counters.refusedByBudget &+= 1
            operations[id]?.lastFailure = (lane.hsm, "\(failure), and the budget for further attempts is spent")
            giveUp(id, now: now, into: &actions)
        } else {
            if !isPaid { counters.retries &+= 1 }
            assign(id, now: now, atFront: true, into: &actions)
        }
    }

    /// What was being looked into is left: nobody waits for what its lanes still do.
    private mutating func abandonCheck(_ id: OperationID, now: UInt64, into actions: inout PoolActions) -> Bool {
        guard let operation = operations[id], operation.check != nil else { return false }
        operation.flights.forEach { forget(id, on: $0) }
        operations[id]?.flights = Flights()
        if operation.isWaiting { leaveLine(id, now: now) }
        operations[id]?.check = nil
        endCheck(id, now: now, into: &actions)
        return true
    }

    // MARK: Silence

    /// How long after its last silent call an HSM counts as one that has some.
    private static let silenceMemory: UInt64 = 3_000_000_000

    /// One lane at a tick.
    mutating func examine(_ lane: LaneID, now: UInt64, into actions: inout PoolActions) {
        var position = 0
        while let work = hsms[lane.hsm].lanes.work(on: lane.lane, at: position) {
            examine(work, at: position, of: lane, now: now, into: &actions)
            position += 1
        }
        let stuckAfter = hsms[lane.hsm].traits.stuckAfter
        if case .busy(let call) = laneState(lane), now > call.calledAt, now - call.calledAt > limits.longestAttempt {
            hsms[lane.hsm].silentUntil = now &+ Self.silenceMemory
        }
        switch laneState(lane) {
        case .busy(let call) where call.isOverdue && now >= call.calledAt && now - call.calledAt >= stuckAfter:
            let milliseconds = (now - call.calledAt) / 1_000_000
            putOut(lane.hsm, reason: "a call has not returned for \(milliseconds) ms", now: now, into: &actions)
        case .moving(_, _, let since) where now >= since && now - since >= stuckAfter:
            let milliseconds = (now - since) / 1_000_000
            putOut(
                lane.hsm, reason: "a session has not been opened or closed for \(milliseconds) ms", now: now,
                into: &actions)
        default:
            return
        }
    }

    /// One piece of work on a lane at a tick, the call or one behind it.
    private mutating func examine(
        _ work: LaneWork, at position: Int, of lane: LaneID, now: UInt64, into actions: inout PoolActions
    ) {
        if let id = work.operation, let deadline = operations[id]?.deadline, deadline <= now {
            let shortage = operations[id]?.shortage ?? .answer
            finish(id, .timedOut(shortage), hsm: lane.hsm, now: now, into: &actions)
        }
        if work.asksAgainAt <= now { askAgain(lane, at: position, now: now, into: &actions) }
        if !work.isOverdue, work.patienceEnds <= now, !hsms[lane.hsm].isInLine(work, now: now) {
            becomeOverdue(lane, at: position, now: now, into: &actions)
        }
        if work.hedgeAt <= now { hedge(lane, at: position, now: now, into: &actions) }
    }

    /// The HSM has been silent for longer than an attempt may last. Another one is asked; an answer of the silent one
    /// still counts until that one's comes.
    private mutating func becomeOverdue(
        _ lane: LaneID, at position: Int, now: UInt64, into actions: inout PoolActions
    ) {
        hsms[lane.hsm].lanes.change(on: lane.lane, at: position) { $0.isOverdue = true }
        guard let work = hsms[lane.hsm].lanes.work(on: lane.lane, at: position) else { return }
        hsms[lane.hsm].service.kept(since: work.calledAt)
        guard let id = work.operation else { return }
        if operations[id]?.check != nil {
            return failed(id, lane: lane, failure: "it did not answer in time", now: now, into: &actions)
        }
        operations[id]?.lastFailure = (lane.hsm, "it did not answer in time")
        askAgain(lane, at: position, now: now, into: &actions)
    }

    /// Asks another HSM for an operation whose HSMs are silent, or passes it on; when the budget has no token now, it may
    /// have one in a moment. One that has had all of its attempts is passed on when no HSM serves any more.
    private mutating func askAgain(_ lane: LaneID, at position: Int, now: UInt64, into actions: inout PoolActions) {
        hsms[lane.hsm].lanes.change(on: lane.lane, at: position) { $0.asksAgainAt = .max }
        guard let id = hsms[lane.hsm].lanes.work(on: lane.lane, at: position)?.operation,
            let operation = operations[id], !isInGoodHands(id, operation)
        else { return }
        if !passOn(id, now: now, into: &actions), !askAnother(id, now: now, into: &actions) {
            hsms[lane.hsm].lanes.change(on: lane.lane, at: position) { $0.asksAgainAt = now &+ Self.budgetPause }
        }
    }

    /// Ends an operation whose HSMs are silent where none is left to ask that serves, so that another node can be asked
    /// while there is time. False where none may be, or it stands in the line for one of its HSMs.
    private mutating func passOn(_ id: OperationID, now: UInt64, into actions: inout PoolActions) -> Bool {
        guard let operation = operations[id], operation.terms.mayPassOn, !operation.isWaiting,
            !isServed(by: candidates(for: operation))
        else { return false }
        let reason = operation.lastFailure?.text ?? "it did not answer in time"
        finish(id, .unavailable(reason), hsm: operation.lastFailure?.hsm, now: now, into: &actions)
        return true
    }

    /// The budget gains ten tokens a second without any request.
    private static let budgetPause: UInt64 = 10_000_000

    /// True when one of the HSMs that are at it is not overdue, so that nothing is gained by another.
    func isInGoodHands(_ id: OperationID, _ operation: OperationRecord) -> Bool {
        var found = false
        operation.flights.forEach { lane in
            if let work = work(on: lane, for: id), !work.isOverdue { found = true }
        }
        return found
    }

    /// Sends an operation whose HSMs keep silent to one more, or has it stand in line for the next lane of one, before
    /// those that have only just come.
    /// False when it is to be looked at again in a moment: the budget does not allow it, or there is nothing left but to
    /// pass it on.
    @discardableResult
    private mutating func askAnother(_ id: OperationID, now: UInt64, into actions: inout PoolActions) -> Bool {
        guard let operation = operations[id], !operation.isWaiting else { return true }
        guard operation.attempts < 2 * limits.attempts else { return !operation.terms.mayPassOn }
        let others = candidates(for: operation)
        guard hasHope(others) else { return true }
        guard budget.withdraw(now: now) else {
            counters.refusedByBudget &+= 1
            operations[id]?.setbacks.lacksBudget = true
            return false
        }
        counters.retries &+= 1
        if let next = choose(others, group: operation.group, now: now) {
            dispatch(id, to: next, now: now, into: &actions)
        } else if waiting.count < limits.waiting {
            operations[id]?.isWaiting = true
            waiting.add(id, holders: operation.willing, atFront: true, now: now)
        }
        return true
    }

    /// The HSM is slower than nearly all of its answers: another one is asked as well, or this one once more, if there
    /// is room. What finds no room, or no token, is tried again at the next tick.
    private mutating func hedge(_ lane: LaneID, at position: Int, now: UInt64, into actions: inout PoolActions) {
        guard let work = hsms[lane.hsm].lanes.work(on: lane.lane, at: position), let id = work.operation,
            let operation = operations[id]
        else { return }
        // One that may have ended a worker is on one HSM at a time, so that it ends no third one.
        guard operation.check == nil, !checks.isWaiting(id), operation.setbacks.suspectSince == nil,
            operation.attempts < limits.attempts, operation.flights.count == 1, !operation.isWaiting
        else { return hsms[lane.hsm].lanes.change(on: lane.lane, at: position) { $0.hedgeAt = .max } }
        guard let next = chooseHedge(for: operation, besides: lane.hsm, now: now) else { return }
        if work.isTry, hsms[next.hsm].expected(mayTry: false, now: now) > hsms[lane.hsm].service.centre / 2 {
            // Nobody is much faster: it has its own time.
            let patience = hsms[lane.hsm].patience(limits: limits, isOverloaded: waiting.isStanding)
            hsms[lane.hsm].lanes.change(on: lane.lane, at: position) {
                $0.isTry = false
                $0.hedgeAt = patience.hedgeAt(from: $0.calledAt)
            }
            return hsms[next.hsm].lanes.putBack(next.lane)
        }
        guard budget.withdraw(forHedge: true, now: now) else {
            counters.refusedByBudget &+= 1
            hsms[lane.hsm].lanes.change(on: lane.lane, at: position) { $0.hedgeAt = now &+ Self.budgetPause }
            hsms[next.hsm].lanes.putBack(next.lane)
            return
        }
        hsms[lane.hsm].lanes.change(on: lane.lane, at: position) { $0.hedgeAt = .max }
        counters.hedges &+= 1
        dispatch(id, to: next, now: now, isHedge: true, into: &actions)
    }

    /// Takes the free lane on which a second call can be expected to return first. One of the same HSM is a choice, too,
    /// where that has lanes to spare; but what has made the first call slow may be the HSM, so that others come before it
    /// that are not much slower. None where the call would hold up others, and none of a higher tier.
    private mutating func chooseHedge(for operation: OperationRecord, besides first: Int, now: UInt64) -> LaneID? {
        var best: Int?
        var least = operation.deadline > now ? Double(operation.deadline - now) : 0
        operation.willing.forEach { hsm in
            guard hsms.indices.contains(hsm), hsm == first || !operation.asked.contains(hsm),
                hsms[hsm].isServing, hsms[hsm].hasFreeLane, !hsms[hsm].service.isSilent,
                hsms[hsm].traits.tier <= hsms[first].traits.tier,
                hsms[hsm].limit.dependence < Self.crowded || hsms[hsm].inFlight == 0
            else { return }
            let expected = hsms[hsm].expected(mayTry: false, now: now) * (hsm == first ? Self.handicap : 1)
            if expected < least { (best, least) = (hsm, expected) }
        }
        guard let best, let lane = hsms[best].lanes.takeFree(group: operation.group) else { return nil }
        return LaneID(hsm: best, lane: lane)
    }

    /// How much longer than on another HSM a second call on the same one is taken to last.
    private static let handicap = 3.0
    /// From this dependence on, calls of an HSM hold each other up.
    private static let crowded = 0.5

    func outcomeAtDeadline(_ operation: OperationRecord) -> OperationOutcome {
        guard operation.attempts == 0,
            !operation.willing.contains(where: { hsms.indices.contains($0) && hsms[$0].phase == .serving })
        else {
            return .timedOut(operation.shortage)
        }
        return .unavailable("no HSM that holds the key came up in time")
    }
}

extension Disposition {
    /// True when the HSM has worked on the call, so that its time says how fast the HSM is.
    var isAnswer: Bool {
        switch self {
        case .done, .callersFault, .ambiguous: true
        case .tryElsewhere, .keyMissing, .sessionLost, .hsmSuspect, .hsmOut: false
        }
    }

    /// True when it ends the operation, or what the HSM's lane is asked next follows from it directly.
    var settles: Bool {
        switch self {
        case .done, .callersFault: true
        default: false
        }
    }
}

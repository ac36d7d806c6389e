// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing

/// What must never happen.
enum Violation: String, CaseIterable {
    /// An answer came after the deadline and one tick, or a time-out before it.
    case late
    /// A request was never answered.
    case lost
    /// A request was answered again, or worked on, although it was over.
    case answeredTwice
    /// A frame was sent to a lane that is at work, parked or closed, or twice to one HSM.
    case laneInTwoStates
    /// An HSM was taken out although nothing spoke against it.
    case outWithoutEvidence
    /// More retries and hedges than the budget allows, or more attempts than one operation may have.
    case overBudget
    /// A good ciphertext was called invalid, or a bad one without the evidence that this takes.
    case calledInvalid
    /// A bad ciphertext was not called invalid although every HSM was well.
    case notCalledInvalid
    /// A key was called gone although an HSM that could be asked had not said so.
    case keyGoneTooSoon
    /// A request failed although an HSM that holds the key was well and had room from its start to its end.
    case failedWithoutNeed
    /// A request was refused before its deadline although a worker was on its way that would have been up in time.
    case refusedTooSoon
    /// Finished operations left something behind.
    case leftBehind
    /// Not everything serves again in time after the last fault.
    case notRecovered
}

/// What the checkers have counted and found.
struct Checks {
    var violations: [(violation: Violation, text: String)] = []
    /// Requests that are made when all is well again.
    static let calmRequests = 20

    var isPrinting = false
    var requests = 0
    var calmRequests = 0
    var calmDone = 0
    var finished = 0
    var done = 0
    var extraAttempts = 0

    mutating func report(_ violation: Violation, _ text: String) {
        violations.append((violation, text))
        if isPrinting { print("VIOLATION \(violation): \(text)") }
    }
}

extension Simulation {
    // MARK: Frames

    mutating func checkDispatch(_ dispatch: Dispatch) {
        let (hsm, lane) = (dispatch.lane.hsm, dispatch.lane.lane)
        guard let request = requests[dispatch.operation] else {
            return check.report(.answeredTwice, "operation \(dispatch.operation.number) is sent although it is over")
        }
        let isSendable =
            hsms[hsm].lanes.indices.contains(lane) && hsms[hsm].lanes[lane].hasRoom(depth: hsms[hsm].character.depth)
        if !isSendable {
            check.report(.laneInTwoStates, "a frame is sent to lane \(lane) of HSM \(hsm), which has no room")
        }
        if isSendable, hsms[hsm].lanes[lane] != .idle, hsms[hsm].hasIdleLane {
            check.report(.laneInTwoStates, "a frame is sent behind a call of HSM \(hsm), which has a free lane")
        }
        let isChecked = request.refusals > 0
        // Twice by a hedge; only what is looked into is asked more often.
        if request.flights.count(where: { $0 == hsm }) > 1, !isChecked {
            check.report(.laneInTwoStates, "operation \(dispatch.operation.number) is on HSM \(hsm) three times")
        }
        if dispatch.deadline <= now { check.report(.late, "sent after its deadline") }
        if hsms[hsm].isDrained { check.report(.laneInTwoStates, "a frame is sent to HSM \(hsm), which is drained") }
        if !isChecked, request.attempts > 0 || request.resubmissions > 0 { check.extraAttempts += 1 }
        let seconds = Double(now - Scenario.start) / 1e9
        let allowed = RetryBudget.share * Double(check.requests) + RetryBudget.perSecond * seconds
        if Double(check.extraAttempts) > allowed + RetryBudget.capacity + 0.001 {
            check.report(.overBudget, "\(check.extraAttempts) extra attempts for \(check.requests) requests")
        }
    }

    mutating func checkOrder(_ order: LaneOrder) {
        let (hsm, lane) = (order.lane.hsm, order.lane.lane)
        let wanted: MirroredLane = order.operation == .openSession ? .parked : .idle
        guard hsms[hsm].lanes.indices.contains(lane), hsms[hsm].lanes[lane] == wanted else {
            return check.report(.laneInTwoStates, "\(order.operation) for lane \(lane) of HSM \(hsm)")
        }
    }

    // MARK: The end of a request

    mutating func checkFinish(_ finish: Finish) {
        let name = "operation \(finish.operation.number): \(finish.outcome)"
        guard let request = requests[finish.operation] else {
            return check.report(.answeredTwice, name)
        }
        check.finished += 1
        if now > request.deadline + Self.tickInterval { check.report(.late, name) }
        if finish.attempts > 6 + request.freeAttempts { check.report(.overBudget, name) }
        switch finish.outcome {
        case .done:
            check.done += 1
            if isCalm { check.calmDone += 1 }
        case .callersFault(.ciphertextIsInvalid):
            if !request.work.isBad || request.refusals < 3 || request.openings < 2 {
                check.report(.calledInvalid, "\(name), refusals: \(request.refusals), openings: \(request.openings)")
            }
        case .callersFault(.keyIsGone):
            let silent = request.holders.subtracting(request.missed).contains {
                machine.phase(of: $0) != .down && !machine.isDrained($0)
            }
            if silent { check.report(.keyGoneTooSoon, name) }
            checkNeed(request, name)
        case .timedOut:
            if now < request.deadline { check.report(.late, name) }
            checkNeed(request, name)
            checkReported(request, name)
        case .unavailable:
            checkNeed(request, name)
            checkPatience(request, name)
            checkReported(request, name)
        case .callersFault, .overloaded, .crowded, .abandoned:
            checkNeed(request, name)
            checkReported(request, name)
        }
    }

    /// What is promised: a request waits for a worker that will be up before its deadline.
    private mutating func checkPatience(_ request: SimulatedRequest, _ name: String) {
        guard !request.work.isBad, request.workersLost < 2, request.attempts < 3 + request.freeAttempts,
            machine.counters.refusedByBudget == request.refusalsBefore, now < request.deadline
        else { return }
        let isSomebodyComing = request.holders.union(request.hopeful).contains {
            !hsms[$0].isDrained && hsms[$0].isReturning(before: request.deadline, now: now)
        }
        if isSomebodyComing { check.report(.refusedTooSoon, "\(name), though a worker is on its way") }
    }

    /// What is promised: while an HSM that holds the key is well and has a free lane from a request's start to its end,
    /// the budget has something left, and there are no more bad HSMs than a request may try in vain, it does not fail.
    private mutating func checkNeed(_ request: SimulatedRequest, _ name: String) {
        guard !request.work.isBad, request.workersLost < 2,
            machine.counters.refusedByBudget == request.refusalsBefore
        else { return }
        var good = 0
        var others = 0
        request.holders.forEach {
            if hsms[$0].isWell, hsms[$0].lastTrouble < request.submittedAt { good += 1 } else { others += 1 }
        }
        guard good > 0, others <= 2 else { return }
        check.report(.failedWithoutNeed, "\(name), good HSMs: \(good), others: \(others)")
    }

    /// Bad ciphertext is called invalid where every HSM that holds the key is well, and fast enough for five calls.
    private mutating func checkReported(_ request: SimulatedRequest, _ name: String) {
        guard request.work.isBad, !request.isCrowded, request.deadline >= request.submittedAt + Self.patience,
            !request.holders.isEmpty
        else { return }
        let areWell = !request.holders.contains {
            !hsms[$0].isWell || hsms[$0].lastTrouble >= request.submittedAt
                || machine.failureShare(of: $0, now: now) > 0 || hsms[$0].character.latency > 4 * millisecond
        }
        if areWell { check.report(.notCalledInvalid, "\(name), refusals: \(request.refusals)") }
    }

    /// Keeps when each HSM was last in trouble: a fault, not serving, drained, or no lane free.
    mutating func noteTroubles() {
        for hsm in hsms.indices {
            let isWell =
                hsms[hsm].faults.isEmpty && hsms[hsm].worker == .up && machine.phase(of: hsm) == .serving
                && hsms[hsm].hasIdleLane
            if !isWell || !hsms[hsm].isWell { hsms[hsm].lastTrouble = now }
            hsms[hsm].isWell = isWell
        }
    }

    // MARK: HSMs

    /// What the machine has made of an event, before it is performed.
    mutating func checkReaction(_ actions: PoolActions, to cause: Cause) {
        weigh(cause)
        for restart in actions.restarts where !hasHardEvidence(restart.hsm, cause) {
            check.report(.outWithoutEvidence, "HSM \(restart.hsm) is restarted: \(restart.reason)")
        }
        for hsm in hsms.indices {
            let (before, after) = (hsms[hsm].phase, machine.phase(of: hsm))
            guard before != after else { continue }
            trace.note(.phase, at: now, hsm, Int(hsms[hsm].softInARow))
            hsms[hsm].phase = after
            if after == .serving { (hsms[hsm].serves, hsms[hsm].hasServed) = (true, true) }
            switch (before, after) {
            case (.serving, .probing):
                // A refusal of good ciphertext is a failure as soon as that is opened elsewhere.
                let failures = hsms[hsm].softInARow + hsms[hsm].wrongRefusals
                guard failures < 3, cause != .ready(hsm: hsm) else { continue }
                check.report(.outWithoutEvidence, "HSM \(hsm) is out after \(failures) soft failures")
            case (.serving, _), (.probing, .starting), (.probing, .down):
                let isExplained =
                    actions.restarts.contains { $0.hsm == hsm } || cause == .ended(hsm: hsm)
                if !isExplained { check.report(.outWithoutEvidence, "HSM \(hsm) is out: \(cause)") }
            default: continue
            }
        }
    }

    /// Keeps the soft failures in a row.
    private mutating func weigh(_ cause: Cause) {
        if case .probe(let hsm, let passed) = cause { hsms[hsm].failedProbes = passed ? 0 : hsms[hsm].failedProbes + 1 }
        switch cause {
        case .answer(let hsm, .hsmSuspect), .probe(let hsm, passed: false): hsms[hsm].softInARow += 1
        case .answer(let hsm, .done), .probe(let hsm, passed: true):
            hsms[hsm].softInARow = 0
        default: return
        }
    }

    /// Why a worker may be killed.
    private func hasHardEvidence(_ hsm: Int, _ cause: Cause) -> Bool {
        switch cause {
        case .answer(hsm, .hsmOut), .silence(hsm): true
        case .probe(hsm, passed: false): hsms[hsm].failedProbes >= 6
        case .tick:
            hsms[hsm].lanes.allSatisfy { $0 == .closed }
                || hsms[hsm].lanes.contains {
                    guard let since = $0.since else { return false }
                    return now - since >= hsms[hsm].character.stuckAfter
                }
        default: false
        }
    }

    // MARK: The end of a run

    /// After the faults: everything serves again.
    mutating func checkRecovery() {
        for hsm in hsms.indices where machine.phase(of: hsm) != .serving || machine.isDrained(hsm) {
            check.report(.notRecovered, "HSM \(hsm): \(machine.phase(of: hsm)) five seconds after the last fault")
        }
    }

    mutating func checkNothingIsLeft() {
        if !requests.isEmpty { check.report(.lost, "\(requests.count) requests were never answered") }
        if check.calmDone != Checks.calmRequests {
            check.report(.failedWithoutNeed, "only \(check.calmDone) requests were done after the faults")
        }
        if machine.unfinished != requests.count || machine.inLine != 0 {
            check.report(.leftBehind, "\(machine.unfinished) operations, \(machine.inLine) in the line")
        }
        if requests.isEmpty, machine.checksOpen != 0 {
            check.report(.leftBehind, "\(machine.checksOpen) checks of refused ciphertexts")
        }
        for hsm in hsms.indices {
            let (lanes, sessions) = (machine.lanes(of: hsm), hsms[hsm].sessions)
            let queued = machine.queued(on: hsm)
            if lanes.busy != 0 || lanes.overdue != 0 || queued != 0 || lanes.open != sessions {
                check.report(.leftBehind, "HSM \(hsm): \(lanes), \(queued) queued, \(sessions) sessions")
            }
        }
    }
}

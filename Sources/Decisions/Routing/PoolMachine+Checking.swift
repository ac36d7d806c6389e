// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// How a refused ciphertext is looked into (`CiphertextCheck`). Bad ciphertext is rare; so the check costs little, has a
// budget of its own, and its answer may be final: less than what it asks for is reported as unavailable.

extension PoolMachine {
    /// A lane says that the ciphertext is bad, or something that may mean it.
    mutating func refusedCiphertext(
        _ id: OperationID, on lane: LaneID, _ question: LaneQuestion, now: UInt64, into actions: inout PoolActions
    ) {
        guard let operation = operations[id] else { return }
        guard operation.deadline > now else {
            return finish(id, .timedOut(.answer), hsm: lane.hsm, now: now, into: &actions)
        }
        guard let check = operation.check else { return beginCheck(id, refusedOn: lane, now: now, into: &actions) }
        switch question {
        case .request: confirm(id, .request, on: lane, now: now, into: &actions)
        case .canary:
            // It refuses what it has proven that it can open: whatever it says is worth nothing.
            hsms[lane.hsm].noteAnswer(failed: true, now: now)
            failSoftly(lane.hsm, now: now, into: &actions)
            operations[id]?.setbacks.refusedCanaries += 1
            failed(id, lane: lane, failure: "it does not open the key's canary", now: now, into: &actions)
        case .excluded:
            var rest = check.excluded ?? []
            rest.remove(lane.hsm)
            operations[id]?.check?.excluded = rest
            tryExcluded(id, decidedBy: lane.hsm, now: now, into: &actions)
        }
    }

    /// The canary was opened, as it ought to be.
    mutating func openedCanary(_ id: OperationID, on lane: LaneID, now: UInt64, into actions: inout PoolActions) {
        guard let operation = operations[id] else { return }
        guard operation.deadline > now else {
            return finish(id, .timedOut(.answer), hsm: lane.hsm, now: now, into: &actions)
        }
        confirm(id, .canary, on: lane, now: now, into: &actions)
    }

    /// A ciphertext that HSMs have refused was opened: they have failed.
    mutating func refute(_ refusers: HSMSet, now: UInt64, into actions: inout PoolActions) {
        var failed: [Int] = []
        refusers.forEach { failed.append($0) }
        for hsm in failed where hsms.indices.contains(hsm) {
            hsms[hsm].noteAnswer(failed: true, now: now)
            failSoftly(hsm, now: now, into: &actions)
        }
    }

    // MARK: Beginning

    private mutating func beginCheck(
        _ id: OperationID, refusedOn lane: LaneID, now: UInt64, into actions: inout PoolActions
    ) {
        guard let operation = operations[id] else { return }
        guard operation.kind == .decrypt else {
            return failed(id, lane: lane, failure: "the call failed", now: now, into: &actions)
        }
        // Its calls are spread over two lanes, at most three on each. A check that cannot end in time is not begun: it
        // would take the HSMs' time from requests that can be served.
        let hasRoom = hasRoomForCheck(on: lane.hsm)
        let ahead = hasRoom ? 0 : 1 + checks.waiting(on: lane.hsm)
        let takes = 3 * Double(ahead + 1) * (hsms[lane.hsm].service.mean ?? 0)
        guard operation.deadline > now, takes <= Double(operation.deadline - now) else {
            let reason = "there is no time to look into the ciphertext, which an HSM has refused"
            return finish(id, .unavailable(reason), hsm: lane.hsm, now: now, into: &actions)
        }
        guard hasRoom else { return checks.wait(id, refusedOn: lane) }
        startCheck(id, refusedOn: lane, follows: keep(lane), now: now, into: &actions)
    }

    /// Takes a lane anew that has just answered, so that its next question follows directly. Not of an HSM that is to
    /// get nothing more, nor where something lies behind.
    private mutating func keep(_ lane: LaneID) -> Bool {
        hsms[lane.hsm].isServing && hsms[lane.hsm].lanes.takeFree(lane.lane)
    }

    /// - Parameter follows: the lane that has refused is kept, and nothing has been asked on it since.
    private mutating func startCheck(
        _ id: OperationID, refusedOn lane: LaneID, follows: Bool, now: UInt64, into actions: inout PoolActions
    ) {
        if operations[id]?.isWaiting == true { leaveLine(id, now: now) }
        guard let operation = operations[id] else { return }
        var others = HSMSet()
        operation.willing.forEach { hsm in
            if hsm != lane.hsm, hsms.indices.contains(hsm), hsms[hsm].isOpen, hsms[hsm].lively > 0,
                hsms[hsm].isWell(now: now)
            {
                others.insert(hsm)
            }
        }
        let hasSecond = !others.isEmpty || hsms[lane.hsm].lively > 1
        let check = CiphertextCheck(refusedOn: lane, follows: follows, lanes: hasSecond ? 2 : 1, random: &random)
        counters.checks &+= 1
        checks.begin(id, on: lane.hsm)
        operations[id]?.check = check
        operations[id]?.setbacks.checkedOn = others.isEmpty ? [lane.hsm] : others
        if follows, let question = check.firstQuestion {
            ask(id, question, on: lane, now: now, into: &actions)
        }
        seekLanes(id, now: now, into: &actions)
    }

    /// Gives the check the lanes that it still wants, or has it stand in line for one, before those that have only just
    /// come.
    private mutating func seekLanes(_ id: OperationID, now: UInt64, into actions: inout PoolActions) {
        while let operation = operations[id], operation.check?.wantsLane == true, !operation.isWaiting {
            if let lane = choose(candidates(for: operation), group: operation.group, now: now) {
                dispatch(id, to: lane, now: now, into: &actions)
            } else {
                operations[id]?.isWaiting = true
                waiting.add(id, holders: operation.willing, atFront: true, now: now)
            }
        }
    }

    /// Whom a check may ask for the lane that it wants next.
    func checkCandidates(_ operation: OperationRecord, _ check: CiphertextCheck) -> HSMSet {
        if let excluded = check.excluded { return excluded }
        return operation.flights.isEmpty && !check.hasBegun ? operation.willing : operation.setbacks.checkedOn
    }

    private func hasRoomForCheck(on hsm: Int) -> Bool {
        hsms.indices.contains(hsm)
            && hsms[hsm].hasRoomForCheck(beside: checks.underWay(on: hsm), isIdle: waiting.isEmpty)
    }

    /// A check has ended, or an operation that may have had one: another one may begin.
    mutating func endCheck(_ id: OperationID, now: UInt64, into actions: inout PoolActions) {
        guard checks.end(id) else { return }
        let next = checks.next { id, lane in
            operations[id].map { $0.deadline > now } ?? false && hasRoomForCheck(on: lane.hsm)
        }
        guard let next else { return }
        startCheck(next.id, refusedOn: next.lane, follows: false, now: now, into: &actions)
    }

    // MARK: Going on

    /// Sends a further question down a lane that was taken for it.
    private mutating func ask(
        _ id: OperationID, _ question: LaneQuestion, on lane: LaneID, now: UInt64, into actions: inout PoolActions
    ) {
        operations[id]?.flights.add(lane)
        send(id, question, to: lane, isExclusive: true, now: now, into: &actions)
    }

    private mutating func confirm(
        _ id: OperationID, _ question: LaneQuestion, on lane: LaneID, now: UInt64, into actions: inout PoolActions
    ) {
        guard let next = operations[id]?.check?.confirmed(question, on: lane) else {
            return settleCheck(id, on: lane, now: now, into: &actions)
        }
        if keep(lane) {
            ask(id, next, on: lane, now: now, into: &actions)
        } else {
            failed(id, lane: lane, failure: "its lane was taken away from a check", now: now, into: &actions)
        }
    }

    /// A lane of the check is done.
    private mutating func settleCheck(
        _ id: OperationID, on lane: LaneID, now: UInt64, into actions: inout PoolActions
    ) {
        guard let operation = operations[id], let check = operation.check else { return }
        guard check.isComplete else {
            if operation.flights.isEmpty, !operation.isWaiting {
                failed(id, lane: lane, failure: Self.doubt, now: now, into: &actions)
            }
            return
        }
        let areWell = !check.witnesses.contains { !hsms.indices.contains($0) || !hsms[$0].isWell(now: now) }
        guard areWell else { return failed(id, lane: lane, failure: Self.doubt, now: now, into: &actions) }
        operations[id]?.check?.excluded = operation.terms.excluded
        tryExcluded(id, decidedBy: lane.hsm, now: now, into: &actions)
    }

    static let doubt = "its answer may mean a bad ciphertext or a sick HSM"

    /// What the key's HSMs do not open is tried once on those that hold another key under its label.
    private mutating func tryExcluded(
        _ id: OperationID, decidedBy hsm: Int, now: UInt64, into actions: inout PoolActions
    ) {
        guard let operation = operations[id], let rest = operation.check?.excluded else { return }
        guard let next = rest.member(after: 0) else {
            return finish(id, .callersFault(.ciphertextIsInvalid), hsm: hsm, now: now, into: &actions)
        }
        guard hsms.indices.contains(next), hsms[next].phase == .serving, hsms[next].isMember, hsms[next].lively > 0
        else {
            let reason = "an HSM that holds another key under this label cannot be asked about the ciphertext"
            return finish(id, .unavailable(reason), hsm: next, now: now, into: &actions)
        }
        if let lane = hsms[next].lanes.takeRoom(group: operation.group, depth: hsms[next].depth) {
            dispatch(id, to: LaneID(hsm: next, lane: lane), now: now, into: &actions)
        } else if !operation.isWaiting {
            operations[id]?.isWaiting = true
            waiting.add(id, holders: [next], atFront: true, now: now)
        }
    }
}

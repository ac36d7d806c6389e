// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import SeededRandom

// The node's side: clients, and what the machine decides.

extension Simulation {
    // MARK: Clients

    mutating func request() {
        let isOver = !isCalm && now >= scenario.calmFrom
        guard !isOver else { return }
        let isBad = !isCalm && dice.chance(scenario.badShare)
        let kind: LaneOperation = isBad || dice.chance(500) ? .decrypt : .encrypt
        let request = SimulatedRequest(
            work: SimulatedWork(kind: kind, key: dice.below(Scenario.keys), isBad: isBad), submittedAt: now,
            deadline: now + Self.patience, holders: [], refusalsBefore: machine.counters.refusedByBudget)
        submit(request)
        let next = now + scenario.gap / 5 + dice.next() % (8 * scenario.gap / 5)
        if isCalm { check.calmRequests += 1 }
        if !isCalm || check.calmRequests < Checks.calmRequests { queue.add(.request, at: next) }
    }

    mutating func submit(_ new: SimulatedRequest) {
        var request = new
        let group = dice.below(2)
        var hopeful: HSMSet = []
        request.holders = []
        request.hopeful = []
        for hsm in hsms.indices {
            if hsms[hsm].provenKeys.contains(request.work.key) {
                request.holders.insert(hsm)
            } else {
                hopeful.insert(hsm)
            }
        }
        request.hopeful = hopeful
        request.refusalsBefore = machine.counters.refusedByBudget
        if request.work.isBad {
            for other in requests.keys where requests[other]?.work.isBad == true {
                requests[other]?.isCrowded = true
                request.isCrowded = true
            }
        }
        check.requests += 1
        let (id, actions) = machine.submit(
            request.work.kind, holders: request.holders, hopeful: hopeful, deadline: request.deadline, group: group,
            now: now)
        trace.note(.request, at: now, Int(id.number), request.work.key, request.work.isBad ? 1 : 0)
        requests[id] = request
        step(.request) { _, _ in actions }
    }

    // MARK: Actions

    mutating func perform(_ actions: PoolActions) {
        for dispatch in actions.dispatches { send(dispatch) }
        for finish in actions.finishes { complete(finish) }
        for restart in actions.restarts { replaceWorker(restart.hsm) }
        for start in actions.starts {
            trace.note(.startOrdered, at: now, start.hsm, Int(start.pause / 1_000))
            queue.add(.startWorker(hsm: start.hsm, life: hsms[start.hsm].life), at: now + start.pause)
        }
        for order in actions.laneOrders { move(order) }
        for hsm in actions.probes {
            trace.note(.probe, at: now, hsm)
            startProbe(hsm)
        }
    }

    private mutating func send(_ dispatch: Dispatch) {
        let (hsm, lane) = (dispatch.lane.hsm, dispatch.lane.lane)
        trace.note(.dispatch, at: now, Int(dispatch.operation.number), hsm, lane)
        checkDispatch(dispatch)
        guard hsms[hsm].lanes.indices.contains(lane), var request = requests[dispatch.operation] else { return }
        let frame = SimulatedFrame(
            operation: dispatch.operation, generation: dispatch.generation, deadline: dispatch.deadline,
            work: request.work.asked(dispatch.question), question: dispatch.question, since: now)
        let before = hsms[hsm].lanes[lane].frames
        hsms[hsm].lanes[lane] = .busy(before + [frame])
        request.attempts += 1
        request.flights.append(hsm)
        requests[dispatch.operation] = request
        if before.isEmpty { call(frame, on: hsm, lane) }
    }

    private mutating func complete(_ finish: Finish) {
        trace.note(.finish, at: now, Int(finish.operation.number), finish.hsm ?? -1, finish.attempts)
        if isSabotaged(.swallowsFinishes, finish.operation) { return }
        checkFinish(misreported(finish))
        let request = requests.removeValue(forKey: finish.operation)
        if isSabotaged(.finishesTwice, finish.operation) { checkFinish(finish) }
        guard sabotage == .retriesByItself, var request, case .unavailable = finish.outcome, now < request.deadline,
            request.resubmissions < 5
        else { return }
        request.resubmissions += 1
        check.requests -= 1
        submit(request)
    }

    /// A driver that takes one refusal for the truth.
    private func misreported(_ finish: Finish) -> Finish {
        guard sabotage == .believesOneWord, case .unavailable = finish.outcome,
            requests[finish.operation]?.refusals ?? 0 > 0
        else { return finish }
        var reported = finish
        reported.outcome = .callersFault(.ciphertextIsInvalid)
        return reported
    }

    /// What a broken driver does, it does to every twentieth operation.
    func isSabotaged(_ sabotage: Sabotage, _ operation: OperationID) -> Bool {
        self.sabotage == sabotage && operation.number.isMultiple(of: 20)
    }

    private mutating func move(_ order: LaneOrder) {
        let (hsm, lane) = (order.lane.hsm, order.lane.lane)
        trace.note(.laneOrder, at: now, hsm, lane, Int(order.operation.rawValue))
        checkOrder(order)
        guard hsms[hsm].lanes.indices.contains(lane) else { return }
        hsms[hsm].lanes[lane] = .moving(order.operation, generation: order.generation, since: now)
        guard hsms[hsm].worker == .up else { return }
        queue.add(
            .sessionMoved(
                hsm: hsm, life: hsms[hsm].life, lane: lane, generation: order.generation, order.operation),
            at: now + hsms[hsm].latency(&dice))
    }

    /// Kills a worker. Its end is noticed a moment later.
    private mutating func replaceWorker(_ hsm: Int) {
        trace.note(.restart, at: now, hsm)
        forgetLanes(of: hsm)
        guard sabotage != .ignoresRestarts else { return }
        kill(hsm)
    }

    mutating func kill(_ hsm: Int) {
        hsms[hsm].life += 1
        hsms[hsm].stalled = []
        hsms[hsm].worker = .none
        queue.add(
            .workerEnded(hsm: hsm, life: hsms[hsm].life), at: now + UInt64(dice.between(0, 20)) * millisecond)
    }

    // MARK: Supervision

    /// A worker from which nothing has come for too long is replaced.
    mutating func watch() {
        queue.add(.watch, at: now + 500 * millisecond)
        for hsm in hsms.indices where hsms[hsm].worker != .none {
            let patience =
                hsms[hsm].worker == .up
                ? 2 * hsms[hsm].character.probeInterval + hsms[hsm].character.stuckAfter
                : machine.startPatience(of: hsm, longest: Self.startPatience)
            guard now > hsms[hsm].lastReceived + patience else { continue }
            hsms[hsm].lastReceived = now
            step(.silence(hsm: hsm)) { $0.fellSilent(hsm, reason: "silent", now: $1) }
        }
    }

    mutating func startWorker(_ hsm: Int) {
        hsms[hsm].life += 1
        hsms[hsm].worker = .starting
        hsms[hsm].lastReceived = now
        trace.note(.starting, at: now, hsm)
        step(.starting(hsm: hsm)) { machine, now in
            machine.starting(hsm, now: now)
            return PoolActions()
        }
        queue.add(
            .workerReady(hsm: hsm, life: hsms[hsm].life),
            at: now + hsms[hsm].character.startTakes + UInt64(dice.between(0, 20)) * millisecond)
    }

    mutating func workerEnded(_ hsm: Int) {
        hsms[hsm].life += 1
        hsms[hsm].worker = .none
        forgetLanes(of: hsm)
        trace.note(.ended, at: now, hsm)
        hsms[hsm].vainStarts = hsms[hsm].serves ? 0 : hsms[hsm].vainStarts + 1
        hsms[hsm].serves = false
        if scenario.provesAnew {
            for key in 0..<Scenario.keys { hsms[hsm].provenKeys.remove(key) }
        }
        let isGivenUp = sabotage == .givesUpWorkers
        step(.ended(hsm: hsm)) { $0.ended(hsm, returning: !isGivenUp, now: $1) }
        for call in hsms[hsm].lastCalls { endedDuring(call, of: hsm) }
        hsms[hsm].lastCalls = []
        if isGivenUp { queue.add(.startWorker(hsm: hsm, life: hsms[hsm].life), at: now) }
    }

    // MARK: Keys

    mutating func join(_ hsm: Int, key: Int) {
        guard !hsms[hsm].faults.contains(.keyLost(key: key)), hsms[hsm].provenKeys.insert(key).inserted else { return }
        trace.note(.joined, at: now, hsm, key)
        for id in requests.keys.sorted(by: { $0.number < $1.number }) where requests[id]?.work.key == key {
            requests[id]?.holders.insert(hsm)
            requests[id]?.missed.remove(hsm)
            step(.keys) { $0.joined(hsm, holdersOf: id, now: $1) }
        }
    }

    /// The catalogue says that an HSM no longer has a key.
    mutating func leave(_ hsm: Int, key: Int) {
        guard hsms[hsm].faults.contains(.keyLost(key: key)), hsms[hsm].provenKeys.remove(key) != nil else { return }
        trace.note(.left, at: now, hsm, key)
        for id in requests.keys.sorted(by: { $0.number < $1.number }) where requests[id]?.work.key == key {
            requests[id]?.holders.remove(hsm)
            step(.keys) { $0.left(hsm, holdersOf: id, now: $1) }
        }
    }
}

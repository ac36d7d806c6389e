// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// How workers come and go, and which requests wait for one that is on its way.

extension PoolMachine {
    /// How long an HSM gets nothing after a lane of it has closed. Most often its worker is ending, and the closing of
    /// its other lanes and of the control socket comes in on other threads a moment later: until then a request would
    /// be given to one dead lane after another.
    package static let laneLossHold: UInt64 = 50_000_000

    // MARK: Starts

    /// A worker is being started.
    package mutating func starting(_ hsm: Int, now: UInt64) {
        guard hsms.indices.contains(hsm) else { return }
        hsms[hsm].phase = .starting
        hsms[hsm].closedEarly = []
        hsms[hsm].starts.began(now: now)
    }

    /// A worker is ready: its first `openLanes` lanes of `lanes` have a session, but for those that it has closed. It
    /// gets requests once a probe passes.
    package mutating func ready(_ hsm: Int, openLanes: Int, lanes: Int, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard hsms.indices.contains(hsm) else { return actions }
        dropLanes(of: hsm, now: now, into: &actions)
        hsms[hsm].starts.cameUp(now: now)
        hsms[hsm].lanes.begin(open: min(openLanes, lanes), of: lanes, closed: hsms[hsm].closedEarly)
        hsms[hsm].openAgainAt = openLanes < lanes ? now &+ limits.sessionRetry : 0
        hsms[hsm].phase = .probing
        hsms[hsm].softFailures = 0
        hsms[hsm].failedProbes = 0
        hsms[hsm].probePause = Self.firstProbePause
        // The worker probes by itself as soon as it is ready.
        hsms[hsm].nextProbeAt = now &+ 1_000_000_000
        maintain(hsm, now: now, into: &actions)
        return actions
    }

    /// How long a worker that is being started may take, nanoseconds; `longest` is what the configuration allows.
    package func startPatience(of hsm: Int, longest: UInt64) -> UInt64 {
        hsms.indices.contains(hsm) ? hsms[hsm].starts.patience(longest: longest) : longest
    }

    /// The worker has sent nothing for longer than its probes, or its start, may take.
    package mutating func fellSilent(_ hsm: Int, reason: String, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard hsms.indices.contains(hsm) else { return actions }
        switch hsms[hsm].phase {
        case .serving, .probing: putOut(hsm, reason: reason, now: now, into: &actions)
        case .starting, .down:
            if hsms[hsm].starts.gaveUp() { actions.restarts.append(Restart(hsm: hsm, reason: reason)) }
        }
        return actions
    }

    // MARK: Ends

    /// One lane's socket has closed. While the worker is being started, it is one that the worker could not make use
    /// of; later, a sign that the worker is ending.
    package mutating func laneClosed(_ lane: LaneID, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        let hsm = lane.hsm
        guard hsms.indices.contains(hsm) else { return actions }
        switch hsms[hsm].phase {
        case .down: return actions
        case .starting:
            if lane.lane >= 0 { hsms[hsm].closedEarly.insert(lane.lane) }
            return actions
        case .probing, .serving: break
        }
        let sessions = hsms[hsm].lanes.open
        let lost = hsms[hsm].lanes.close(lane.lane)
        if hsms[hsm].lanes.open < sessions || hsms[hsm].lanes.areAllClosed {
            hsms[hsm].lanes.hold()
            hsms[hsm].heldUntil = now &+ Self.laneLossHold
        }
        for work in lost {
            if work.isLastResort { hsms[hsm].lastResorts -= 1 }
            lose(work, on: lane, failure: "the worker closed the lane", now: now, into: &actions)
        }
        return actions
    }

    /// A worker has ended after it had read the work of this generation and before it answered, so that this may be
    /// what ended it. An operation of which this is true twice, of work sent one after the other, is given to no third
    /// worker. To be reported after the lane's, or the worker's, end. Work that was still in the lane's socket, and
    /// work that was sent to several workers at once, as by a hedge, is above suspicion: so that nothing is suspected
    /// when all workers are killed in one moment.
    package mutating func endedDuring(generation: UInt64, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        for (id, operation) in operations {
            guard let call = operation.lost.first(where: { $0.generation == generation }) else { continue }
            if let since = operation.setbacks.suspectSince {
                guard generation > since else { return actions }
                let text = "two workers ended while they were at this request, and it is given to no other"
                finish(id, .unavailable(text), hsm: call.hsm, now: now, into: &actions)
            } else {
                operations[id]?.setbacks.suspectSince = call.last
            }
            return actions
        }
        return actions
    }

    /// The lanes that have not closed are used again. With all of them closed the worker is of no use, though it lives.
    mutating func endHold(_ hsm: Int, now: UInt64, into actions: inout PoolActions) {
        guard hsms[hsm].lanes.isHeld, hsms[hsm].heldUntil <= now else { return }
        hsms[hsm].lanes.endHold()
        guard hsms[hsm].lanes.areAllClosed else { return }
        putOut(hsm, reason: "its worker has closed all of its lanes", now: now, into: &actions)
    }

    /// The worker has ended. `returning`: another one is started, after a pause or on demand; otherwise a person has
    /// to mend something first, and nobody waits for it.
    package mutating func ended(_ hsm: Int, returning: Bool, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard hsms.indices.contains(hsm) else { return actions }
        hsms[hsm].hasBeenOut = true
        if returning {
            let pause = hsms[hsm].starts.ended(now: now)
            if hsms[hsm].isMember { actions.starts.append(WorkerStart(hsm: hsm, pause: pause)) }
        } else {
            hsms[hsm].starts.endedForGood()
        }
        hsms[hsm].phase = hsms[hsm].starts.isPromising ? .starting : .down
        dropLanes(of: hsm, now: now, into: &actions)
        if !hsms[hsm].starts.isPromising { abandonHopeless(now: now, into: &actions) }
        return actions
    }

    // MARK: Waiting for workers

    /// True when one of them serves, or is expected to.
    func hasHope(_ set: HSMSet) -> Bool {
        set.contains { hsms.indices.contains($0) && hsms[$0].isOpen && hsms[$0].isExpected }
    }

    /// True when one of the HSMs that hold an operation's key, or may turn out to, may do it in time.
    func isWorthWaiting(_ operation: OperationRecord, now: UInt64) -> Bool {
        operation.willing.union(operation.hopeful).contains { hsm in
            guard hsms.indices.contains(hsm), hsms[hsm].isOpen, hsms[hsm].isExpected else { return false }
            return hsms[hsm].phase != .starting || hsms[hsm].starts.mayBeUp(by: operation.deadline, now: now)
        }
    }

    /// True while a worker is being started that held the key, and may be up in time: it will take its part of a line
    /// that is more than the others can do. Not one that rests after it has ended again and again.
    func isReinforced(_ operation: OperationRecord, now: UInt64) -> Bool {
        operation.willing.contains { hsm in
            guard hsms.indices.contains(hsm), hsms[hsm].isOpen else { return false }
            switch hsms[hsm].phase {
            case .down, .serving: return false
            case .starting:
                return hsms[hsm].starts.isUnderWay && hsms[hsm].starts.mayBeUp(by: operation.deadline, now: now)
            case .probing: return hsms[hsm].failedProbes == 0 && hsms[hsm].softFailures == 0
            }
        }
    }

    /// The same, for an operation that is more than the others can do, while the line is not full: workers that rest are
    /// started now, but for nobody who asks another node.
    mutating func reinforce(_ operation: OperationRecord, now: UInt64, into actions: inout PoolActions) -> Bool {
        guard !operation.terms.isSurplus, waiting.count(ofShare: operation.terms.share) < limits.waiting else {
            return false
        }
        startNow(for: operation, now: now, into: &actions)
        return isReinforced(operation, now: now)
    }

    /// Where nothing serves what an operation asks for, workers that may are started now, whatever their pause.
    mutating func demandStarts(for operation: OperationRecord, now: UInt64, into actions: inout PoolActions) {
        guard !isServed(by: operation.willing) else { return }
        startNow(for: operation, now: now, into: &actions)
    }

    private mutating func startNow(for operation: OperationRecord, now: UInt64, into actions: inout PoolActions) {
        operation.willing.union(operation.hopeful).forEach { hsm in
            guard hsms.indices.contains(hsm), hsms[hsm].isOpen, hsms[hsm].phase == .starting,
                hsms[hsm].starts.demand(now: now)
            else { return }
            counters.startsOnDemand &+= 1
            actions.starts.append(WorkerStart(hsm: hsm, pause: 0))
        }
    }

    /// An operation in the line that nothing serves, at a tick: has workers started, or ends when none comes in time.
    mutating func waitForWorkers(_ id: OperationID, now: UInt64, into actions: inout PoolActions) {
        guard let operation = operations[id] else { return }
        if isWorthWaiting(operation, now: now) {
            demandStarts(for: operation, now: now, into: &actions)
        } else {
            giveUp(id, now: now, into: &actions)
        }
    }

    /// Lanes of an HSM that its worker has closed, and how many there are in all.
    package func closedLanes(of hsm: Int) -> (closed: Int, of: Int) {
        guard hsms.indices.contains(hsm) else { return (0, 0) }
        return (hsms[hsm].lanes.closed, hsms[hsm].lanes.states.count)
    }
}

extension HSMRecord {
    /// True while it serves, or a worker that does is expected.
    fileprivate var isExpected: Bool {
        switch phase {
        case .down: false
        case .starting: starts.isPromising
        case .probing, .serving: true
        }
    }
}

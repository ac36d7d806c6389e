// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// Where a request goes, and what becomes of those that must wait.

extension PoolMachine {
    /// Puts an operation on the best free lane, or in the line, or ends it when there is nothing to wait for.
    mutating func assign(_ id: OperationID, now: UInt64, atFront: Bool, into actions: inout PoolActions) {
        guard let operation = operations[id] else { return }
        if operation.terms.mayPassOn, operation.check == nil, isTooSlow(operation.willing),
            giveBack(id, now: now, into: &actions)
        {
            return
        }
        let candidates = candidates(for: operation)
        if let lane = choose(
            candidates, group: operation.group, mayWait: true, deadline: operation.deadline, now: now)
        {
            dispatch(id, to: lane, now: now, into: &actions)
        } else if giveBack(id, now: now, into: &actions) {
            demandStarts(for: operation, now: now, into: &actions)
        } else if !atFront, isFasterElsewhere(operation, now: now) {
            finish(id, .crowded, now: now, into: &actions)
        } else if operation.terms.isSurplus, pace(of: operation.willing) == nil {
            // Those who ask here may wait for HSMs to come up, and be the first calls of one.
            finish(id, .overloaded, now: now, into: &actions)
        } else if tryLastResort(id, now: now, into: &actions) {
            return
        } else if !isWorthWaiting(operation, now: now) {
            giveUp(id, now: now, into: &actions)
        } else if !mayStandInLine(operation, atFront: atFront, now: now),
            !reinforce(operation, now: now, into: &actions)
        {
            // Where it was to wait for a better one, the other will do.
            if let lane = choose(candidates, group: operation.group, now: now) {
                return dispatch(id, to: lane, now: now, into: &actions)
            }
            counters.overloads &+= 1
            finish(id, .overloaded, now: now, into: &actions)
        } else {
            operations[id]?.isWaiting = true
            waiting.add(
                id, holders: operation.willing, share: operation.terms.share, calls: operation.terms.calls,
                atFront: atFront, now: now)
            demandStarts(for: operation, now: now, into: &actions)
        }
    }

    /// Ends an operation that nothing here serves, so that another node can be asked while there is time. False where
    /// none may be, or something serves it.
    mutating func giveBack(_ id: OperationID, now: UInt64, into actions: inout PoolActions) -> Bool {
        guard let operation = operations[id], operation.terms.mayPassOn else { return false }
        let isTooSlow = isTooSlow(operation.willing)
        guard isTooSlow || !isServed(by: operation.willing) else { return false }
        let reason =
            operation.lastFailure?.text
            ?? (isTooSlow
                ? "the HSMs here take longer for one call than a request may take"
                : "no HSM here serves the key at the moment")
        finish(id, .unavailable(reason), hsm: operation.lastFailure?.hsm, now: now, into: &actions)
        return true
    }

    // MARK: More than the HSMs can do

    /// True when another node that has room would have done an operation before it has had its turn here: the same
    /// comparison as among HSMs, with the way to that node added. What has been let in stays.
    ///
    /// Only while this node is asked for about as much as its HSMs can do: what goes to another node costs both of them,
    /// and whoever has stolen a node's key is to get nothing of a cluster that is well.
    private func isFasterElsewhere(_ operation: OperationRecord, now: UInt64) -> Bool {
        guard operation.terms.mayPassOn, let detour, let pace = pace(of: operation.willing),
            load.arrivals(for: operation.willing, now: now) > Self.pressed * pace.perNanosecond * 1e9
        else { return false }
        let ahead = waiting.ahead(ofShare: operation.terms.share, sharing: operation.willing)
        return Double(ahead + 1) / pace.perNanosecond + pace.service > Double(detour)
    }

    /// From this share of what its HSMs can do on, a node looks for others that have room.
    private static let pressed = 0.9

    /// How fast lanes of these HSMs become free, and how long a call then takes; `nil` while none of them serves, or
    /// nothing is known of one that does.
    private func pace(of set: HSMSet) -> (perNanosecond: Double, service: Double)? {
        var (rate, shortest) = (0.0, Double.infinity)
        var isKnown = true
        set.forEach { hsm in
            guard hsms.indices.contains(hsm), hsms[hsm].isServing, hsms[hsm].lively > 0 else { return }
            guard let pace = hsms[hsm].pace, let mean = hsms[hsm].service.mean else { return isKnown = false }
            rate += pace
            shortest = min(shortest, mean * Double(hsms[hsm].depth))
        }
        return isKnown && rate > 0 ? (rate, shortest) : nil
    }

    /// True when an operation that finds no lane can be answered in time by standing in the line.
    ///
    /// A line that is let grow until its first is about to expire wastes the HSMs on answers that nobody waits for any
    /// more: at 1.3 times their capacity a tenth of it would be served. What cannot be served is refused at once
    /// instead, and goodput stays at capacity. One that an HSM has failed has been let in before. What other nodes
    /// cannot do waits no longer than chance has requests wait below capacity.
    private func mayStandInLine(_ operation: OperationRecord, atFront: Bool, now: UInt64) -> Bool {
        guard waiting.count(ofShare: operation.terms.share) < limits.waiting else { return false }
        guard !atFront, operation.deadline > now, let pace = pace(of: operation.willing) else { return true }
        let ahead = waiting.ahead(ofShare: operation.terms.share, sharing: operation.willing)
        let wait = Double(ahead + 1) / pace.perNanosecond
        let left = Double(operation.deadline - now)
        if operation.terms.isSurplus, waiting.isStanding || wait > left / 8 { return false }
        if waiting.isStanding(operation.terms.share), wait > standingWait(of: left, pace.service) { return false }
        return wait + pace.service * Double(operation.terms.calls) <= left
    }

    /// What a request that has so much time may wait in a standing line. Half of its time where calls take little of the
    /// rest: a burst passes in it. Where they take more, so much that also a call of thrice the usual time is answered; and
    /// always as much as keeps the lanes busy, slow ones, too.
    private func standingWait(of time: Double, _ service: Double) -> Double {
        max(min(time / 2, time - 3 * service), time / 4, service)
    }

    /// Ends those at the front of the line that have waited until no HSM can answer them in time, or, while the line
    /// stands, for a quarter longer than it should hold anybody: whoever stands behind them has more time left.
    private mutating func refuseLate(now: UInt64, into actions: inout PoolActions) {
        while let late = waiting.first(where: { isTooLate($0, now: now) }) {
            counters.overloads &+= 1
            finish(late.id, .overloaded, now: now, into: &actions)
        }
    }

    private func isTooLate(_ entry: WaitingLine.Entry, now: UInt64) -> Bool {
        guard let operation = operations[entry.id], let pace = pace(of: operation.willing) else { return false }
        let left = operation.deadline > now ? Double(operation.deadline - now) : 0
        let age = now > entry.since ? now - entry.since : 0
        let time = operation.deadline > entry.since ? Double(operation.deadline - entry.since) : 0
        let bound = 1.25 * standingWait(of: time, pace.service)
        // While more is asked than can be done, somebody else has the lane for whom it is of use: what would be late if its
        // call took a little longer than usual is let go.
        let needed = waiting.isStanding ? max(leastTime(of: operation.willing), pace.service) : pace.service
        return left < needed * Double(operation.terms.calls) && age > 0
            || waiting.isStanding(operation.terms.share) && Double(age) > bound
                && !isReinforced(operation, now: now)
    }

    /// What nearly all calls take at most on the one of these HSMs where that is least.
    private func leastTime(of set: HSMSet) -> Double {
        var least = Double.infinity
        set.forEach { hsm in
            guard hsms.indices.contains(hsm), hsms[hsm].isServing, hsms[hsm].lively > 0 else { return }
            least = min(least, hsms[hsm].service.mostly ?? 0)
        }
        return least
    }

    /// Whom to ask next: those that have not been asked; when none of these serves, those that failed as well. Never
    /// one that cannot help, nor one that is at it.
    func candidates(for operation: OperationRecord) -> HSMSet {
        if let check = operation.check {
            let set = checkCandidates(operation, check)
            return set.count > 1 ? set.subtracting(operation.flights.hsms) : set
        }
        let idle = operation.willing.subtracting(operation.flights.hsms)
        let fresh = idle.subtracting(operation.asked)
        return isServed(by: fresh) ? fresh : idle
    }

    /// When no HSM that holds the key serves, one that is out gets the request all the same: an honest attempt is
    /// better than a refusal on a stale opinion. Only a few at a time, so that a sick HSM is not flooded.
    @discardableResult
    mutating func tryLastResort(_ id: OperationID, now: UInt64, into actions: inout PoolActions) -> Bool {
        guard let operation = operations[id], !isServed(by: operation.willing) else { return false }
        var chosen: Int?
        operation.willing.forEach { hsm in
            guard hsms.indices.contains(hsm), hsms[hsm].phase == .probing, hsms[hsm].isOpen,
                hsms[hsm].lanes.freeCount > 0, hsms[hsm].lastResorts < limits.lastResort
            else { return }
            // One that has not failed at it yet before one that has.
            if chosen == nil || operation.asked.contains(chosen ?? hsm) && !operation.asked.contains(hsm) {
                chosen = hsm
            }
        }
        guard let hsm = chosen, let lane = hsms[hsm].lanes.takeFree(group: operation.group) else { return false }
        if operation.isWaiting { leaveLine(id, now: now) }
        hsms[hsm].lastResorts += 1
        counters.lastResorts &+= 1
        dispatch(id, to: LaneID(hsm: hsm, lane: lane), now: now, isLastResort: true, into: &actions)
        return true
    }

    /// True when one of them gets requests, whether it has a free lane or not. One whose every lane is silent does not.
    func isServed(by set: HSMSet) -> Bool {
        set.contains {
            hsms.indices.contains($0) && hsms[$0].isServing && hsms[$0].lanes.open > hsms[$0].lanes.overdue
        }
    }

    /// True when some of them get requests, and none of these can answer one in time, by its probes.
    private func isTooSlow(_ set: HSMSet) -> Bool {
        set.contains { hsms.indices.contains($0) && hsms[$0].isServing && hsms[$0].slowCall != nil }
            && !set.contains {
                hsms.indices.contains($0) && hsms[$0].isServing && hsms[$0].slowCall == nil
                    && hsms[$0].lanes.open > hsms[$0].lanes.overdue
            }
    }

    mutating func dispatch(
        _ id: OperationID, to lane: LaneID, now: UInt64, isHedge: Bool = false, isLastResort: Bool = false,
        into actions: inout PoolActions
    ) {
        guard var operation = operations[id] else { return hsms[lane.hsm].lanes.putBack(lane.lane) }
        var question = LaneQuestion.request
        if operation.check != nil {
            guard let wanted = operation.check?.begin(on: lane) else { return hsms[lane.hsm].lanes.putBack(lane.lane) }
            question = wanted
        } else {
            operation.attempts += 1
            operation.asked.insert(lane.hsm)
        }
        operation.isWaiting = false
        operation.isHedged = operation.isHedged || isHedge
        operation.flights.add(lane)
        operations[id] = operation
        send(
            id, question, to: lane, isHedge: isHedge, isLastResort: isLastResort,
            isExclusive: operation.check != nil, now: now, into: &actions)
    }

    /// Sends a question down a lane that was taken for it.
    mutating func send(
        _ id: OperationID, _ question: LaneQuestion, to lane: LaneID, isHedge: Bool = false,
        isLastResort: Bool = false, isExclusive: Bool, now: UInt64, into actions: inout PoolActions
    ) {
        guard let deadline = operations[id]?.deadline else { return }
        lastGeneration &+= 1
        let patience = hsms[lane.hsm].patience(limits: limits, isOverloaded: waiting.isStanding)
        var work = LaneWork(
            operation: id, generation: lastGeneration, sentAt: now, calledAt: now, patience: patience.silentAfter,
            patienceEnds: min(deadline, now &+ patience.silentAfter),
            hedgeAt: isExclusive ? .max : patience.hedgeAt(from: now), inFlight: hsms[lane.hsm].inFlight + 1,
            isHedge: isHedge, isLastResort: isLastResort)
        work.question = question
        work.isExclusive = isExclusive
        if !isExclusive, hsms[lane.hsm].inFlight == 0, hsms[lane.hsm].service.isTry(now: now) {
            work.isTry = true
            work.hedgeAt = min(work.hedgeAt, now &+ limits.shortestHedge)
        }
        hsms[lane.hsm].service.asked(now: now)
        hsms[lane.hsm].lanes.give(work, to: lane.lane)
        actions.dispatches.append(
            Dispatch(operation: id, lane: lane, generation: lastGeneration, deadline: deadline, question: question))
    }

    // MARK: The line

    /// A lane of `hsm` may have become free, or have room: gives it to the first in the line that can use it, or to one
    /// a few positions behind it that is of the lane's group.
    mutating func serveWaiting(hsm: Int, now: UInt64, into actions: inout PoolActions) {
        guard !waiting.isEmpty else { return }
        waiting.observe(now: now)
        refuseLate(now: now, into: &actions)
        while hsms[hsm].isServing, hsms[hsm].hasRoom {
            let depth = hsms[hsm].depth
            let choice = waiting.choice { entry, ahead in
                guard let operation = operations[entry.id], operation.deadline > now,
                    candidates(for: operation).contains(hsm)
                else { return .cannot }
                // What has waited as long as a line should hold it takes what comes.
                let isOld = now > entry.since &+ WaitingLine.target
                if !isOld, isWorthMore(operation, than: hsm, ahead: ahead, now: now) { return .cannot }
                if let time = hsms[hsm].service.mostly,
                    Double(operation.deadline - now) < time * Double(operation.terms.calls)
                {
                    return .cannot
                }
                // One that another HSM has failed has waited enough.
                let fits = hsms[hsm].lanes.hasRoom(group: operation.group, depth: depth)
                return operation.attempts > 0 || fits ? .likes : .can
            }
            guard let choice, let group = operations[choice.id]?.group,
                let lane = hsms[hsm].lanes.takeRoom(group: group, depth: depth)
            else { return }
            operations[choice.id]?.waited &+= waiting.take(choice, now: now)
            dispatch(choice.id, to: LaneID(hsm: hsm, lane: lane), now: now, into: &actions)
        }
    }

    /// Ends what waits for HSMs none of which will come back by itself.
    mutating func abandonHopeless(now: UInt64, into actions: inout PoolActions) {
        for id in waiting.ids {
            guard let operation = operations[id], operation.flights.isEmpty else { continue }
            if !hasHope(operation.willing.union(operation.hopeful)) { giveUp(id, now: now, into: &actions) }
        }
    }

    /// No HSM is left to ask. "The key is gone" is said only when every HSM has said so that is not out for long or
    /// drained: one that is silent, or out for a moment, may still hold it.
    mutating func giveUp(_ id: OperationID, now: UInt64, into actions: inout PoolActions) {
        guard let operation = operations[id] else { return }
        let silent = operation.holders.union(operation.hopeful).subtracting(operation.missing)
        let failure = operation.lastFailure
        if !operation.missing.isEmpty, !hasHope(silent) {
            finish(id, .callersFault(.keyIsGone), hsm: failure?.hsm, now: now, into: &actions)
        } else {
            finish(id, .unavailable(failure?.text ?? "no HSM can serve"), hsm: failure?.hsm, now: now, into: &actions)
        }
    }

    /// The end of an operation. Nobody waits any more for what its lanes are still doing.
    mutating func finish(
        _ id: OperationID, _ outcome: OperationOutcome, hsm: Int? = nil, now: UInt64, into actions: inout PoolActions
    ) {
        if operations[id]?.isWaiting == true { leaveLine(id, now: now) }
        guard let operation = operations.removeValue(forKey: id) else { return }
        load.ended(outcome, of: operation.terms, now: now)
        operation.flights.forEach { forget(id, on: $0) }
        actions.finishes.append(
            Finish(
                operation: id, outcome: outcome, hsm: hsm, attempts: operation.attempts,
                isHedged: operation.isHedged, waited: operation.waited))
        endCheck(id, now: now, into: &actions)
    }

    /// It stands in the line no more.
    mutating func leaveLine(_ id: OperationID, now: UInt64) {
        operations[id]?.waited &+= waiting.remove(id, now: now)
        operations[id]?.isWaiting = false
    }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// How lanes come and go: a lane is in exactly one state.

extension PoolMachine {
    func laneState(_ lane: LaneID) -> LaneState? {
        guard hsms.indices.contains(lane.hsm), hsms[lane.hsm].lanes.indices.contains(lane.lane) else { return nil }
        return hsms[lane.hsm].lanes[lane.lane]
    }

    /// The call of a busy lane has returned.
    mutating func release(_ lane: LaneID, _ work: LaneWork) {
        hsms[lane.hsm].busy -= 1
        if work.isOverdue { hsms[lane.hsm].overdue -= 1 }
        if work.isLastResort { hsms[lane.hsm].lastResorts -= 1 }
        hsms[lane.hsm].giveBack(lane.lane)
        if let id = work.operation { operations[id]?.flights.remove(lane) }
    }

    /// A lane that was taken is not used after all.
    mutating func putBack(_ lane: LaneID) { hsms[lane.hsm].giveBack(lane.lane) }

    mutating func close(_ lane: LaneID, state: LaneState) {
        switch state {
        case .closed: return
        case .parked: break
        case .free:
            hsms[lane.hsm].forgetFree(lane.lane)
            hsms[lane.hsm].open -= 1
        case .busy(let work):
            hsms[lane.hsm].busy -= 1
            hsms[lane.hsm].open -= 1
            if work.isOverdue { hsms[lane.hsm].overdue -= 1 }
            if work.isLastResort { hsms[lane.hsm].lastResorts -= 1 }
        case .moving(let order, _, _):
            hsms[lane.hsm].moving -= 1
            if order == .openSession { hsms[lane.hsm].open -= 1 }
        }
        hsms[lane.hsm].lanes[lane.lane] = .closed
    }

    /// Closes every lane of an HSM, and moves what was on them.
    mutating func dropLanes(of hsm: Int, now: UInt64, into actions: inout PoolActions) {
        let states = hsms[hsm].lanes
        hsms[hsm].begin(open: 0, of: 0)
        for (lane, state) in states.enumerated() {
            guard case .busy(let work) = state, let id = work.operation else { continue }
            failed(
                id, lane: LaneID(hsm: hsm, lane: lane), failure: "its worker ended", now: now, into: &actions)
        }
    }

    /// After something changed at an HSM: parks or opens lanes as the allowance says, then serves who waits.
    mutating func tend(_ hsm: Int, now: UInt64, into actions: inout PoolActions) {
        while hsms[hsm].open > hsms[hsm].allowed, let lane = hsms[hsm].lastFreeLane {
            hsms[hsm].forgetFree(lane)
            hsms[hsm].open -= 1
            move(LaneID(hsm: hsm, lane: lane), .closeSession, now: now, into: &actions)
        }
        while hsms[hsm].wantsLane, hsms[hsm].openAgainAt <= now,
            let lane = hsms[hsm].lanes.firstIndex(of: .parked)
        {
            hsms[hsm].open += 1
            move(LaneID(hsm: hsm, lane: lane), .openSession, now: now, into: &actions)
        }
        serveWaiting(hsm: hsm, now: now, into: &actions)
    }

    private mutating func move(
        _ lane: LaneID, _ order: LaneOperation, now: UInt64, into actions: inout PoolActions
    ) {
        lastGeneration &+= 1
        hsms[lane.hsm].moving += 1
        hsms[lane.hsm].lanes[lane.lane] = .moving(order, generation: lastGeneration, since: now)
        actions.laneOrders.append(LaneOrder(lane: lane, generation: lastGeneration, operation: order))
    }

    /// A lane has opened or closed its session, or could not.
    mutating func moved(
        _ lane: LaneID, _ order: LaneOperation, disposition: Disposition, now: UInt64, into actions: inout PoolActions
    ) {
        hsms[lane.hsm].moving -= 1
        if order == .openSession, disposition == .done {
            hsms[lane.hsm].giveBack(lane.lane)
        } else {
            hsms[lane.hsm].lanes[lane.lane] = .parked
            if order == .openSession {
                // Most often: the token has no session left. What it refuses now it may give later.
                hsms[lane.hsm].open -= 1
                hsms[lane.hsm].openAgainAt = now &+ limits.sessionRetry
            }
            if disposition == .hsmOut || disposition == .hsmSuspect {
                weigh(disposition, from: lane.hsm, latency: 0, now: now, into: &actions)
            }
        }
        tend(lane.hsm, now: now, into: &actions)
    }
}

extension HSMRecord {
    /// True when a parked lane may open a session.
    var wantsLane: Bool { open < min(allowed, lanes.count) && lanes.contains(.parked) }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// How lanes come and go: a lane is in exactly one state.

extension PoolMachine {
    func laneState(_ lane: LaneID) -> LaneState? {
        hsms.indices.contains(lane.hsm) ? hsms[lane.hsm].lanes.state(of: lane.lane) : nil
    }

    /// The work that was sent down a lane as `generation`, if it is still on it.
    func work(on lane: LaneID, generation: UInt64) -> LaneWork? {
        guard hsms.indices.contains(lane.hsm) else { return nil }
        return hsms[lane.hsm].lanes.work(on: lane.lane) { $0.generation == generation }
    }

    /// The work that a lane has for an operation.
    func work(on lane: LaneID, for id: OperationID) -> LaneWork? {
        guard hsms.indices.contains(lane.hsm) else { return nil }
        return hsms[lane.hsm].lanes.work(on: lane.lane) { $0.operation == id }
    }

    /// What was sent down a lane as `generation` has been answered.
    mutating func release(_ lane: LaneID, generation: UInt64, now: UInt64) -> LaneWork? {
        guard hsms.indices.contains(lane.hsm),
            let work = hsms[lane.hsm].lanes.end(generation, on: lane.lane, now: now)
        else { return nil }
        if work.isLastResort { hsms[lane.hsm].lastResorts -= 1 }
        if let id = work.operation { operations[id]?.flights.remove(lane) }
        return work
    }

    /// Nobody waits any more for what a lane does for an operation.
    mutating func forget(_ id: OperationID, on lane: LaneID) {
        guard hsms.indices.contains(lane.hsm),
            let position = hsms[lane.hsm].lanes.position(on: lane.lane, where: { $0.operation == id })
        else { return }
        hsms[lane.hsm].lanes.change(on: lane.lane, at: position) { $0.operation = nil }
    }

    /// Closes every lane of an HSM, and moves what was on them.
    mutating func dropLanes(of hsm: Int, now: UInt64, into actions: inout PoolActions) {
        let lost = hsms[hsm].lanes.works
        hsms[hsm].lanes.begin(open: 0, of: 0)
        hsms[hsm].lastResorts = 0
        for (lane, work) in lost {
            lose(work, on: LaneID(hsm: hsm, lane: lane), failure: "its worker ended", now: now, into: &actions)
        }
    }

    /// Work is lost with its lane, and the operation moves on.
    mutating func lose(
        _ work: LaneWork, on lane: LaneID, failure: String, now: UInt64, into actions: inout PoolActions
    ) {
        guard let id = work.operation else { return }
        operations[id]?.lost.append(LostCall(generation: work.generation, hsm: lane.hsm, last: lastGeneration))
        failed(id, lane: lane, failure: failure, now: now, into: &actions)
    }

    /// After something changed at an HSM: parks or opens lanes as the allowance says, then serves who waits.
    mutating func maintain(_ hsm: Int, now: UInt64, into actions: inout PoolActions) {
        while hsms[hsm].lanes.open > hsms[hsm].allowed, let lane = hsms[hsm].lanes.lastFree {
            move(LaneID(hsm: hsm, lane: lane), .closeSession, now: now, into: &actions)
        }
        while hsms[hsm].wantsLane, hsms[hsm].openAgainAt <= now, let lane = hsms[hsm].lanes.firstParked {
            move(LaneID(hsm: hsm, lane: lane), .openSession, now: now, into: &actions)
        }
        serveWaiting(hsm: hsm, now: now, into: &actions)
    }

    private mutating func move(
        _ lane: LaneID, _ order: LaneOperation, now: UInt64, into actions: inout PoolActions
    ) {
        lastGeneration &+= 1
        hsms[lane.hsm].lanes.move(lane.lane, order, generation: lastGeneration, now: now)
        actions.laneOrders.append(LaneOrder(lane: lane, generation: lastGeneration, operation: order))
    }

    /// A lane has opened or closed its session, or could not.
    mutating func moved(
        _ lane: LaneID, _ order: LaneOperation, disposition: Disposition, _ refusal: HSMRefusal?, now: UInt64,
        into actions: inout PoolActions
    ) {
        if order == .openSession, disposition == .done {
            hsms[lane.hsm].lanes.opened(lane.lane)
        } else {
            hsms[lane.hsm].lanes.parked(lane.lane, after: order)
            // Most often: the token has no session left. What it refuses now it may give later.
            if order == .openSession { hsms[lane.hsm].openAgainAt = now &+ limits.sessionRetry }
            if disposition == .hsmOut || disposition == .hsmSuspect {
                weigh(disposition, refusal, from: lane.hsm, latency: 0, now: now, into: &actions)
            }
        }
        maintain(lane.hsm, now: now, into: &actions)
    }
}

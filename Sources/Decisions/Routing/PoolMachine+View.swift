// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import StatusVocabulary

// What can be seen from outside.

extension PoolMachine {
    /// Operations that have not been finished.
    package var unfinished: Int { operations.count }

    /// Operations that wait for a free lane.
    package var inLine: Int { waiting.count }

    /// Refused ciphertexts that are being looked into, or wait for that.
    package var checksOpen: Int { checks.count }

    /// What an operation is at: the HSMs whose lanes have it, whether it stands in the line, whether its ciphertext is
    /// being looked into, and how many calls were made. `nil` where it is finished.
    package func whereabouts(
        of id: OperationID
    ) -> (hsms: HSMSet, isWaiting: Bool, isChecked: Bool, attempts: Int)? {
        operations[id].map { ($0.flights.hsms, $0.isWaiting, $0.check != nil, $0.attempts) }
    }

    /// True while a tick has something to decide that cannot wait for the next half second.
    package var needsTicks: Bool { !operations.isEmpty || hsms.contains { $0.lanes.busy > 0 || $0.lanes.moving > 0 } }

    /// What a request has from its arrival to its answer, nanoseconds.
    package var requestTime: UInt64 { limits.requestTime }

    package func phase(of hsm: Int) -> HSMPhase { hsms.indices.contains(hsm) ? hsms[hsm].phase : .down }

    package func isDrained(_ hsm: Int) -> Bool { hsms.indices.contains(hsm) && hsms[hsm].isDrained }

    /// Lanes of an HSM: with a session, at work (overdue ones included), overdue.
    package func lanes(of hsm: Int) -> (open: Int, busy: Int, overdue: Int) {
        guard hsms.indices.contains(hsm) else { return (0, 0, 0) }
        let lanes = hsms[hsm].lanes
        return (lanes.open, lanes.busy, lanes.overdue)
    }

    /// Requests that were sent down lanes of an HSM and wait behind the calls that these are at.
    package func queued(on hsm: Int) -> Int { hsms.indices.contains(hsm) ? hsms[hsm].lanes.queued : 0 }

    /// How long the node has stood still, all in all, nanoseconds: whoever waits for a sign of life has waited so much
    /// less.
    package var stoodStill: UInt64 { pauses.total }

    /// Calls of an HSM that have lasted longer than any attempt may. The HSM is passed over long before that; these are
    /// what a person should know of. A condition that comes and goes in seconds is one condition: after the last such
    /// call, one counts for three seconds more.
    package func silentCalls(of hsm: Int, now: UInt64) -> Int {
        guard hsms.indices.contains(hsm) else { return 0 }
        let silent = hsms[hsm].lanes.states.count { lane in
            guard case .busy(let call) = lane, now > call.calledAt else { return false }
            return now - call.calledAt > limits.longestAttempt
        }
        return silent == 0 && now < hsms[hsm].silentUntil ? 1 : silent
    }

    /// What one call took of the last probe of an HSM that serves, nanoseconds, where no request can wait for as long, and no
    /// answer has come in time since; `nil` where calls are fast enough, as far as is known.
    package func slowCall(of hsm: Int) -> UInt64? {
        hsms.indices.contains(hsm) && hsms[hsm].phase == .serving ? hsms[hsm].slowCall : nil
    }

    /// Share of an HSM's recent answers that failed softly: 0 … 1.
    package func failureShare(of hsm: Int, now: UInt64) -> Double {
        hsms.indices.contains(hsm) ? hsms[hsm].failureShare(now: now) : 0
    }

    /// How long an HSM's recent answers took; `nil` until there have been enough of them.
    package func latency(of hsm: Int) -> HSMStatus.Latency? {
        guard hsms.indices.contains(hsm), let known = hsms[hsm].latency.known else { return nil }
        return .init(p50: known.p50 / 1_000, p95: known.p95 / 1_000, p99: known.p99 / 1_000)
    }

    /// What was learned of an HSM; `nil` before its first answer.
    package func learned(of hsm: Int, now: UInt64) -> HSMStatus.Learned? {
        guard hsms.indices.contains(hsm), hsms[hsm].service.mean != nil else { return nil }
        let lanes = hsms[hsm].lanes.open * hsms[hsm].depth
        return .init(
            callMicroseconds: UInt64(min(hsms[hsm].service.centre, 1e15)) / 1_000,
            usefulCalls: Int(min(hsms[hsm].limit.limit, Double(lanes))),
            callsPerSecond: hsms[hsm].capacity(now: now).map { Int(min($0, 1e9)) })
    }

    /// What an HSM does.
    package func work(of hsm: Int, now: UInt64) -> HSMStatus.Work {
        guard hsms.indices.contains(hsm) else { return .init() }
        return .init(
            callsPerSecond: hsms[hsm].calls.perSecond(now: now), thrownAway: hsms[hsm].thrownAway,
            longestWaitMicroseconds: waiting.oldest(sharing: [hsm]).map { (now > $0 ? now - $0 : 0) / 1_000 })
    }

    /// What the HSMs could do for nodes that have more than they can do; no operations while something that was asked
    /// here has just been refused. `nil` while none of them serves of which anything is known.
    ///
    /// The rest of what they can do, beside what was asked here, and without the last twentieth: near what HSMs can do
    /// all answers come late, and those who ask here come first.
    package func room(now: UInt64) -> SpareRoom? {
        var (capacity, time, used) = (0.0, 0.0, 0)
        for hsm in hsms where hsm.isServing {
            guard let own = hsm.capacity(now: now) else { continue }
            capacity += own
            time += own * hsm.service.expected(isIdle: false, now: now)
            used += hsm.calls.perSecond(now: now)
        }
        guard capacity > 0 else { return nil }
        let own = Double(max(used - load.surplus(now: now), 0))
        let spare = load.isFull(now: now) ? 0 : max(0.95 * capacity - own, 0)
        return SpareRoom(perSecond: Int(min(spare, 1e9)), call: UInt64(min(time / capacity, 1e12)))
    }

    /// What a lane was asked as `generation`, and for whom; `nil` when nobody waits for the answer.
    package func question(on lane: LaneID, generation: UInt64) -> (LaneQuestion, OperationID)? {
        guard let work = work(on: lane, generation: generation), let id = work.operation else { return nil }
        return (work.question, id)
    }

    /// Lanes' answers are read by the kind of work they were given.
    package func kind(on lane: LaneID, generation: UInt64) -> LaneOperation? {
        if case .moving(let order, generation, _) = laneState(lane) { return order }
        return work(on: lane, generation: generation)?.operation.flatMap { operations[$0]?.kind }
    }
}

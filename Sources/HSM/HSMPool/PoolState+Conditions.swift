// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing

// What people are shown of each HSM, and the workers that have fallen silent.

extension PoolState {
    /// Health may be reported from probes at most this old, nanoseconds (XKS 1.0.3, "GetHealthStatus": 60 s). The time
    /// in which the whole node stood still is none of the HSM's: it is probed as soon as both go on.
    private static let oldestProbe: UInt64 = 60_000_000_000
    /// From this share of soft failures on people are informed.
    private static let notableFailures = 0.1

    /// Brings every HSM's condition up to date. Returns those that changed.
    mutating func refreshConditions(now: UInt64) -> [HSMTransition] {
        var changes: [HSMTransition] = []
        // Of two positions with one name people are shown the one that serves.
        for index in hsms.indices where hsms[index].isShown {
            let (condition, reason) = condition(of: index, now: now)
            if hsms[index].conditionSince == 0 { hsms[index].conditionSince = now }
            guard condition != hsms[index].condition else { continue }
            changes.append(
                HSMTransition(
                    hsm: hsms[index].settings.name, from: hsms[index].condition, to: condition, reason: reason))
            hsms[index].condition = condition
            hsms[index].conditionSince = now
        }
        return changes
    }

    func condition(of hsm: Int, now: UInt64) -> (HSMCondition, reason: String) {
        let entry = hsms[hsm]
        switch machine.phase(of: hsm) {
        case .serving: return servingCondition(of: hsm, now: now)
        case .probing where entry.hasServed: return (.probing, entry.probeFailure ?? "its last answers were failures")
        case .probing: return (.starting, "its worker is ready, and its first probe is under way")
        case .starting where !entry.hasServed && entry.failure == nil: return (.starting, entry.outReason)
        case .starting, .down: return (.unavailable, entry.failure?.message ?? entry.outReason)
        }
    }

    private func servingCondition(of hsm: Int, now: UInt64) -> (HSMCondition, reason: String) {
        let silent = machine.silentCalls(of: hsm, now: now)
        if silent > 0 { return (.degraded, "\(silent) of its calls have not returned in time") }
        let failures = machine.failureShare(of: hsm, now: now)
        if failures >= Self.notableFailures {
            return (.degraded, "\(Int(failures * 100)) % of its last answers were failures")
        }
        let lanes = machine.closedLanes(of: hsm)
        if lanes.closed > 0 {
            return (
                .degraded, "it serves by \(lanes.of - lanes.closed) of \(lanes.of) lanes: its worker closed the others"
            )
        }
        let probed = hsms[hsm].lastProbed
        if probed > 0, awake(now) > probed, awake(now) - probed > Self.oldestProbe {
            return (.degraded, "it was last probed \((awake(now) - probed) / 1_000_000_000) s ago")
        }
        if hsms[hsm].absence.isEmpty { return (.degraded, "its token shows no key that a key store offers") }
        return (.active, "")
    }

    func status(of hsm: Int, now: UInt64) -> HSMStatus {
        let entry = hsms[hsm]
        let lanes = machine.lanes(of: hsm)
        var status = HSMStatus(
            name: entry.settings.name, module: entry.settings.worker.module, condition: entry.condition,
            reason: condition(of: hsm, now: now).reason, since: entry.conditionSince)
        status.identity = entry.identity
        status.capabilities = entry.capabilities
        status.tier = entry.settings.traits.tier
        status.weight = entry.settings.traits.weight
        status.isDrained = machine.isDrained(hsm)
        status.latency = machine.latency(of: hsm).map {
            LatencySummary(p50: $0.p50 / 1_000, p95: $0.p95 / 1_000, p99: $0.p99 / 1_000)
        }
        status.learned = machine.learned(of: hsm, now: now)
        status.work = machine.work(of: hsm, now: now)
        status.failures = entry.failures
        (status.lanesOpen, status.lanesBusy, status.lanesOverdue) = lanes
        status.queued = machine.queued(on: hsm)
        status.keys = proof.keyCount(hsm: hsm)
        status.workerPID = entry.worker?.pid ?? 0
        return status
    }

    /// Has workers started anew whose word that a key is gone is in doubt.
    mutating func lookAgain(now: UInt64) -> [PoolEffect] {
        var effects: [PoolEffect] = []
        for hsm in hsms.indices where hsms[hsm].role.isMember && machine.phase(of: hsm) == .serving {
            let others = serving.subtracting([hsm])
            let (proof, worker) = (proof, hsms[hsm].worker)
            guard worker != nil,
                let reason = hsms[hsm].absence.restart(
                    now: now, isServedElsewhere: { !proof.holders(of: $0).intersection(others).isEmpty })
            else { continue }
            effects += self.effects(of: machine.fellSilent(hsm, reason: reason, now: now), now: now)
        }
        return effects
    }

    private var serving: HSMSet { HSMSet(hsms.indices.filter { machine.phase(of: $0) == .serving }) }

    /// A moment on a clock that stands still while the whole node does: whoever was silent meanwhile has not been.
    func awake(_ now: UInt64) -> UInt64 { now &- min(machine.stoodStill, now) }

    /// HSMs whose worker has said nothing for longer than it should, with the words for it.
    ///
    /// A worker that hangs while requests are on its lanes is found by its overdue lanes. This finds the others: one that
    /// hangs without work, whose probes stay away, and one that never comes up.
    func silent(now: UInt64) -> [(hsm: Int, reason: String)] {
        hsms.indices.compactMap { hsm in
            let entry = hsms[hsm]
            guard entry.worker != nil, awake(now) > entry.lastReceived else { return nil }
            let silence = awake(now) - entry.lastReceived
            let phase = machine.phase(of: hsm)
            let stuckAfter = entry.settings.traits.stuckAfter
            let patience =
                switch phase {
                case .serving: 2 * UInt64(entry.settings.worker.probeInterval) * 1_000_000 + stuckAfter
                // It is asked for a probe every few seconds.
                case .probing: PoolMachine.longestProbePause + stuckAfter
                case .starting, .down: machine.startPatience(of: hsm, longest: startPatience)
                }
            guard silence > patience else { return nil }
            let what =
                phase == .serving || phase == .probing
                ? "its probes have stayed away for" : "its worker has not come up for"
            return (hsm, "\(what) \(silence / 1_000_000) ms")
        }
    }
}

/// What one HSM turned out to be and to hold.
package struct HSMInventory: Sendable {
    package let name: String
    package let module: String
    package let condition: HSMCondition
    /// Why it is in that condition; empty when active.
    package let reason: String
    /// What kind of failure keeps it from serving, where its worker has said so.
    package let failure: WorkerFailureKind?
    package let identity: TokenIdentity?
    /// Labels of the keys that can serve, sorted.
    package let labels: [KeyLabel]
    /// Key objects that cannot.
    package let complaints: [CatalogueComplaint]
}

extension PoolState {
    func inventory(of hsm: Int, now: UInt64) -> HSMInventory {
        let (condition, reason) = condition(of: hsm, now: now)
        return HSMInventory(
            name: hsms[hsm].settings.name, module: hsms[hsm].settings.worker.module, condition: condition,
            reason: reason, failure: hsms[hsm].failure?.kind, identity: hsms[hsm].identity,
            labels: proof.labels(hsm: hsm), complaints: hsms[hsm].complaints)
    }
}

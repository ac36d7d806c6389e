// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import StatusVocabulary

// What people are shown of each HSM, and the workers that have fallen silent.

extension PoolState {
    /// Health may be reported from probes at most this old, nanoseconds (XKS 1.0.3, "GetHealthStatus": 60 s). The time
    /// in which the whole node stood still is none of the HSM's: it is probed as soon as both go on.
    private static let oldestProbe: UInt64 = 60_000_000_000
    /// From this share of soft failures on people are informed.
    private static let notableFailures = 0.1

    /// Brings every HSM's state up to date. Returns those that changed.
    mutating func refreshStates(now: UInt64) -> [HSMStateChange] {
        var changes: [HSMStateChange] = []
        // Of two positions with one name people are shown the one that serves.
        for index in hsms.indices where hsms[index].isShown {
            let (state, reason) = state(of: index, now: now)
            if hsms[index].stateSince == 0 { hsms[index].stateSince = now }
            guard state != hsms[index].state else { continue }
            changes.append(
                HSMStateChange(
                    hsm: hsms[index].settings.name, from: hsms[index].state, to: state, reason: reason))
            hsms[index].state = state
            hsms[index].stateSince = now
        }
        return changes
    }

    func state(of hsm: Int, now: UInt64) -> (HSMState, reason: String) {
        let entry = hsms[hsm]
        let phase = machine.phase(of: hsm)
        let flaw = phase == .serving ? flaw(of: hsm, now: now) : nil
        let state = HSMState(
            phase, hasServed: entry.hasServed, hasFailed: entry.failure != nil, isFlawed: flaw != nil)
        let reason =
            switch state {
            case .active: ""
            case .degraded: flaw ?? ""
            case .probing: entry.probeFailure ?? "its last answers were failures"
            case .starting where phase == .probing:
                entry.probeFailure ?? "its worker is ready, and its first probe is under way"
            case .starting: entry.outReason
            case .unavailable: entry.failure?.message ?? entry.outReason
            }
        return (state, reason)
    }

    /// What is wrong with an HSM that serves; `nil` where nothing is.
    private func flaw(of hsm: Int, now: UInt64) -> String? {
        if let call = machine.slowCall(of: hsm) {
            return "a call of its last probe took \(call / 1_000_000) ms, and a request may take "
                + "\(machine.requestTime / 1_000_000) ms (xks.request_deadline): requests to it time out"
        }
        let silent = machine.silentCalls(of: hsm, now: now)
        if silent > 0 { return "\(silent) of its calls have not returned in time" }
        let failures = machine.failureShare(of: hsm, now: now)
        if failures >= Self.notableFailures {
            return "\(Int(failures * 100)) % of its last answers were failures"
        }
        let lanes = machine.closedLanes(of: hsm)
        if lanes.closed > 0 {
            return "it serves by \(lanes.of - lanes.closed) of \(lanes.of) lanes: its worker closed the others"
        }
        let probed = hsms[hsm].lastProbed
        if probed > 0, awake(now) > probed, awake(now) - probed > Self.oldestProbe {
            return "it was last probed \((awake(now) - probed) / 1_000_000_000) s ago"
        }
        if hsms[hsm].absence.isEmpty { return "its token shows no key that a key store offers" }
        return nil
    }

    /// - Parameter unixSeconds: the wall clock at `now`.
    func status(of hsm: Int, now: UInt64, unixSeconds: Int64) -> PoolHSM {
        let entry = hsms[hsm]
        let complaints = entry.complaints.filter(\.label.isEmpty).map(\.reason)
        let lanes = machine.lanes(of: hsm)
        let reason = state(of: hsm, now: now).reason
        let age = now > entry.stateSince ? now - entry.stateSince : 0
        return PoolHSM(
            shown: HSMStatus(
                name: entry.settings.name, tokenLabel: entry.identity?.label, serial: entry.identity?.serial,
                model: entry.identity?.model, firmware: entry.identity?.firmware, state: entry.state,
                reason: reason.isEmpty ? nil : reason,
                sinceUnixSeconds: unixSeconds - Int64(clamping: age / 1_000_000_000),
                lanes: .init(
                    open: lanes.open, inUse: lanes.busy, overdue: lanes.overdue, queued: machine.queued(on: hsm)),
                keys: proof.keyCount(hsm: hsm), tier: entry.settings.traits.tier, weight: entry.settings.traits.weight,
                drained: machine.isDrained(hsm), latencyMicroseconds: machine.latency(of: hsm),
                learned: machine.learned(of: hsm, now: now), work: machine.work(of: hsm, now: now),
                compartment: entry.compartment, settingsRefused: refusedSettings(of: hsm),
                complaints: complaints.isEmpty ? nil : complaints, missesDeadline: machine.slowCall(of: hsm) != nil),
            module: entry.settings.worker.module, identity: entry.identity, failures: entry.failures,
            workerPID: entry.worker?.pid ?? 0)
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
    package let state: HSMState
    /// Why it is in that state; empty when active.
    package let reason: String
    /// What kind of failure keeps it from serving, where its worker has said so.
    package let failure: WorkerFailureKind?
    package let identity: TokenIdentity?
    /// Labels of the keys that can serve, sorted.
    package let labels: [KeyLabel]
    /// What they may do, by label.
    package let usages: [KeyLabel: KeyUsage]
    /// Key objects that cannot.
    package let complaints: [CatalogueComplaint]
    /// What its library is kept from; `nil` where no worker could be started.
    package let compartment: Compartment?
}

extension PoolState {
    func inventory(of hsm: Int, now: UInt64) -> HSMInventory {
        let (state, reason) = state(of: hsm, now: now)
        let labels = proof.labels(hsm: hsm)
        let usages = labels.map { ($0, proof.usage(of: $0, hsm: hsm)) }
        return HSMInventory(
            name: hsms[hsm].settings.name, module: hsms[hsm].settings.worker.module, state: state,
            reason: reason, failure: hsms[hsm].failure?.kind, identity: hsms[hsm].identity,
            labels: labels, usages: Dictionary(usages) { first, _ in first }, complaints: hsms[hsm].complaints,
            compartment: hsms[hsm].compartment)
    }
}

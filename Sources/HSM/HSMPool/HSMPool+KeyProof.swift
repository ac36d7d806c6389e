// SPDX-License-Identifier: Apache-2.0
import Crypto
import KeyProof
import LaneProtocol
import Logging
import Routing

// Drives the key proof: checks go to the workers, what they say comes back, and the requests that wait learn of it.

extension PoolState {
    /// True when every HSM can serve or has said why it cannot, and the keys of those that serve have been looked at
    /// for the first time.
    var isSettled: Bool {
        let positions = shown
        return positions.allSatisfy { hsms[$0].hasServed || hsms[$0].failure != nil }
            && !positions.contains { hsm in
                hsms[hsm].absence.isReading || hsms[hsm].hasServed && proof.hasPending(hsm: hsm)
            }
    }

    /// Turns what the proof says into effects, and lets the operations that wait know who holds their keys now.
    mutating func effects(of actions: ProofActions, now: UInt64) -> [PoolEffect] {
        var effects: [PoolEffect] = actions.news.map { .announce($0) }
        effects += actions.canaries.map { .keep($0) }
        effects += actions.dropped.map { .drop($0) }
        effects += actions.forgets.map { .keepForget($0) }
        for check in actions.checks {
            guard let control = hsms[check.hsm].worker?.control else { continue }
            switch check.kind {
            case .make: effects.append(.sendToWorker(control, .makeCanary(ticket: check.ticket, key: check.key)))
            case .open(let canary):
                effects.append(.sendToWorker(control, .openCanary(ticket: check.ticket, key: check.key, canary)))
            }
        }
        for grant in actions.granted {
            for (id, pending) in operations
            where pending.operation.label == grant.label && pending.permitted.contains(grant.hsm)
                && servers(of: pending.operation).contains(grant.hsm)
            {
                effects += self.effects(of: machine.joined(grant.hsm, holdersOf: id, now: now), now: now)
            }
        }
        for loss in Set(actions.revoked.map(\.hsm)) { effects += disown(loss, now: now) }
        let isAnnounced = announcedVersion != proof.sharedVersion
        announcedVersion = proof.sharedVersion
        if isAnnounced || !actions.granted.isEmpty || !actions.revoked.isEmpty { effects.append(.keysChanged) }
        return effects
    }

    /// An HSM has lost its proof of some keys: operations that wait for one of them no longer count on it.
    private mutating func disown(_ hsm: Int, now: UInt64) -> [PoolEffect] {
        var effects: [PoolEffect] = []
        for (id, pending) in operations where !servers(of: pending.operation).contains(hsm) {
            let isHopeful =
                pending.permitted.contains(hsm) && proof.mayProve(pending.operation.label).contains(hsm)
            effects += self.effects(
                of: machine.left(hsm, holdersOf: id, isHopeful: isHopeful, now: now), now: now)
        }
        return effects
    }

    /// An HSM has listed its keys: operations that wait for one of them have it checked first, or count on the HSM
    /// where nothing is to be proven.
    mutating func own(_ hsm: Int, now: UInt64) -> [PoolEffect] {
        var effects: [PoolEffect] = []
        for (id, pending) in operations where pending.permitted.contains(hsm) {
            if servers(of: pending.operation).contains(hsm) {
                effects += self.effects(of: machine.joined(hsm, holdersOf: id, now: now), now: now)
            } else {
                proof.wanted(pending.operation.label)
            }
        }
        return effects
    }

    /// Whether a key may be used on these HSMs, soon, or why not.
    func decision(on label: KeyLabel, for purpose: KeyPurpose, on permitted: HSMSet) -> KeyDecision {
        proof.decision(
            on: label, for: purpose, on: permitted,
            witnesses: KeyWitnesses(
                responding: responding, members: HSMSet(hsms.indices.filter { hsms[$0].role.isMember }),
                doubtful: HSMSet(hsms.indices.filter { !hsms[$0].absence.canDeny(label) })),
            complaint: { complaint(of: label, on: responding.intersection(permitted)) })
    }

    /// Why an object of this label cannot serve, where an HSM has said so.
    private func complaint(of label: KeyLabel, on responding: HSMSet) -> String? {
        hsms.indices.lazy.filter { responding.contains($0) }
            .compactMap { hsms[$0].complaints.first { $0.label == label }?.reason }.first
    }

    /// The HSMs that may be given an operation.
    func servers(of operation: KeyOperation) -> HSMSet { proof.servers(of: operation.label, for: operation.kind) }

    /// What a worker says about a canary.
    mutating func listenToProof(_ message: WorkerMessage, now: UInt64, unixSeconds: Int64) -> ProofActions {
        switch message {
        case .canaryMade(let ticket, let canary, let block):
            proof.made(ticket: ticket, canary, digest: digest(of: block), now: now, unixSeconds: unixSeconds)
        case .canaryOpened(let ticket, let block): proof.opened(ticket: ticket, digest: digest(of: block), now: now)
        case .canaryRefused(let ticket, let refusal, let function, let code):
            proof.refused(
                ticket: ticket, refusal,
                reason: "\(function.name) \(ReturnCode(rawValue: UInt(truncatingIfNeeded: code)).name)", now: now)
        case .confined, .ready, .catalogue, .probe, .failed: ProofActions()
        }
    }
}

private func digest(of block: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: block)) }

extension HSMPool {
    /// An operator says whose copy of a key is the right one. Returns why that cannot be done, or `nil`.
    package func trust(key label: KeyLabel, hsm name: String) -> TrustRefusal? {
        let now = monotonicNanoseconds()
        let (refusal, effects) = state.withLock { state -> (TrustRefusal?, [PoolEffect]) in
            guard let hsm = state.position(of: name) else { return (.unknownHSM, []) }
            switch state.proof.trust(label, hsm: hsm, now: now) {
            case .success(let actions): return (nil, state.effects(of: actions, now: now))
            case .failure(let refusal): return (refusal, [])
            }
        }
        perform(effects)
        return refusal
    }
}

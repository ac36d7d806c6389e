// SPDX-License-Identifier: Apache-2.0
import Crypto
import LaneProtocol
import Logging
import Routing

// Drives the key proof: checks go to the workers, what they say comes back, and the requests that wait learn of it.

extension PoolState {
    /// True when every HSM can serve or has said why it cannot, and the keys of those that serve have been looked at
    /// for the first time.
    var isSettled: Bool {
        let places = shown
        return places.allSatisfy { hsms[$0].hasServed || hsms[$0].failure != nil }
            && !places.contains { hsm in
                hsms[hsm].absence.isReading
                    || hsms[hsm].hasServed && catalogue.hasKey(hsm: hsm) { proof.standing(of: $0) == .pending }
            }
    }

    /// Turns what the proof says into effects, and lets the operations that wait know who holds their keys now.
    mutating func effects(of actions: ProofActions, now: UInt64) -> [PoolEffect] {
        var effects: [PoolEffect] = actions.news.map { .announce($0) }
        effects += actions.canaries.map { .keep($0) }
        for check in actions.checks {
            guard let control = hsms[check.hsm].worker?.control else { continue }
            switch check.kind {
            case .make: effects.append(.tell(control, .makeCanary(ticket: check.ticket, key: check.key)))
            case .open(let canary):
                effects.append(.tell(control, .openCanary(ticket: check.ticket, key: check.key, canary)))
            }
        }
        for grant in actions.granted {
            for (id, pending) in operations
            where pending.operation.label == grant.label && pending.permitted.contains(grant.hsm) {
                effects += self.effects(of: machine.joined(grant.hsm, holdersOf: id, now: now), now: now)
            }
        }
        for loss in Set(actions.revoked.map(\.hsm)) { effects += disown(loss, now: now) }
        let hasChanged = !actions.granted.isEmpty || !actions.revoked.isEmpty || !actions.canaries.isEmpty
        if hasChanged { effects.append(.keysChanged) }
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

    /// An HSM has told its keys: operations that wait for one of them have it checked first, or count on the HSM where
    /// nothing is to be proven.
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

    /// What a request must know of a key, on the HSMs that its key store may use.
    func account(of label: KeyLabel, on permitted: HSMSet) -> KeyAccount {
        let servers = proof.holders(of: label)
        return KeyAccount(
            knowledge: knowledge(of: label, on: permitted),
            validity: catalogue.validity(of: label, on: (servers.isEmpty ? heard : servers).intersection(permitted)))
    }

    private func knowledge(of label: KeyLabel, on permitted: HSMSet) -> KeyKnowledge {
        let known = catalogue.knowledge(
            of: label, heard: heard.intersection(permitted), known: known.intersection(permitted))
        switch known {
        case .held(let usage):
            switch proof.standing(of: label) {
            case .disputed(let reason): return .refused(reason, usage: usage)
            case .excluded(let reason):
                let unproven = proof.withoutProof(of: label, for: .encrypt)
                    .union(proof.withoutProof(of: label, for: .decrypt)).intersection(permitted)
                return unproven.isEmpty ? .refused(reason, usage: usage) : known
            case .served, .pending, .unlisted: return known
            }
        case .absent:
            // Absence is not unavailability: one that is out may hold it.
            if heard.intersection(permitted).contains(where: { !hsms[$0].absence.canDeny(label) }) { return .unknown }
            let silent = permitted.subtracting(heard)
                .intersection(HSMSet(hsms.indices.filter { hsms[$0].role.isMember }))
            let mayHold =
                catalogue.isListed(label, on: silent) || !silent.isEmpty && proof.canary(of: label) != nil
            return mayHold ? .unknown : known
        case .refused, .unknown: return known
        }
    }

    /// The HSMs that may be given an operation: those that have proven its key, and where none has, those that need not.
    func servers(of operation: KeyOperation) -> HSMSet {
        let holders = proof.holders(of: operation.label)
        return holders.isEmpty ? proof.withoutProof(of: operation.label, for: operation.kind) : holders
    }

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
        case .ready, .catalogue, .probe, .failed: ProofActions()
        }
    }
}

private func digest(of block: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: block)) }

extension HSMPool {
    /// An operator says whose copy of a key is the right one. Returns why that cannot be done, or `nil`.
    package func trust(key label: KeyLabel, hsm name: String) -> TrustRefusal? {
        let now = monotonicNanoseconds()
        let (refusal, effects) = state.withLock { state -> (TrustRefusal?, [PoolEffect]) in
            guard let hsm = state.place(of: name) else { return (.unknownHSM, []) }
            switch state.proof.trust(label, hsm: hsm, now: now) {
            case .success(let actions): return (nil, state.effects(of: actions, now: now))
            case .failure(let refusal): return (refusal, [])
            }
        }
        perform(effects)
        return refusal
    }

    /// An operator takes an HSM out of use, or back into it; it is remembered over restarts. False when there is none of
    /// that name.
    package func drain(_ name: String, _ isDrained: Bool) -> Bool {
        let now = monotonicNanoseconds()
        let effects = state.withLock { state -> [PoolEffect]? in
            guard state.place(of: name) != nil else { return nil }
            var effects: [PoolEffect] = []
            // The one with other settings that is to take over, too.
            for hsm in state.hsms.indices where state.hsms[hsm].settings.name == name {
                effects += state.effects(of: state.machine.drain(hsm, isDrained, now: now), now: now)
            }
            return effects
        }
        guard let effects else { return false }
        journal.setDrained(name, isDrained)
        logger.notice(isDrained ? "hsm drained" : "hsm undrained", metadata: ["hsm": "\(name)"])
        perform(effects)
        changed()
        return true
    }
}

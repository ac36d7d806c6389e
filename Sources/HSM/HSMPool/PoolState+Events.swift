// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Routing

// What happens to the pool: each event with all that follows from it, in `PoolMachine` and in `KeyProof`. The driver takes
// the lock, calls one of these, lets go of the lock, and performs the effects.

// MARK: - Operations

extension PoolState {
    /// An operation has come in; see `KeyOperationPool.submit`. Returns whether ticks have to be begun.
    package mutating func submit(
        _ operation: KeyOperation, on permitted: HSMSet, deadline: UInt64, terms: OperationTerms, group: Int,
        now: UInt64, completion: @escaping @Sendable (OperationResult) -> Void
    ) -> (effects: [PoolEffect], mustTick: Bool) {
        guard operation.caller?.isGone != true else {
            // As after the node has stood still: what was read then is of clients that have long gone.
            return ([.complete(completion, OperationResult(outcome: .abandoned))], false)
        }
        let holders = servers(of: operation).intersection(permitted)
        var hopeful: HSMSet = []
        if holders.isEmpty {
            hopeful = proof.mayProve(operation.label).intersection(permitted)
            proof.wanted(operation.label)
        }
        let (id, actions) = machine.submit(
            operation.kind, holders: holders, hopeful: hopeful,
            terms: self.terms(terms, of: operation, permitted: permitted), deadline: deadline, group: group, now: now)
        operations[id] = PendingOperation(operation: operation, permitted: permitted, completion: completion)
        let mustTick = !isTicking
        isTicking = true
        return (effects(of: actions, now: now), mustTick)
    }

    /// Whether a key may be used, asked for a request: an HSM that has lost sight of the key is looked at again.
    package mutating func decide(on label: KeyLabel, for purpose: KeyPurpose, on permitted: HSMSet) -> KeyDecision {
        let decision = decision(on: label, for: purpose, on: permitted)
        switch decision {
        case .use, .forbidden: break
        // The library of an HSM that has listed the key may have lost sight of it.
        case .wait, .refused, .contested, .absent, .unknown:
            for hsm in hsms.indices { hsms[hsm].absence.wanted(label) }
        }
        return decision
    }

    /// An answer has come on a lane.
    package mutating func answered(_ lane: LaneID, _ answer: LaneAnswer, now: UInt64) -> [PoolEffect] {
        // Of a late answer only its effect on the HSM matters, and a decryption's codes are the careful reading.
        let kind = machine.kind(on: lane, generation: answer.header.generation) ?? .decrypt
        var disposition = Disposition(answer.header, operation: kind)
        if disposition == .done, !isExpected(answer, on: lane) { disposition = .ambiguous }
        recorded.ended(answer.header.generation, disposition, HSMRefusal(answer.header), now: now)
        if disposition == .hsmSuspect || disposition == .hsmOut { hsms[lane.hsm].failures &+= 1 }
        let actions = machine.answered(
            lane, generation: answer.header.generation, disposition: disposition, refusal: HSMRefusal(answer.header),
            now: now)
        var effects = effects(of: actions, answer: answer, now: now)
        if disposition == .keyMissing, let control = hsms[lane.hsm].worker?.control {
            effects.append(.sendToWorker(control, .readCatalogue))
        }
        return effects
    }

    /// A lane's socket has closed; see `LaneDelegate`.
    package mutating func closed(_ lane: LaneID, epoch: UInt64, during call: UInt64?, now: UInt64) -> [PoolEffect] {
        var effects: [PoolEffect] = []
        if hsms[lane.hsm].epoch == epoch {
            recorded.lost(now: now) { $0 == lane }
            effects = self.effects(of: machine.laneClosed(lane, now: now), now: now)
        }
        // The worker's end may have been noticed first.
        guard let call else { return effects }
        return effects + self.effects(of: machine.endedDuring(generation: call, now: now), now: now)
    }
}

// MARK: - Workers

/// What is left to do after a worker has ended.
package struct WorkerEnding {
    /// Present where there was one, whose sockets are to be closed.
    package var worker: WorkerHandle?
    /// It was asked to end, and may log out first.
    package var isDismissed: Bool
    package var effects: [PoolEffect]
    package var changes: [HSMStateChange]
}

extension PoolState {
    /// A worker is to be started for an HSM whose last one was of the epoch `before`. Returns the new one's epoch;
    /// `nil` where it is not to be started any more, because the position was left or another start was sooner.
    package mutating func beginStart(of hsm: Int, after before: UInt64, now: UInt64) -> UInt64? {
        guard !isStopping, hsms[hsm].epoch == before, hsms[hsm].role.isMember else { return nil }
        hsms[hsm].epoch += 1
        machine.starting(hsm, now: now)
        return hsms[hsm].epoch
    }

    /// A worker's process has been started. Returns what it is to be sent first; `nil` where it is not wanted any more.
    package mutating func started(
        _ worker: WorkerHandle, hsm: Int, epoch: UInt64, now: UInt64
    ) -> NodeMessage? {
        guard hsms[hsm].epoch == epoch, !isStopping else { return nil }
        hsms[hsm].worker = worker
        hsms[hsm].lastReceived = awake(now)
        hsms[hsm].absence.workerStarted()
        (hsms[hsm].isKilled, hsms[hsm].hasSaidFailure) = (false, false)
        return .offer(hsms[hsm].settings.offered)
    }

    /// A worker has said something. `nil` where it is one that is not listened to any more.
    package mutating func received(
        _ message: WorkerMessage, hsm: Int, epoch: UInt64, now: UInt64, unixSeconds: Int64
    ) -> (effects: [PoolEffect], changes: [HSMStateChange])? {
        guard hsms[hsm].epoch == epoch else { return nil }
        let effects = listen(to: message, hsm: hsm, now: now, unixSeconds: unixSeconds)
        return (effects, refreshStates(now: now))
    }

    /// A worker of that epoch has ended, or could not be started. `nil` where that is known already.
    package mutating func ended(hsm: Int, epoch: UInt64, reason: String, now: UInt64) -> WorkerEnding? {
        guard hsms[hsm].epoch == epoch else { return nil }
        // Whatever this worker still says is not listened to.
        hsms[hsm].epoch += 1
        let worker = hsms[hsm].worker
        hsms[hsm].worker = nil
        recorded.lost(now: now) { $0.hsm == hsm }
        if hsms[hsm].role.isRetired, let worker { leaving[worker.pid] = (hsm, hsms[hsm].epoch) }
        hsms[hsm].lanesAnnounced = nil
        if machine.phase(of: hsm) == .serving { hsms[hsm].outReason = reason }
        if !hsms[hsm].hasServed, hsms[hsm].failure == nil {
            hsms[hsm].failure = WorkerFailure(kind: .call, message: "\(reason) before it could serve")
        }
        let isPermanent = hsms[hsm].failure?.kind.isPermanent ?? false
        // First the keys: what moves to another HSM now must not count on this one's proofs.
        var effects = effects(of: proof.workerEnded(hsm: hsm, now: now), now: now)
        effects += self.effects(of: machine.ended(hsm, returning: !isPermanent, now: now), now: now)
        if hsms[hsm].failure != nil { effects += self.effects(of: proof.settled(hsm: hsm, now: now), now: now) }
        let changes = refreshStates(now: now)
        // A node that stops ends its workers itself: that is no news about the HSMs.
        return WorkerEnding(
            worker: worker, isDismissed: hsms[hsm].isLeaving, effects: effects, changes: isStopping ? [] : changes)
    }
}

// MARK: - Time

extension PoolState {
    /// While operations run, every few milliseconds. Returns whether they go on.
    package mutating func tick(now: UInt64) -> (effects: [PoolEffect], changes: [HSMStateChange], goesOn: Bool) {
        let effects = dropAbandoned(now: now) + effects(of: machine.tick(now: now), now: now)
        isTicking = machine.needsTicks && !isStopping
        return (effects, refreshStates(now: now), isTicking)
    }

    /// Ends what nobody waits for any more, so that those who do need not wait for it.
    private mutating func dropAbandoned(now: UInt64) -> [PoolEffect] {
        var gone: [OperationID] = []
        for (id, pending) in operations where pending.operation.caller?.isGone == true { gone.append(id) }
        return gone.flatMap { effects(of: machine.abandoned($0, now: now), now: now) }
    }

    /// Twice a second: looks for workers that have fallen silent, for proofs and probes that are due, and for sessions to
    /// be had.
    package mutating func look(now: UInt64) -> (effects: [PoolEffect], changes: [HSMStateChange]) {
        var effects = effects(of: machine.tick(now: now), now: now)
        effects += self.effects(of: proof.tick(now: now), now: now)
        for (hsm, reason) in silent(now: now) {
            // Said once for each silence: the worker is as good as dead.
            hsms[hsm].lastReceived = awake(now)
            switch machine.phase(of: hsm) {
            case .serving, .probing: break
            case .starting, .down:
                hsms[hsm].failure = WorkerFailure(kind: .call, message: reason)
                effects += self.effects(of: proof.settled(hsm: hsm, now: now), now: now)
            }
            effects += self.effects(of: machine.fellSilent(hsm, reason: reason, now: now), now: now)
        }
        effects += lookAgain(now: now)
        return (effects, refreshStates(now: now))
    }
}

// MARK: - For drivers other than HSMPool, which asks under its lock, and news from outside

extension PoolState {
    /// Every position that was ever taken.
    package var positions: Range<Int> { hsms.indices }

    package func epoch(of hsm: Int) -> UInt64 { hsms[hsm].epoch }

    /// The HSMs of the configuration, in its order.
    package func statuses(now: UInt64, unixSeconds: Int64) -> [PoolHSM] {
        shown.map { status(of: $0, now: now, unixSeconds: unixSeconds) }
    }

    /// The operations that are not finished, the oldest first, at most `limit`.
    package func operationsUnderWay(limit: Int) -> [OperationUnderWay] {
        operations.keys.sorted { $0.number < $1.number }.prefix(limit).compactMap { id in
            guard let pending = operations[id], let place = machine.whereabouts(of: id) else { return nil }
            let names = hsms.indices.filter { place.hsms.contains($0) }.map { hsms[$0].settings.name }
            return OperationUnderWay(
                caller: pending.operation.caller, hsms: names, isWaiting: place.isWaiting, isChecked: place.isChecked,
                attempts: place.attempts)
        }
    }

    /// What peers are told of the keys as a whole. `HSMPool` works it out without its lock, and keeps it for a while.
    package func keySummary(now: UInt64) -> KeySummary { KeySummary(proof, usable: usable, now: now) }

    /// Something has happened that concerns keys only.
    package mutating func step(now: UInt64, _ event: (inout KeyProof, UInt64) -> ProofActions) -> [PoolEffect] {
        let actions = event(&proof, now)
        return effects(of: actions, now: now)
    }

    /// An exchange of all canaries with a peer begins; returns the version of what this node tells in it.
    package mutating func beginExchange(with node: String) -> UInt64 { proof.exchangeBegan(with: node) }

    /// From now on an operation takes so long on another node that has room, nanoseconds; `nil`: none has.
    package mutating func knowDetour(_ detour: UInt64?) { machine.detour = detour }
}

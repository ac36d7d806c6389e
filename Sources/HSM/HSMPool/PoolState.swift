// SPDX-License-Identifier: Apache-2.0
import Crypto
import KeyProof
import LaneProtocol
import Routing
import SecureMemory
import StatusVocabulary

/// What the pool does after it has let go of its lock.
package enum PoolEffect {
    case send(any WorkerLane, KeyOperation, keyReference: UInt32, generation: UInt64, deadline: UInt64)
    case order(any WorkerLane, LaneOperation, generation: UInt64)
    case complete(@Sendable (OperationResult) -> Void, OperationResult)
    case restart(hsm: Int, reason: String)
    case start(hsm: Int, pause: UInt64)
    case sendToWorker(any WorkerControl, NodeMessage)
    case keep(Canary)
    /// What HSMs may serve, or what peers are sent of keys, has changed.
    case keysChanged
    case drop(KeyLabel)
    case keepForget(ForgetOrder)
    case announce(ProofNews)
}

/// One HSM as the driver holds it: its worker, if there is one, and what is known of the token.
struct HSMEntry {
    /// The worker's, from its start on.
    var settings: PoolMember
    var role = HSMRole.member
    /// Counts the starts of workers in this position, whosever it is; what an earlier one still says is not listened
    /// to.
    var epoch: UInt64 = 0
    var worker: WorkerHandle?
    var identity: TokenIdentity?
    /// Key objects that cannot serve, as its worker last reported.
    var complaints: [CatalogueComplaint] = []
    var capabilities: TokenCapabilities?
    /// What its library is kept from, as its worker last reported.
    var compartment: Compartment?
    /// What of it was last said in the log.
    var compartmentComplaint: String?
    /// Lanes with a session that the worker says it has, until its first catalogue makes it usable.
    var lanesAnnounced: Int?
    /// Said by the worker before it ended.
    var failure: WorkerFailure?
    /// Why the worker was killed, or that it ended by itself, or what it waits for.
    var outReason = "its worker is being started"
    var hasServed = false
    /// Why it was taken out while its worker lives.
    var probeFailure: String?
    /// What people were last told, and since when.
    var state = HSMState.starting
    var stateSince: UInt64 = 0
    /// When the worker was started, or last said something: on the clock of `PoolState.awake`.
    var lastReceived: UInt64 = 0
    /// When a probe last ended, in whatever way, on the same clock; 0 before the first.
    var lastProbed: UInt64 = 0
    /// Answers that were failures of the HSM.
    var failures: UInt64 = 0
    /// What its word is worth that it has no key of a label.
    var absence = AbsenceWatch()
    /// It is retired, and its worker has been asked to end.
    var isLeaving = false
    /// The node has killed its worker, and said why.
    var isKilled = false
    /// Its worker has said why it gives up.
    var hasSaidFailure = false

    init(settings: PoolMember) { self.settings = settings }
}

/// The node's end of one lane of a worker.
package protocol WorkerLane: AnyObject, Sendable {
    /// Sends one operation. A lane that has closed meanwhile reports so by itself.
    func send(_ operation: KeyOperation, keyReference: UInt32, generation: UInt64, deadline: UInt64)
    /// Has the lane open its session, close it, or give a known answer.
    func order(_ operation: LaneOperation, generation: UInt64)
    func close()
}

/// The node's end of a worker's control socket. Its closing is the end of the worker.
package protocol WorkerControl: AnyObject, Sendable {
    /// Sends a message that holds no secret.
    func send(_ message: NodeMessage)
    func close()
}

/// What came back on a lane.
package struct LaneAnswer {
    package var header: LaneAnswerHeader
    package var output: KeyOperationOutput

    package init(header: LaneAnswerHeader, output: KeyOperationOutput) {
        self.header = header
        self.output = output
    }
}

/// A worker that has been started, with the node's ends of its sockets.
package struct WorkerHandle {
    package var pid: Int32
    package var control: any WorkerControl
    package var lanes: [any WorkerLane]
    /// Where it notes its calls; `nil` where there was no memory for it.
    let notes: CallNotes?

    package init(pid: Int32, control: any WorkerControl, lanes: [any WorkerLane]) {
        self.init(pid: pid, control: control, lanes: lanes, notes: nil)
    }

    init(pid: Int32, control: any WorkerControl, lanes: [any WorkerLane], notes: CallNotes?) {
        self.pid = pid
        self.control = control
        self.lanes = lanes
        self.notes = notes
    }
}

/// An operation and whom to inform of its end.
struct PendingOperation {
    var operation: KeyOperation
    /// The HSMs that the key store may use.
    var permitted: HSMSet
    var completion: @Sendable (OperationResult) -> Void
}

/// Somebody who waits for the pool to come to a certain state.
struct PoolWaiter {
    var isFulfilled: @Sendable (borrowing PoolState) -> Bool
    var continuation: CheckedContinuation<Void, Never>
}

/// Everything behind the pool's lock: the decisions, and the things that they name.
package struct PoolState {
    package internal(set) var machine: PoolMachine
    package internal(set) var proof: KeyProof
    /// By position. A position is never taken away, only left (`HSMRole.vacant`).
    var hsms: [HSMEntry] = []
    /// `KeyProof.sharedVersion` that `keysChanged` was last said for.
    var announcedVersion: UInt64 = 0
    var useCounts = KeyUseCounts()
    /// The HSMs of the configuration, in its order.
    var names: [String] = []
    /// How often the HSMs have been given anew.
    var generation: UInt64 = 0
    var operations: [OperationID: PendingOperation] = [:]
    /// Calls of operations that are traced, until they return.
    var recorded = RecordedCalls()
    let startPatience: UInt64
    /// Nothing is started before the pool is.
    var isStarted = false
    var isTicking = false
    var isStopping = false
    /// Starts of workers under way on threads of their own.
    var spawning = 0
    /// Workers that were killed and whose exit status has not been taken.
    var dying: Set<Int32> = []
    /// Those of them whose HSM leaves with them: the position and its epoch.
    var leaving: [Int32: (hsm: Int, epoch: UInt64)] = [:]
    var waiters: [PoolWaiter] = []
    var timedDrains = TimedDrains()

    package init(
        settings: PoolSettings, groups: Int, stored: StoredProof, drained: Set<String>, seed: UInt64, now: UInt64,
        unixSeconds: Int64
    ) {
        machine = PoolMachine([], groups: groups, limits: settings.limits, seed: seed, now: now)
        proof = KeyProof(
            hsms: [], canaries: stored.canaries, forgets: stored.forgets, limits: settings.proofLimits, now: now,
            ran: stored.ranSeconds, unixSeconds: unixSeconds, seed: seed)
        startPatience = settings.startPatience
        names = settings.members.map(\.name)
        for member in settings.members {
            _ = add(member, as: .member, to: .all, isDrained: drained.contains(member.name), now: now)
        }
    }

    /// HSMs that have a worker which has listed its keys.
    var responding: HSMSet { members { $0 == .serving || $0 == .probing } }

    /// On the way of every request.
    private func members(in isWanted: (HSMPhase) -> Bool) -> HSMSet {
        var result = HSMSet()
        for hsm in hsms.indices where hsms[hsm].role.isMember && isWanted(machine.phase(of: hsm)) {
            result.insert(hsm)
        }
        return result
    }

    /// Turns decisions into effects. `answer` is what came in with the event, if the event was an answer.
    mutating func effects(of actions: PoolActions, answer: LaneAnswer? = nil, now: UInt64) -> [PoolEffect] {
        var effects: [PoolEffect] = []
        // Nearly always there are these actions only, and then the array costs nothing.
        var following: [PoolActions] = []
        var current: PoolActions? = actions
        while let next = current {
            for dispatch in next.dispatches {
                if let refused = send(dispatch, now: now, into: &effects) { following.append(refused) }
            }
            for order in next.laneOrders {
                if let worker = hsms[order.lane.hsm].worker, worker.lanes.indices.contains(order.lane.lane) {
                    effects.append(
                        .order(worker.lanes[order.lane.lane], order.operation, generation: order.generation))
                }
            }
            for finish in next.finishes {
                guard let pending = operations.removeValue(forKey: finish.operation) else { continue }
                if finish.outcome == .done, let hsm = finish.hsm {
                    useCounts.count(pending.operation.kind, label: pending.operation.label, hsm: hsm)
                    proof.used(pending.operation.label, hsm: hsm)
                }
                effects.append(.complete(pending.completion, result(of: finish, answer: answer)))
            }
            for restart in next.restarts {
                hsms[restart.hsm].outReason = restart.reason
                hsms[restart.hsm].lastReceived = awake(now)
                effects.append(.restart(hsm: restart.hsm, reason: restart.reason))
            }
            for start in next.starts { effects.append(.start(hsm: start.hsm, pause: start.pause)) }
            for hsm in next.probes {
                if let control = hsms[hsm].worker?.control { effects.append(.sendToWorker(control, .probe)) }
            }
            current = following.popLast()
        }
        return effects
    }

    /// Puts a frame on its way; returns what follows when the HSM turns out not to hold the key any more.
    private mutating func send(
        _ dispatch: Dispatch, now: UInt64, into effects: inout [PoolEffect]
    ) -> PoolActions? {
        let hsm = dispatch.lane.hsm
        guard let pending = operations[dispatch.operation], let worker = hsms[hsm].worker,
            worker.lanes.indices.contains(dispatch.lane.lane)
        else { return machine.laneClosed(dispatch.lane, now: now) }
        let label = pending.operation.label
        // Whatever happened since the operation came in: no frame goes to an HSM that has not proven the key, but for
        // what a wrong key cannot open.
        let isTrial = dispatch.question == .excluded && proof.different(label).contains(hsm)
        guard isTrial || servers(of: pending.operation).contains(hsm) else {
            return machine.answered(
                dispatch.lane, generation: dispatch.generation, disposition: .tryElsewhere, now: now)
        }
        guard let reference = proof.reference(of: label, hsm: hsm) else {
            return machine.answered(
                dispatch.lane, generation: dispatch.generation, disposition: .keyMissing, now: now)
        }
        let lane = worker.lanes[dispatch.lane.lane]
        if let recorder = pending.operation.recorder {
            recorded.began(dispatch, pending.operation.kind, recorder, of: hsms[hsm].settings.name, now: now)
        }
        if dispatch.question == .canary, proof.canary(of: label) == nil {
            effects.append(.order(lane, .knownAnswer, generation: dispatch.generation))
            return nil
        }
        effects.append(
            .send(
                lane, frame(for: dispatch.question, of: pending.operation), keyReference: reference,
                generation: dispatch.generation, deadline: dispatch.deadline))
        return nil
    }

    /// What a lane is given for a question.
    private func frame(for question: LaneQuestion, of operation: KeyOperation) -> KeyOperation {
        guard question == .canary, let canary = proof.canary(of: operation.label) else { return operation }
        return KeyOperation(
            kind: .decrypt, label: operation.label,
            additionalData: SecretBytes(Array(SealedCanary.additionalData.utf8)),
            initializationVector: SecretBytes(canary.sealed.initializationVector),
            data: SecretBytes(canary.sealed.ciphertext))
    }

    /// False where a canary was opened to something else than what was sealed in it.
    func isExpected(_ answer: LaneAnswer, on lane: LaneID) -> Bool {
        guard let (question, id) = machine.question(on: lane, generation: answer.header.generation),
            question == .canary, let label = operations[id]?.operation.label, let canary = proof.canary(of: label)
        else { return true }
        return answer.output.data.withUnsafeBytes { Array(SHA256.hash(data: $0)) } == canary.digest
    }

    /// What is to be kept to with an operation.
    func terms(_ terms: OperationTerms, of operation: KeyOperation, permitted: HSMSet) -> OperationTerms {
        guard operation.kind == .decrypt else { return terms }
        var terms = terms
        terms.excluded = proof.different(operation.label).intersection(permitted)
        return terms
    }

    private func result(of finish: Finish, answer: LaneAnswer?) -> OperationResult {
        OperationResult(
            outcome: finish.outcome,
            output: finish.outcome == .done ? answer?.output : nil,
            hsm: finish.hsm.flatMap { hsms.indices.contains($0) ? hsms[$0].settings.name : nil },
            attempts: finish.attempts, isHedged: finish.isHedged,
            hsmMicroseconds: answer?.header.hsmMicroseconds ?? 0, waitedMicroseconds: finish.waited / 1_000)
    }

    mutating func takeFulfilledWaiters() -> [PoolWaiter] {
        guard !waiters.isEmpty else { return [] }
        let all = waiters
        let isOver = all.map { isStopping || $0.isFulfilled(self) }
        waiters = zip(all, isOver).filter { !$0.1 }.map(\.0)
        return zip(all, isOver).filter(\.1).map(\.0)
    }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Logging
import NIOCore
import NIOPosix
import Routing
import Synchronization

/// The node's side of the HSMs: starts a worker process for each, gives operations to their lanes, and replaces
/// workers that die or hang. Decides nothing itself: it steps a `PoolMachine` under a lock and performs what that says
/// after it has let go of the lock.
package final class HSMPool: KeyOperationPool {
    /// How often running operations are looked at, while there are any. Deadlines are kept to within this.
    static let tickInterval = TimeAmount.milliseconds(5)

    let settings: PoolSettings
    let loops: [any EventLoop]
    let logger: Logger
    let state: Mutex<PoolState>

    /// - Parameter group: the event loops of the listener, so that a request and its lane share a loop.
    package init(settings: PoolSettings, group: MultiThreadedEventLoopGroup, logger: Logger) {
        self.settings = settings
        loops = Array(group.makeIterator())
        self.logger = logger
        state = Mutex(PoolState(settings: settings, groups: loops.count))
    }

    /// Starts every worker. Returns at once; operations wait for workers that are on their way up.
    package func start() {
        for hsm in settings.members.indices { startWorker(hsm, after: 0) }
        watch()
    }

    /// Waits until every worker process has been started, or could not be.
    package func started() async {
        await wait { state in state.hsms.allSatisfy { $0.worker != nil || $0.failure != nil || $0.hasServed } }
    }

    /// Waits until every HSM can serve or has said why it cannot.
    package func settled() async {
        await wait { state in state.hsms.allSatisfy { $0.hasServed || $0.failure != nil } }
    }

    private func wait(until isFulfilled: @escaping @Sendable (borrowing PoolState) -> Bool) async {
        await withCheckedContinuation { continuation in
            state.withLock { $0.waiters.append(PoolWaiter(isFulfilled: isFulfilled, continuation: continuation)) }
            resumeWaiters()
        }
    }

    /// To be called after every change in the life of a worker.
    func resumeWaiters() {
        for waiter in state.withLock({ $0.takeFulfilledWaiters() }) { waiter.continuation.resume() }
    }

    // MARK: Operations

    package func submit(
        _ operation: KeyOperation, on hsms: HSMSet, deadline: UInt64,
        completion: @escaping @Sendable (OperationResult) -> Void
    ) {
        let now = monotonicNanoseconds()
        let group = currentLoopIndex()
        let (effects, mustTick) = state.withLock { state -> ([PoolEffect], Bool) in
            let holders = state.catalogue.holders(of: operation.label).intersection(hsms)
            let (id, actions) = state.machine.submit(
                operation.kind, holders: holders, deadline: deadline, group: group, now: now)
            state.operations[id] = PendingOperation(operation: operation, completion: completion)
            let mustTick = !state.isTicking
            state.isTicking = true
            return (state.effects(of: actions, now: now), mustTick)
        }
        perform(effects)
        if mustTick { scheduleTick() }
    }

    package func knowledge(of label: String, on hsms: HSMSet) -> KeyKnowledge {
        state.withLock { $0.catalogue.knowledge(of: label, serving: $0.serving.intersection(hsms)) }
    }

    /// Has every HSM list its keys now: a key that nobody knew may have just been made.
    package func readCatalogues() {
        let controls = state.withLock { $0.hsms.compactMap { $0.worker?.control } }
        for control in controls { control.send(.readCatalogue) }
    }

    /// What each HSM holds, for `check`.
    package func inventory() -> [HSMInventory] {
        let now = monotonicNanoseconds()
        return state.withLock { state in
            _ = state.refreshConditions(now: now)
            return state.hsms.indices.map { state.inventory(of: $0) }
        }
    }

    package func status() -> [HSMStatus] {
        let now = monotonicNanoseconds()
        let (statuses, changes) = state.withLock { state in
            let changes = state.refreshConditions(now: now)
            return (state.hsms.indices.map { state.status(of: $0) }, changes)
        }
        report(changes)
        return statuses
    }

    // MARK: Driving the machine

    func perform(_ effects: [PoolEffect]) {
        for effect in effects {
            switch effect {
            case .send(let lane, let operation, let keyReference, let generation, let deadline):
                lane.send(operation, keyReference: keyReference, generation: generation, deadline: deadline)
            case .complete(let completion, let result): completion(result)
            case .restart(let hsm, let reason): replaceWorker(hsm, reason: reason)
            case .readCatalogue(let control): control.send(.readCatalogue)
            }
        }
    }

    private func scheduleTick() {
        loops[0].scheduleTask(in: Self.tickInterval) { self.tick() }
    }

    private func tick() {
        let now = monotonicNanoseconds()
        let (effects, changes, goesOn) = state.withLock { state in
            let actions = state.machine.tick(now: now)
            let effects = state.effects(of: actions, now: now)
            state.isTicking = state.machine.needsTicks && !state.isStopping
            return (effects, state.refreshConditions(now: now), state.isTicking)
        }
        perform(effects)
        report(changes)
        if goesOn { scheduleTick() }
    }

    func report(_ changes: [ConditionChange]) {
        for change in changes {
            let level: Logger.Level = change.condition == .active || change.condition == .starting ? .notice : .warning
            logger.log(
                level: level, "hsm state",
                metadata: [
                    "hsm": "\(change.name)", "state": "\(change.condition.rawValue)", "reason": "\(change.reason)",
                ])
        }
    }

    /// The caller's event loop among ours; some other when it is none of them.
    private func currentLoopIndex() -> Int {
        guard let current = MultiThreadedEventLoopGroup.currentEventLoop else { return 0 }
        return loops.firstIndex { $0 === current } ?? 0
    }
}

extension HSMPool: LaneDelegate {
    func laneAnswered(_ lane: LaneID, answer: LaneAnswer) {
        let now = monotonicNanoseconds()
        let effects = state.withLock { state -> [PoolEffect] in
            // Of a late answer only its effect on the HSM matters, and a decryption's codes are the careful reading.
            let kind = state.machine.kind(on: lane, generation: answer.header.generation) ?? .decrypt
            let disposition = Disposition(answer.header, operation: kind)
            let actions = state.machine.answered(
                lane, generation: answer.header.generation, disposition: disposition, now: now)
            var effects = state.effects(of: actions, answer: answer, now: now)
            if disposition == .keyMissing, let control = state.hsms[lane.hsm].worker?.control {
                effects.append(.readCatalogue(control))
            }
            return effects
        }
        perform(effects)
    }

    func laneClosed(_ lane: LaneID, epoch: UInt64) {
        let now = monotonicNanoseconds()
        let effects = state.withLock { state -> [PoolEffect] in
            guard state.hsms[lane.hsm].epoch == epoch else { return [] }
            return state.effects(of: state.machine.laneClosed(lane, now: now), now: now)
        }
        perform(effects)
    }
}

extension PoolState {
    func status(of hsm: Int) -> HSMStatus {
        let entry = hsms[hsm]
        let lanes = machine.lanes(of: hsm)
        return HSMStatus(
            name: entry.settings.name, condition: entry.condition, reason: condition(of: hsm).reason,
            since: entry.conditionSince, identity: entry.identity, lanesOpen: lanes.open, lanesBusy: lanes.busy,
            lanesOverdue: lanes.overdue, keys: catalogue.keyCount(hsm: hsm), workerPID: entry.worker?.pid ?? 0)
    }
}

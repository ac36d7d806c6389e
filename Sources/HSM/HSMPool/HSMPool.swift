// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import KeyProof
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
    let journal: any PoolJournal
    let loops: [any EventLoop]
    let timers = PoolTimers()
    let logger: Logger
    let state: Mutex<PoolState>
    let isKeepingBooks = Atomic(false)
    let noted = Mutex(NotedKeys())
    let notedUses: Mutex<NotedUses>
    let summaries = Mutex(KeySummaries())
    let rounds = Mutex(ProofRounds())
    /// Called when another node should learn of this one's HSMs or keys anew.
    let observer = Mutex<(@Sendable () -> Void)?>(nil)

    /// - Parameters:
    ///   - journal: keeps the canaries and what other processes of the host are to know.
    ///   - group: the event loops of the listener, so that a request and its lane share a loop.
    package init(
        settings: PoolSettings, journal: any PoolJournal = NoJournal(), group: MultiThreadedEventLoopGroup,
        logger: Logger
    ) {
        self.settings = settings
        self.journal = journal
        loops = Array(group.makeIterator())
        self.logger = logger
        notedUses = Mutex(NotedUses(earlier: journal.keyUses()))
        state = Mutex(
            PoolState(
                settings: settings, groups: loops.count, stored: journal.proof(),
                drained: journal.drainedHSMs(), seed: .random(in: .min ... .max), now: monotonicNanoseconds(),
                unixSeconds: Int64(time(nil))))
    }

    /// The workers are about to be started: operations wait for them as for any that are on their way up.
    package func expect() {
        let now = monotonicNanoseconds()
        state.withLock { state in
            for hsm in state.hsms.indices { state.machine.starting(hsm, now: now) }
        }
    }

    /// Starts every worker. Returns at once; operations wait for workers that are on their way up.
    package func start() {
        if settings.endsOrphans { _ = claviger_adopt_orphans() }
        let positions = state.withLock { state in
            state.isStarted = true
            return state.hsms.indices
        }
        for hsm in positions { startWorker(hsm, after: 0) }
        watch()
    }

    /// Waits until every worker process has been started, or could not be.
    package func started() async {
        await wait { state in
            state.shown.allSatisfy {
                state.hsms[$0].worker != nil || state.hsms[$0].failure != nil || state.hsms[$0].hasServed
            }
        }
    }

    /// Waits until every HSM can serve or has said why it cannot.
    package func settled() async {
        await wait { state in state.isSettled }
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
        _ operation: KeyOperation, on hsms: HSMSet, deadline: UInt64, terms: OperationTerms,
        completion: @escaping @Sendable (OperationResult) -> Void
    ) {
        let now = monotonicNanoseconds()
        let group = currentLoopIndex()
        let (effects, mustTick) = state.withLock { state in
            state.submit(
                operation, on: hsms, deadline: deadline, terms: terms, group: group, now: now, completion: completion)
        }
        perform(effects)
        if mustTick { scheduleTick() }
    }

    package func decision(on label: KeyLabel, for purpose: KeyPurpose, on hsms: HSMSet) -> KeyDecision {
        state.withLock { $0.decide(on: label, for: purpose, on: hsms) }
    }

    package func word(onCiphertextOf label: KeyLabel) -> CiphertextWord {
        state.withLock { $0.proof.word(onCiphertextOf: label) }
    }

    /// What each HSM holds, for `check`.
    package func inventory() -> [HSMInventory] {
        let now = monotonicNanoseconds()
        return state.withLock { state in
            _ = state.refreshStates(now: now)
            return state.shown.map { state.inventory(of: $0, now: now) }
        }
    }

    /// Every HSM, in the order of the configuration.
    package func status() -> [PoolHSM] {
        let (now, unixSeconds) = (monotonicNanoseconds(), Int64(time(nil)))
        let (statuses, changes) = state.withLock { state in
            let changes = state.refreshStates(now: now)
            return (state.statuses(now: now, unixSeconds: unixSeconds), changes)
        }
        report(changes)
        return statuses
    }

    /// The matrix key × HSM, sorted by label.
    package func keys() -> [KeyRow] {
        let (view, counts) = state.withLock { (KeyView($0), $0.useCounts) }
        let own = counts.totals
        var keys = view.matrix()
        notedUses.withLock { noted in
            for index in keys.indices {
                let label = keys[index].label
                keys[index].uses = noted.total(of: label, own: own[label] ?? KeyUses())
            }
        }
        return keys
    }

    /// Why objects cannot serve whose labels key stores name or match: by label, a sentence for each HSM that has one.
    package func complaints() -> [KeyLabel: [String]] {
        state.withLock { state in
            var found: [KeyLabel: [String]] = [:]
            for hsm in state.shown {
                for complaint in state.hsms[hsm].complaints where !complaint.label.isEmpty {
                    found[complaint.label, default: []].append("\(state.hsms[hsm].settings.name): \(complaint.reason)")
                }
            }
            return found
        }
    }

    /// The operations that are not finished, the oldest first, at most `limit`.
    package func operationsUnderWay(limit: Int) -> [OperationUnderWay] {
        state.withLock { $0.operationsUnderWay(limit: limit) }
    }

    // MARK: Driving the machine

    func perform(_ effects: [PoolEffect]) {
        for effect in effects {
            switch effect {
            case .send(let lane, let operation, let keyReference, let generation, let deadline):
                lane.send(operation, keyReference: keyReference, generation: generation, deadline: deadline)
            case .complete(let completion, let result): completion(result)
            case .restart(let hsm, let reason): replaceWorker(hsm, reason: reason)
            case .start(let hsm, let pause): startWorker(hsm, after: pause)
            case .order(let lane, let operation, let generation): lane.order(operation, generation: generation)
            case .sendToWorker(let control, let message): control.send(message)
            case .keep(let canary): journal.keep(canary)
            case .keysChanged: changed()
            case .drop(let label): journal.drop(canaryOf: label)
            case .keepForget(let order): journal.keep(order)
            case .announce(let news): log(news)
            }
        }
    }

    private func scheduleTick() {
        timers.after(Self.tickInterval, on: loops[0]) { self.tick() }
    }

    private func tick() {
        let now = monotonicNanoseconds()
        let (effects, changes, goesOn) = state.withLock { $0.tick(now: now) }
        perform(effects)
        report(changes)
        if goesOn { scheduleTick() }
    }

    /// What the HSMs could do for nodes that have more than they can do; `nil` while nothing is known of any that serves.
    package var room: SpareRoom? {
        let now = monotonicNanoseconds()
        return state.withLock { $0.machine.room(now: now) }
    }

    /// From now on an operation takes so long on another node that has room, nanoseconds; `nil`: none has.
    package func know(detour: UInt64?) { state.withLock { $0.knowDetour(detour) } }

    /// That more is asked of the HSMs than they can do, with both figures; `nil` while it is not.
    package var overload: String? {
        let now = monotonicNanoseconds()
        return state.withLock { $0.machine.load.overload(now: now) }.map {
            "more is asked than the HSMs can do: \($0.asked) calls a second, of which they did \($0.done); the rest "
                + "is passed on to nodes that have room, or told 429. Add HSMs or sessions, or ask AWS for a smaller "
                + "request quota"
        }
    }

    func report(_ changes: [HSMStateChange]) {
        for change in changes {
            let level: Logger.Level = change.to.isExpected ? .notice : .warning
            logger.log(
                level: level, "hsm state",
                metadata: ["hsm": "\(change.hsm)", "state": "\(change.to.rawValue)", "reason": "\(change.reason)"])
            journal.note(change)
        }
        if !changes.isEmpty { changed() }
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
        let effects = state.withLock { $0.answered(lane, answer, now: now) }
        perform(effects)
    }

    func laneClosed(_ lane: LaneID, epoch: UInt64, during call: UInt64?) {
        let now = monotonicNanoseconds()
        let effects = state.withLock { $0.closed(lane, epoch: epoch, during: call, now: now) }
        perform(effects)
    }
}

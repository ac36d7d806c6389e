// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import NIOCore
import Routing

/// What came of giving the pool its HSMs anew. Names, in the order of the configuration.
package struct PoolChange: Sendable, Equatable {
    package var added: [String] = []
    package var removed: [String] = []
    /// HSMs whose settings are others now. One that needs another worker for them serves by the old ones until that one
    /// is up.
    package var changed: [String] = []
    /// HSMs whose worker is started again: it had given up for a reason that a person can have mended.
    package var retried: [String] = []
    /// HSMs that are not tried again, because their PIN was refused and is still the same.
    package var withRefusedPIN: [String] = []
    /// There was no position for these: positions are given anew once more HSMs than the pool has room for have left.
    package var refused: [String] = []

    package init() {}
}

extension PoolState {
    /// What is to be done after the lock has been let go of.
    struct Change {
        var summary = PoolChange()
        var effects: [PoolEffect] = []
        /// Positions whose workers are to be started.
        var starts: [Int] = []
    }

    /// From now on these are the HSMs of the configuration.
    mutating func apply(_ members: [PoolMember], drained: Set<String>, now: UInt64) -> Change {
        var change = Change()
        generation &+= 1
        let wanted = Set(members.map(\.name))
        for name in names where !wanted.contains(name) {
            change.summary.removed.append(name)
            remove(name, now: now, &change)
        }
        names = members.map(\.name)
        for member in members {
            if let position = position(of: member.name) {
                if alter(position, to: member, now: now, &change) {
                    change.summary.changed.append(member.name)
                } else {
                    retry(position, &change)
                }
            } else if let hsm = add(new: member, isDrained: drained.contains(member.name), now: now) {
                change.summary.added.append(member.name)
                change.starts.append(hsm)
            } else {
                change.summary.refused.append(member.name)
            }
        }
        names.removeAll { change.summary.refused.contains($0) }
        return change
    }

    private mutating func remove(_ name: String, now: UInt64, _ change: inout Change) {
        for hsm in hsms.indices where hsms[hsm].settings.name == name && !hsms[hsm].role.isVacant {
            change.effects += retire(hsm, now: now)
        }
    }

    /// Returns whether anything is to change for the HSM.
    private mutating func alter(_ position: Int, to member: PoolMember, now: UInt64, _ change: inout Change) -> Bool {
        switch hsms[position].role {
        case .vacant: return false
        case .retired(let before):
            hsms[position].role = .retired(successor: member)
            return before != member
        case .outgoing(let new):
            if hsms[new].settings.hasSameWorker(as: member) { return changeTerms(new, to: member, now: now, &change) }
            change.effects += retire(new, now: now)
            hsms[position].role = .member
            return alter(position, to: member, now: now, &change)
        case .member, .incoming:
            if hsms[position].settings.hasSameWorker(as: member) {
                return changeTerms(position, to: member, now: now, &change)
            }
            if let new = add(successor: member, of: position, until: now &+ startPatience, now: now) {
                change.starts.append(new)
            } else {
                change.effects += retire(position, successor: member, now: now)
            }
            return true
        }
    }

    /// A person says that what a worker gave up for may be mended. A PIN that was refused is not tried again while it
    /// is the same: a few more tries would lock the token.
    private mutating func retry(_ shown: Int, _ change: inout Change) {
        var position = shown
        if case .outgoing(let new) = hsms[shown].role { position = new }
        guard hsms[position].role.isMember, hsms[position].worker == nil, machine.phase(of: position) == .down,
            let failure = hsms[position].failure, failure.kind.isPermanent
        else { return }
        guard failure.kind != .pinRefused else {
            change.summary.withRefusedPIN.append(hsms[position].settings.name)
            return
        }
        hsms[position].failure = nil
        change.summary.retried.append(hsms[position].settings.name)
        change.starts.append(position)
    }

    private mutating func changeTerms(
        _ hsm: Int, to member: PoolMember, now: UInt64, _ change: inout Change
    ) -> Bool {
        // Of another key store's secret an HSM notices nothing before its worker is started again.
        hsms[hsm].settings.sealed = member.sealed
        guard hsms[hsm].settings != member else { return false }
        change.effects += self.change(hsm, to: member, now: now)
        return true
    }

    /// Workers of retired HSMs that may end, and positions that can be left at once.
    mutating func releaseFinished(now: UInt64) -> (workers: [WorkerHandle], effects: [PoolEffect], starts: [Int]) {
        var workers: [WorkerHandle] = []
        var (effects, starts): ([PoolEffect], [Int]) = ([], [])
        for hsm in finished() {
            if let worker = hsms[hsm].worker {
                hsms[hsm].isLeaving = true
                workers.append(worker)
            } else {
                let left = vacate(hsm, now: now)
                effects += left.effects
                if left.isTaken { starts.append(hsm) }
            }
        }
        return (workers, effects, starts)
    }
}

extension HSMPool {
    /// How long a worker of an HSM that has left may take to log out and end by itself.
    private static let farewell = TimeAmount.seconds(2)

    /// From now on these are the HSMs. Those that stay as they are notice nothing; one that leaves finishes what it is
    /// doing; one with other settings serves until its successor does. Returns at once.
    package func apply(_ members: [PoolMember]) -> PoolChange {
        let now = monotonicNanoseconds()
        let drained = journal.drainedHSMs()
        let (change, isStarted) = state.withLock { ($0.apply(members, drained: drained, now: now), $0.isStarted) }
        perform(change.effects)
        if isStarted { for hsm in change.starts { startWorker(hsm, after: 0) } }
        resumeWaiters()
        return change.summary
    }

    /// HSMs of which it is not known yet what becomes of them: those that are starting, and those whose new settings are
    /// neither in force nor refused. By name, in no order.
    package var unsettled: Set<String> {
        state.withLock { state in
            Set(
                state.hsms.indices.filter { hsm in
                    switch state.hsms[hsm].role {
                    case .incoming: !state.hasGivenUp(hsm)
                    case .member: state.hsms[hsm].failure == nil && state.machine.phase(of: hsm) != .serving
                    case .outgoing, .retired, .vacant: false
                    }
                }.map { state.hsms[$0].settings.name })
        }
    }

    /// The pool's numbers for HSMs of these names; `nil` means every HSM. They hold until `apply`, and have to be asked
    /// for anew after it.
    package func hsmSet(_ names: [String]?) -> HSMSet { state.withLock { $0.positions(of: names) } }

    /// Hands over to HSMs with new settings that serve by now, and lets go of those that are not needed any more.
    func changeHSMs() {
        let now = monotonicNanoseconds()
        let (effects, released, late) = state.withLock { state in
            var effects: [PoolEffect] = []
            var late: [String] = []
            for (old, new, isReady) in state.fulfilled(now: now) {
                if !isReady { late.append(state.hsms[new].settings.name) }
                effects += state.handOver(from: old, to: new, now: now)
            }
            return (effects, state.releaseFinished(now: now), late)
        }
        for name in late {
            logger.warning(
                "hsm with new settings has not come up in time: it takes over all the same",
                metadata: ["hsm": "\(name)"])
        }
        perform(effects + released.effects)
        for worker in released.workers { dismiss(worker) }
        for hsm in released.starts { startWorker(hsm, after: 0) }
    }

    /// A worker whose sockets close logs out and ends.
    private func dismiss(_ worker: WorkerHandle) {
        worker.control.close()
        for lane in worker.lanes { lane.close() }
        timers.after(Self.farewell, on: loops[0]) {
            self.state.withLock { state in
                let isThere = state.hsms.contains { $0.worker?.pid == worker.pid } || state.dying.contains(worker.pid)
                if isThere { WorkerProcess.kill(worker.pid) }
            }
        }
    }

    /// A worker of an HSM that has left is gone: its position is free, and so are its sessions.
    func left(_ hsm: Int, epoch: UInt64) {
        let now = monotonicNanoseconds()
        let left = state.withLock { state -> (effects: [PoolEffect], isTaken: Bool, unused: String?)? in
            guard state.hsms[hsm].epoch == epoch, state.hsms[hsm].role.isRetired else { return nil }
            let token = state.hsms[hsm].settings.ledgerName
            let (effects, isTaken) = state.vacate(hsm, now: now)
            let isUsed = state.hsms.contains { !$0.role.isVacant && $0.settings.ledgerName == token }
            return (effects, isTaken, isUsed ? nil : token)
        }
        guard let left else { return }
        perform(left.effects)
        if left.isTaken { startWorker(hsm, after: 0) }
        if let token = left.unused { releaseLedger(token) }
        resumeWaiters()
    }
}

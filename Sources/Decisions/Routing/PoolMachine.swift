// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol

/// Decides which HSM does what, and what an answer, a silence or a death means.
///
/// Events go in, `PoolActions` come out. No clock, no I/O, no lock: time is an argument (nanoseconds of any monotonic
/// clock), chance comes from a seed, and the driver performs the actions after it has let go of its lock.
///
/// Failing over happens inside the request. An operation is on one lane or on several, of different HSMs; the first
/// answer that settles it counts, and nobody waits for the others: their lanes are free again when their calls return.
/// A second HSM is asked when the first fails, when it is silent for longer than its own answers ever take, and, as a
/// hedge, when it is slower than nearly all of its answers; all within a budget.
///
/// This file has the events. `PoolMachine+Judging` says what answers and silence mean, `PoolMachine+Choosing` where a
/// request goes or waits, `PoolMachine+Best` which HSM is best for it, `PoolMachine+Lanes` how lanes come and go,
/// `PoolMachine+Workers` how workers do, and who waits for them, `PoolMachine+Members` how HSMs do, and `PoolMachine+View`
/// what can be seen of all that.
/// docs/internals/routing.md has the numbers and the reasons.
package struct PoolMachine: Sendable {
    let limits: PoolLimits
    let groups: Int
    /// One for each position that was ever taken. What names an HSM is its position, for all of its life.
    var hsms: [HSMRecord] = []
    var operations: [OperationID: OperationRecord] = [:]
    var waiting = WaitingLine()
    package internal(set) var load = LoadGauge()
    var checks = CheckShares()
    var budget: RetryBudget
    var random: RandomChoice
    var lastGeneration: UInt64 = 0
    private var lastNumber: UInt64 = 0
    private(set) var pauses: PauseGauge
    package internal(set) var counters = PoolCounters()
    /// How long an operation takes on another node that has room, way there and back included, nanoseconds; `nil` while
    /// none has.
    package var detour: UInt64?

    /// - Parameters:
    ///   - traits: one for each HSM to begin with, `HSMSet.capacity` at most.
    ///   - groups: how many groups (event loops) the lanes are spread over (`LaneID.group`).
    ///     An operation is put on a lane of its own group where one is free.
    ///   - seed: for the choice between HSMs.
    package init(_ traits: [HSMTraits], groups: Int, limits: PoolLimits, seed: UInt64, now: UInt64 = 0) {
        self.limits = limits
        self.groups = groups
        budget = RetryBudget(now: now)
        random = RandomChoice(seed: seed)
        pauses = PauseGauge(now: now)
        for trait in traits { _ = add(trait) }
    }

    // MARK: Operations

    /// A new operation that any of `holders` may do before `deadline`. `hopeful` are HSMs that are about to prove that
    /// they hold the key: worth waiting for.
    package mutating func submit(
        _ kind: LaneOperation, holders: HSMSet, hopeful: HSMSet = [], terms: OperationTerms = OperationTerms(),
        deadline: UInt64, group: Int, now: UInt64
    ) -> (OperationID, PoolActions) {
        noteTime(now)
        lastNumber &+= 1
        counters.operations &+= 1
        load.asked(terms, of: holders, now: now)
        budget.deposit(now: now)
        let id = OperationID(number: lastNumber)
        operations[id] = OperationRecord(
            kind: kind, holders: holders, hopeful: hopeful, deadline: deadline, terms: terms, group: group)
        var actions = PoolActions()
        if now >= deadline {
            finish(id, .timedOut(.time), now: now, into: &actions)
        } else {
            assign(id, now: now, atFront: terms.isContinuation, into: &actions)
        }
        return (id, actions)
    }

    /// Whoever asked for an operation waits no more: it leaves the line, and is tried on no further HSM. What lanes are at
    /// for it goes on, for nothing.
    package mutating func abandoned(_ id: OperationID, now: UInt64) -> PoolActions {
        noteTime(now)
        var actions = PoolActions()
        finish(id, .abandoned, now: now, into: &actions)
        return actions
    }

    /// An HSM has proven that it holds the key of an operation.
    package mutating func joined(_ hsm: Int, holdersOf id: OperationID, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard hsms.indices.contains(hsm), operations[id] != nil else { return actions }
        operations[id]?.holders.insert(hsm)
        operations[id]?.hopeful.remove(hsm)
        operations[id]?.missing.remove(hsm)
        if operations[id]?.isWaiting == true { serveWaiting(hsm: hsm, now: now, into: &actions) }
        return actions
    }

    /// An HSM turned out not to hold the key of an operation, or has lost its proof of it; `isHopeful` when it may
    /// prove it anew in a moment. What it is doing already goes on.
    package mutating func left(
        _ hsm: Int, holdersOf id: OperationID, isHopeful: Bool = false, now: UInt64
    ) -> PoolActions {
        var actions = PoolActions()
        guard var operation = operations[id] else { return actions }
        operation.holders.remove(hsm)
        if isHopeful { operation.hopeful.insert(hsm) } else { operation.hopeful.remove(hsm) }
        operations[id] = operation
        if operation.isWaiting, operation.flights.isEmpty, !hasHope(operation.willing.union(operation.hopeful)) {
            giveUp(id, now: now, into: &actions)
        }
        return actions
    }

    /// An answer came in on a lane.
    package mutating func answered(
        _ lane: LaneID, generation: UInt64, disposition: Disposition, refusal: HSMRefusal? = nil, now: UInt64
    ) -> PoolActions {
        noteTime(now)
        var actions = PoolActions()
        if case .moving(let order, generation, _) = laneState(lane) {
            moved(lane, order, disposition: disposition, refusal, now: now, into: &actions)
            return actions
        }
        guard let work = release(lane, generation: generation, now: now) else { return actions }
        let latency = now > work.sentAt ? now - work.sentAt : 0
        hsms[lane.hsm].calls.count(now: now)
        if work.operation == nil { hsms[lane.hsm].thrownAway &+= 1 }
        if disposition != .tryElsewhere {
            hsms[lane.hsm].returned(work, isAnswer: disposition.isAnswer, limits: limits, now: now)
        }
        // What is settled leaves the line before its HSM, if that comes back by it, serves those in the line.
        let isSettled = disposition.settles
        if isSettled, let id = work.operation {
            settle(id, lane: lane, work, disposition, refusal, now: now, into: &actions)
        }
        weigh(disposition, refusal, from: lane.hsm, latency: latency, now: now, into: &actions)
        if !isSettled, let id = work.operation {
            settle(id, lane: lane, work, disposition, refusal, now: now, into: &actions)
        }
        maintain(lane.hsm, now: now, into: &actions)
        return actions
    }

    /// Time has passed: ends what is too late, asks other HSMs where one is slow or silent, and has workers killed
    /// whose lanes do not come back. Call it every few milliseconds while `needsTicks`, and twice a second always.
    package mutating func tick(now: UInt64) -> PoolActions {
        noteTime(now)
        var actions = PoolActions()
        for hsm in hsms.indices {
            if hsms[hsm].lanes.busy > 0 || hsms[hsm].lanes.moving > 0 {
                for lane in hsms[hsm].lanes.states.indices {
                    examine(LaneID(hsm: hsm, lane: lane), now: now, into: &actions)
                }
            }
            endHold(hsm, now: now, into: &actions)
            askForProbe(hsm, now: now, into: &actions)
            maintain(hsm, now: now, into: &actions)
        }
        waiting.observe(now: now)
        for id in waiting.ids {
            guard let operation = operations[id] else { continue }
            if operation.deadline <= now {
                finish(id, outcomeAtDeadline(operation), now: now, into: &actions)
            } else if isInGoodHands(id, operation) || giveBack(id, now: now, into: &actions) {
                continue
            } else if operation.flights.isEmpty, !tryLastResort(id, now: now, into: &actions) {
                waitForWorkers(id, now: now, into: &actions)
            }
        }
        for id in checks.waitingIDs where operations[id].map({ $0.deadline <= now }) ?? false {
            finish(id, .timedOut(.answer), hsm: checks.lane(of: id)?.hsm, now: now, into: &actions)
        }
        return actions
    }

    /// When the node stood still before this event, the time is nobody's: calls, sessions and what waits in line go on as
    /// if it had not passed. Deadlines stay: who asked has not waited less.
    private mutating func noteTime(_ now: UInt64) {
        let pause = pauses.gap(before: now)
        guard pause > 0, pauses.judge(pause, isBusy: needsTicks) else { return }
        for hsm in hsms.indices {
            hsms[hsm].lanes.stoodStill(for: pause)
            hsms[hsm].heldUntil &+= pause
        }
        waiting.stoodStill(for: pause)
    }

    // MARK: HSMs

    /// Outcome of a known-answer probe, and how long its encryption and decryption took together, nanoseconds.
    /// A passed one brings an HSM back that was out; failed ones count as soft failures.
    package mutating func probed(_ hsm: Int, passed: Bool, latency: UInt64 = 0, now: UInt64) -> PoolActions {
        noteTime(now)
        var actions = PoolActions()
        guard hsms.indices.contains(hsm) else { return actions }
        switch hsms[hsm].phase {
        case .down, .starting: return actions
        case .probing where passed:
            hsms[hsm].probed(call: latency / 2, limits: limits, now: now)
            comeBack(hsm, now: now, into: &actions)
        case .serving where passed:
            hsms[hsm].probed(call: latency / 2, limits: limits, now: now)
            hsms[hsm].softFailures = 0
            hsms[hsm].failedProbes = 0
        case .probing, .serving:
            hsms[hsm].failedProbes += 1
            failSoftly(hsm, now: now, into: &actions)
            // So many without one that passed: a new process is the only medicine left to try.
            if hsms[hsm].failedProbes >= 2 * limits.softFailures {
                putOut(hsm, reason: "its probes keep failing", now: now, into: &actions)
            }
        }
        return actions
    }

    /// An operator takes an HSM out of use, or back into it. What is on its lanes goes on.
    package mutating func drain(_ hsm: Int, _ isDrained: Bool, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard hsms.indices.contains(hsm), hsms[hsm].isDrained != isDrained else { return actions }
        hsms[hsm].isDrained = isDrained
        if isDrained {
            abandonHopeless(now: now, into: &actions)
        } else if hsms[hsm].isMember {
            hsms[hsm].backSince = now
            serveWaiting(hsm: hsm, now: now, into: &actions)
        }
        return actions
    }

    /// How many lanes of an HSM may have a session from now on; those above it close theirs when they are free.
    package mutating func allow(_ hsm: Int, lanes: Int, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard hsms.indices.contains(hsm) else { return actions }
        hsms[hsm].allowed = max(lanes, 1)
        maintain(hsm, now: now, into: &actions)
        return actions
    }
}

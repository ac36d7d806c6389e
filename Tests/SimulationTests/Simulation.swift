// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import Routing
import VirtualTime

/// What a deliberately broken driver does wrong. Shows that the checker meant for it can fail.
enum Sabotage: CaseIterable {
    /// Ticks come every 50 ms.
    case sleepsThroughTicks
    /// A finished request's caller is not informed.
    case swallowsFinishes
    /// A caller is informed twice.
    case finishesTwice
    /// The machine is given an answer while the call still goes on.
    case answersEarly
    /// Successes are reported as faults of the HSM.
    case slanders
    /// Failed requests are submitted again, outside the budget.
    case retriesByItself
    /// One ambiguous word is taken for a bad ciphertext.
    case believesOneWord
    /// One HSM's missing key is taken for a key that is gone.
    case believesOneMissing
    /// Frames get lost on their way.
    case dropsFrames
    /// Answers that nobody waits for are not reported.
    case forgetsLateAnswers
    /// The machine is informed that a worker is not replaced, though it is.
    case givesUpWorkers
    /// Nobody restarts workers.
    case ignoresRestarts
    /// Chance does not come from the seed.
    case usesTrueChance
}

/// Pool machine, driver, workers, HSMs and clients in virtual time. Everything that happens follows from the scenario.
struct Simulation {
    /// After the last fault, everything serves again within this.
    static let recovery: UInt64 = 5_000 * millisecond
    static let tickInterval: UInt64 = 5 * millisecond
    static let idleTickInterval: UInt64 = 500 * millisecond
    static let patience: UInt64 = 200 * millisecond
    /// Longest time that a start may take.
    static let startPatience: UInt64 = 30_000 * millisecond

    let scenario: Scenario
    let sabotage: Sabotage?
    var dice: RandomChoice
    var machine: PoolMachine
    var hsms: [SimulatedHSM]
    var queue = EventQueue<SimulationEvent>()
    var now = Scenario.start
    var requests: [OperationID: SimulatedRequest] = [:]
    var lastTick: UInt64 = 0
    var nextTickAt: UInt64 = .max
    var trace = Trace()
    var check = Checks()
    /// All faults are over, and the recovery as well.
    var isCalm = false

    init(_ scenario: Scenario, sabotage: Sabotage? = nil, isPrinting: Bool = false) {
        self.scenario = scenario
        self.sabotage = sabotage
        trace.isPrinting = isPrinting
        check.isPrinting = isPrinting
        dice = RandomChoice(seed: scenario.seed &* 0x9E37_79B9 &+ 1)
        hsms = scenario.characters.map(SimulatedHSM.init)
        let traits = scenario.characters.map {
            HSMTraits(stuckAfter: $0.stuckAfter, tier: $0.tier, weight: $0.weight, depth: $0.depth)
        }
        machine = PoolMachine(
            traits, groups: 2, limits: PoolLimits(waiting: 64), seed: scenario.seed, now: Scenario.start)
    }

    /// Runs to the end: faults and load, recovery, a last round of requests.
    mutating func run() {
        if sabotage == .usesTrueChance { dice = RandomChoice(seed: .random(in: 0 ... .max)) }
        for hsm in hsms.indices { queue.add(.startWorker(hsm: hsm, life: 0), at: now) }
        for index in scenario.faults.indices { queue.add(.faultBegins(index), at: scenario.faults[index].from) }
        queue.add(.request, at: now + 50 * millisecond)
        queue.add(.watch, at: now + 500 * millisecond)
        scheduleTick()
        advance(to: scenario.calmFrom + Self.recovery)
        if check.violations.isEmpty { checkRecovery() }
        isCalm = true
        queue.add(.request, at: now)
        advance(to: now + 500 * millisecond)
        if check.violations.isEmpty { checkNothingIsLeft() }
    }

    private mutating func advance(to end: UInt64) {
        while check.violations.isEmpty, let (at, event) = queue.next(until: end) {
            now = at
            handle(event)
        }
        now = end
    }

    private mutating func handle(_ event: SimulationEvent) {
        switch event {
        case .request: request()
        case .tick(let number): tick(number)
        case .watch: watch()
        case .faultBegins(let index): begin(scenario.faults[index], index: index)
        case .faultEnds(let index): end(scenario.faults[index], index: index)
        case .keyFoundLost(let hsm, let key): leave(hsm, key: key)
        case .startWorker(let hsm, let life), .workerReady(let hsm, let life), .workerDies(let hsm, let life),
            .workerEnded(let hsm, let life),
            .selfProbe(let hsm, let life), .probeReturns(let hsm, let life), .keyProven(let hsm, let life, _),
            .callReturns(let hsm, let life, _, _), .sessionMoved(let hsm, let life, _, _, _):
            guard hsms[hsm].life == life else { return }
            handle(event, of: hsm)
        }
    }

    private mutating func handle(_ event: SimulationEvent, of hsm: Int) {
        switch event {
        case .startWorker: startWorker(hsm)
        case .workerReady: workerReady(hsm, event)
        case .workerDies: die(hsm)
        case .workerEnded: workerEnded(hsm)
        case .selfProbe:
            startProbe(hsm)
            let interval = hsms[hsm].character.probeInterval
            queue.add(event, at: now + interval / 2 + dice.next() % interval)
        case .probeReturns: probeReturns(hsm, event)
        case .keyProven(_, _, let key): join(hsm, key: key)
        case .callReturns: callReturns(hsm, event)
        case .sessionMoved: sessionMoved(hsm, event)
        default: return
        }
    }

    // MARK: The machine's clock

    /// Every 5 ms while there is something to decide, every 500 ms otherwise.
    mutating func scheduleTick() {
        let isUrgent = machine.needsTicks
        let interval = sabotage == .sleepsThroughTicks ? 50 * millisecond : Self.tickInterval
        let due = now + (isUrgent ? interval : Self.idleTickInterval)
        guard due < nextTickAt else { return }
        nextTickAt = due
        lastTick += 1
        queue.add(.tick(number: lastTick), at: due)
    }

    private mutating func tick(_ number: UInt64) {
        guard number == lastTick else { return }
        nextTickAt = .max
        step(.tick) { $0.tick(now: $1) }
    }

    /// One event for the machine: its reaction is checked, then performed.
    mutating func step(_ cause: Cause, _ event: (inout PoolMachine, UInt64) -> PoolActions) {
        let actions = event(&machine, now)
        checkReaction(actions, to: cause)
        perform(actions)
        noteTroubles()
        scheduleTick()
    }
}

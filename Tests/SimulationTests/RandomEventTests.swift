// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import Routing
import Testing

/// The machine's own generator, for the standard library.
private struct Dice: RandomNumberGenerator {
    var choice: RandomChoice
    mutating func next() -> UInt64 { choice.next() }
}

/// Drives a machine with random events in virtual time and checks what must always hold.
private struct World {
    var dice: Dice
    var machine: PoolMachine
    let hsmCount: Int
    let lanes: Int
    let depth: Int
    var now: UInt64 = 1_000 * millisecond
    var open: [OperationID: (deadline: UInt64, asked: Set<Int>)] = [:]
    var onLanes: [Dispatch] = []
    var orders: [LaneOrder] = []
    var violations: [String] = []
    var finished = 0
    var refusals: [OperationID: Int] = [:]

    init(seed: UInt64) {
        dice = Dice(choice: RandomChoice(seed: seed))
        hsmCount = Int.random(in: 1...8, using: &dice)
        lanes = Int.random(in: 1...6, using: &dice)
        let depth = [1, 1, 2, 3][Int.random(in: 0..<4, using: &dice)]
        self.depth = depth
        machine = PoolMachine(
            (0..<hsmCount).map { HSMTraits(stuckAfter: 2_000_000_000, tier: $0 % 2, depth: depth) }, groups: 2,
            limits: PoolLimits(waiting: 20), seed: seed)
    }

    mutating func take(_ actions: PoolActions) {
        for dispatch in actions.dispatches {
            guard open[dispatch.operation] != nil else {
                violations.append("dispatched a finished operation")
                continue
            }
            if onLanes.count(where: { $0.lane == dispatch.lane }) >= depth { violations.append("too much on one lane") }
            if let deadline = open[dispatch.operation]?.deadline, deadline <= now { violations.append("sent too late") }
            open[dispatch.operation]?.asked.insert(dispatch.lane.hsm)
            onLanes.append(dispatch)
        }
        for order in actions.laneOrders {
            if onLanes.contains(where: { $0.lane == order.lane }) || orders.contains(where: { $0.lane == order.lane }) {
                violations.append("an order for a lane at work")
            }
            orders.append(order)
        }
        for finish in actions.finishes {
            guard let operation = open.removeValue(forKey: finish.operation) else {
                violations.append("finished twice")
                continue
            }
            finished += 1
            // Two rounds of three, and eight that were lost with their lanes.
            if finish.attempts > 14 { violations.append("too many attempts") }
            if case .timedOut = finish.outcome, operation.deadline > now { violations.append("timed out early") }
            if finish.outcome == .done, operation.deadline < now {
                violations.append("answered after the deadline")
            }
        }
        for restart in actions.restarts { dropFrames(of: restart.hsm) }
    }

    mutating func dropFrames(of hsm: Int) {
        onLanes.removeAll { $0.lane.hsm == hsm }
        orders.removeAll { $0.lane.hsm == hsm }
    }

    mutating func step() {
        switch Int.random(in: 0..<100, using: &dice) {
        case 0..<35: submit()
        case 35..<75: answer()
        case 75..<90:
            now += UInt64.random(in: 1...10, using: &dice) * millisecond
            take(machine.tick(now: now))
        case 90..<94:
            let hsm = Int.random(in: 0..<hsmCount, using: &dice)
            dropFrames(of: hsm)
            take(
                machine.ready(hsm, openLanes: Int.random(in: 0...lanes, using: &dice), lanes: lanes, now: now))
            if Bool.random(using: &dice) { take(machine.probed(hsm, passed: true, now: now)) }
        case 94..<96:
            let hsm = Int.random(in: 0..<hsmCount, using: &dice)
            dropFrames(of: hsm)
            take(machine.ended(hsm, returning: Bool.random(using: &dice), now: now))
        case 96..<97:
            guard let frame = onLanes.randomElement(using: &dice) else { return }
            onLanes.removeAll { $0.lane == frame.lane }
            take(machine.laneClosed(frame.lane, now: now))
        case 97..<98:
            let hsm = Int.random(in: 0..<hsmCount, using: &dice)
            take(machine.drain(hsm, Bool.random(using: &dice), now: now))
            take(machine.allow(hsm, lanes: Int.random(in: 0...lanes, using: &dice), now: now))
        case 98..<99:
            guard let id = open.keys.min(by: { $0.number < $1.number }) else { return }
            let hsm = Int.random(in: 0..<hsmCount, using: &dice)
            take(
                Bool.random(using: &dice)
                    ? machine.joined(hsm, holdersOf: id, now: now) : machine.left(hsm, holdersOf: id, now: now))
        default:
            let hsm = Int.random(in: 0..<hsmCount, using: &dice)
            take(machine.probed(hsm, passed: Bool.random(using: &dice), now: now))
        }
    }

    mutating func submit() {
        let holders = HSMSet((0..<hsmCount).filter { _ in Int.random(in: 0..<4, using: &dice) > 0 })
        let deadline = now + UInt64.random(in: 1...300, using: &dice) * millisecond
        let (id, actions) = machine.submit(
            Bool.random(using: &dice) ? .encrypt : .decrypt, holders: holders, deadline: deadline,
            group: Int.random(in: 0...1, using: &dice), now: now)
        open[id] = (deadline, [])
        take(actions)
    }

    mutating func answer() {
        if let order = orders.popLast() {
            let word: Disposition = Bool.random(using: &dice) ? .done : .tryElsewhere
            take(machine.answered(order.lane, generation: order.generation, disposition: word, now: now))
        }
        guard let index = onLanes.indices.randomElement(using: &dice) else { return }
        let frame = onLanes.remove(at: index)
        let meanings: [Disposition] = [
            .done, .done, .done, .done, .callersFault(.ciphertextIsInvalid), .tryElsewhere, .keyMissing, .sessionLost,
            .hsmSuspect, .hsmOut, .ambiguous, .ambiguous,
        ]
        let disposition = meanings.randomElement(using: &dice) ?? .done
        if frame.question == .request, disposition == .ambiguous || disposition == .callersFault(.ciphertextIsInvalid) {
            refusals[frame.operation, default: 0] += 1
        }
        let actions = machine.answered(frame.lane, generation: frame.generation, disposition: disposition, now: now)
        for finish in actions.finishes where finish.outcome == .callersFault(.ciphertextIsInvalid) {
            if refusals[finish.operation, default: 0] < 3 { violations.append("fewer than three refusals decided") }
        }
        take(actions)
    }

    mutating func check() {
        if machine.unfinished != open.count { violations.append("an operation was lost") }
        for hsm in 0..<hsmCount {
            let lanes = machine.lanes(of: hsm)
            let frames = onLanes.filter { $0.lane.hsm == hsm }.count
            let known = lanes.busy + machine.queued(on: hsm)
            if known != frames { violations.append("HSM \(hsm): \(known) busy or queued, \(frames) frames") }
            if lanes.overdue > lanes.busy || lanes.busy > lanes.open { violations.append("HSM \(hsm): \(lanes)") }
        }
    }
}

/// Other than the simulation, this knows nothing of what makes sense: any event may come at any time.
@Suite("Simulation: events without sense")
struct RandomEventTests {
    @Test("nothing is lost, sent twice, answered late or decided on fewer than three refusals", arguments: 0..<8)
    func worlds(block: UInt64) {
        for seed in (block * 50)..<(block * 50 + 50) {
            var world = World(seed: seed)
            for _ in 0..<400 {
                world.step()
                world.check()
                if !world.violations.isEmpty { break }
            }
            // Whatever happens, every operation ends when its time is up.
            world.now += 400 * millisecond
            let rest = world.machine.tick(now: world.now)
            world.take(rest)
            if world.machine.unfinished != 0 { world.violations.append("unfinished after every deadline") }
            #expect(world.violations.isEmpty, "seed \(seed)")
            #expect(world.finished > 20, "seed \(seed) decided too little to mean anything")
        }
    }
}

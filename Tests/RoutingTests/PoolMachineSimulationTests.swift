// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import Testing

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine, so that a seed is a story.
private struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Drives a machine with random events in virtual time and checks what must always hold.
private struct World {
    static let millisecond: UInt64 = 1_000_000
    var dice: Dice
    var machine: PoolMachine
    let hsmCount: Int
    let lanes: Int
    var now: UInt64 = 1_000 * Self.millisecond
    var open: [OperationID: (deadline: UInt64, asked: Set<Int>)] = [:]
    var onLanes: [Dispatch] = []
    var violations: [String] = []
    var finished = 0

    init(seed: UInt64) {
        dice = Dice(state: seed)
        hsmCount = Int.random(in: 1...8, using: &dice)
        lanes = Int.random(in: 1...6, using: &dice)
        machine = PoolMachine(
            stuckAfter: Array(repeating: 2_000_000_000, count: hsmCount), groups: 2, limits: PoolLimits(waiting: 20))
    }

    mutating func take(_ actions: PoolActions) {
        for dispatch in actions.dispatches {
            guard open[dispatch.operation] != nil else {
                violations.append("dispatched a finished operation")
                continue
            }
            if onLanes.contains(where: { $0.lane == dispatch.lane }) { violations.append("two frames on one lane") }
            if let deadline = open[dispatch.operation]?.deadline, deadline <= now { violations.append("sent too late") }
            open[dispatch.operation]?.asked.insert(dispatch.lane.hsm)
            onLanes.append(dispatch)
        }
        for finish in actions.finishes {
            guard let operation = open.removeValue(forKey: finish.operation) else {
                violations.append("finished twice")
                continue
            }
            finished += 1
            if finish.attempts > 3 { violations.append("too many attempts") }
            if finish.outcome == .timedOut, operation.deadline > now { violations.append("timed out early") }
            if finish.outcome == .done, operation.deadline < now {
                violations.append("answered after the deadline")
            }
        }
        for restart in actions.restarts { dropFrames(of: restart.hsm) }
    }

    mutating func dropFrames(of hsm: Int) { onLanes.removeAll { $0.lane.hsm == hsm } }

    mutating func step() {
        switch Int.random(in: 0..<100, using: &dice) {
        case 0..<35: submit()
        case 35..<75: answer()
        case 75..<90:
            now += UInt64.random(in: 1...10, using: &dice) * Self.millisecond
            take(machine.tick(now: now))
        case 90..<94:
            let hsm = Int.random(in: 0..<hsmCount, using: &dice)
            dropFrames(of: hsm)
            take(machine.ready(hsm, lanes: lanes, now: now))
        case 94..<96:
            let hsm = Int.random(in: 0..<hsmCount, using: &dice)
            dropFrames(of: hsm)
            take(machine.ended(hsm, returning: Bool.random(using: &dice), now: now))
        case 96..<97:
            guard let frame = onLanes.randomElement(using: &dice) else { return }
            onLanes.removeAll { $0.lane == frame.lane }
            take(machine.laneClosed(frame.lane, now: now))
        default:
            let hsm = Int.random(in: 0..<hsmCount, using: &dice)
            take(machine.probed(hsm, passed: Bool.random(using: &dice), now: now))
        }
    }

    mutating func submit() {
        let holders = HSMSet((0..<hsmCount).filter { _ in Int.random(in: 0..<4, using: &dice) > 0 })
        let deadline = now + UInt64.random(in: 1...300, using: &dice) * Self.millisecond
        let (id, actions) = machine.submit(
            Bool.random(using: &dice) ? .encrypt : .decrypt, holders: holders, deadline: deadline,
            group: Int.random(in: 0...1, using: &dice), now: now)
        open[id] = (deadline, [])
        take(actions)
    }

    mutating func answer() {
        guard let index = onLanes.indices.randomElement(using: &dice) else { return }
        let frame = onLanes.remove(at: index)
        let meanings: [Disposition] = [
            .done, .done, .done, .done, .callersFault(.ciphertextIsInvalid), .tryElsewhere, .keyMissing, .sessionLost,
            .hsmSuspect, .hsmOut, .ambiguous,
        ]
        let disposition = meanings.randomElement(using: &dice) ?? .done
        let decided = open[frame.operation]?.asked.count ?? 0
        let actions = machine.answered(frame.lane, generation: frame.generation, disposition: disposition, now: now)
        if disposition == .ambiguous, decided < 2,
            actions.finishes.contains(where: { $0.outcome == .callersFault(.ciphertextIsInvalid) })
        {
            violations.append("one HSM's ambiguous word decided")
        }
        take(actions)
    }

    mutating func check() {
        if machine.unfinished != open.count { violations.append("an operation was lost") }
        for hsm in 0..<hsmCount {
            let lanes = machine.lanes(of: hsm)
            let frames = onLanes.filter { $0.lane.hsm == hsm }.count
            if lanes.busy != frames { violations.append("HSM \(hsm): \(lanes.busy) busy, \(frames) frames") }
            if lanes.overdue > lanes.busy || lanes.busy > lanes.open { violations.append("HSM \(hsm): \(lanes)") }
        }
    }
}

@Suite("Pool machine: random worlds")
struct PoolMachineSimulationTests {
    @Test("nothing is lost, sent twice, answered late or decided on one ambiguous word", arguments: 0..<8)
    func worlds(block: UInt64) {
        for seed in (block * 50)..<(block * 50 + 50) {
            var world = World(seed: seed)
            for _ in 0..<400 {
                world.step()
                world.check()
                if !world.violations.isEmpty { break }
            }
            // Whatever happens, every operation ends when its time is up.
            world.now += 400 * World.millisecond
            let rest = world.machine.tick(now: world.now)
            world.take(rest)
            if world.machine.unfinished != 0 { world.violations.append("unfinished after every deadline") }
            #expect(world.violations.isEmpty, "seed \(seed)")
            #expect(world.finished > 20, "seed \(seed) decided too little to mean anything")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import Routing
import Testing

/// HSMs come and go at random while operations are under way. Each HSM that ever came is another, whatever its
/// position.
private struct World {
    struct Operation {
        var deadline: UInt64
        /// Which HSMs it may be given to, by position.
        var permitted: [Int: Int] = [:]
    }

    enum Membership { case member, retired, vacant }

    var random: RandomChoice
    var machine: PoolMachine
    var now: UInt64 = 1_000 * millisecond
    /// The HSM in each position, and whether it is one.
    var hsms: [(number: Int, membership: Membership)] = []
    var lastNumber = 0
    var open: [OperationID: Operation] = [:]
    var frames: [Dispatch] = []
    var finished = 0
    var violations: [String] = []

    init(seed: UInt64) {
        random = RandomChoice(seed: seed)
        let count = random.below(4)
        machine = PoolMachine(
            (0..<count).map { _ in Self.traits }, groups: 2, limits: PoolLimits(waiting: 20), seed: seed)
        hsms = (0..<count).map { ($0, .member) }
        lastNumber = count
    }

    static let traits = HSMTraits(stuckAfter: 2_000_000_000)

    mutating func take(_ actions: PoolActions) {
        for dispatch in actions.dispatches {
            let position = dispatch.lane.hsm
            guard let operation = open[dispatch.operation] else {
                violations.append("a finished operation is sent")
                continue
            }
            if hsms[position].membership != .member {
                violations.append("sent to \(position), which is \(hsms[position].membership)")
            }
            if operation.permitted[position] != hsms[position].number {
                violations.append("sent to another HSM in place \(position)")
            }
            if frames.contains(where: { $0.lane == dispatch.lane }) { violations.append("two frames on one lane") }
            frames.append(dispatch)
        }
        for finish in actions.finishes {
            if open.removeValue(forKey: finish.operation) == nil { violations.append("finished twice") }
            finished += 1
        }
        for restart in actions.restarts {
            frames.removeAll { $0.lane.hsm == restart.hsm }
            if hsms[restart.hsm].membership == .vacant { violations.append("a worker of nobody is restarted") }
        }
    }

    mutating func step() {
        let position = hsms.isEmpty ? 0 : random.below(hsms.count)
        switch random.below(100) {
        case 0..<35: submit()
        case 35..<65: answer()
        case 65..<75:
            now += UInt64(1 + random.below(10)) * millisecond
            take(machine.tick(now: now))
        case 75..<83: start(position)
        case 83..<85:
            frames.removeAll { $0.lane.hsm == position }
            take(machine.ended(position, returning: random.below(2) == 0, now: now))
        case 85..<88: add()
        case 88..<91:
            guard hsms.indices.contains(position), hsms[position].membership == .member else { return }
            hsms[position].membership = .retired
            take(machine.retire(position, now: now))
        case 91..<95: free(position)
        case 95..<97:
            take(machine.drain(position, random.below(2) == 0, now: now))
        default: join(position)
        }
    }

    private mutating func submit() {
        let holders = hsms.indices.filter { hsms[$0].membership != .vacant && random.below(3) > 0 }
        let deadline = now + UInt64(1 + random.below(300)) * millisecond
        let (id, actions) = machine.submit(
            .encrypt, holders: HSMSet(holders), deadline: deadline, group: random.below(2), now: now)
        open[id] = Operation(
            deadline: deadline, permitted: Dictionary(uniqueKeysWithValues: holders.map { ($0, hsms[$0].number) }))
        take(actions)
    }

    private mutating func answer() {
        guard !frames.isEmpty else { return }
        let frame = frames.remove(at: random.below(frames.count))
        let words: [Disposition] = [
            .done, .done, .done, .tryElsewhere, .keyMissing, .sessionLost, .hsmSuspect, .hsmOut,
        ]
        take(
            machine.answered(
                frame.lane, generation: frame.generation, disposition: words[random.below(words.count)], now: now))
    }

    private mutating func start(_ position: Int) {
        guard hsms.indices.contains(position), hsms[position].membership != .vacant else { return }
        frames.removeAll { $0.lane.hsm == position }
        take(machine.ready(position, openLanes: 1 + random.below(3), lanes: 3, now: now))
        if random.below(4) > 0 { take(machine.probed(position, passed: true, now: now)) }
    }

    private mutating func add() {
        let positions = HSMSet((0..<8).filter { _ in random.below(2) == 0 })
        let vacant = hsms.indices.first { positions.contains($0) && hsms[$0].membership == .vacant }
        let expected = vacant ?? (positions.contains(hsms.count) ? hsms.count : nil)
        let position = machine.add(Self.traits, to: positions)
        if position != expected { violations.append("place \(position ?? -1) instead of \(expected ?? -1)") }
        guard let position else { return }
        lastNumber += 1
        if position == hsms.count { hsms.append((lastNumber, .member)) } else { hsms[position] = (lastNumber, .member) }
    }

    private mutating func free(_ position: Int) {
        guard hsms.indices.contains(position), hsms[position].membership != .vacant else { return }
        hsms[position].membership = .vacant
        frames.removeAll { $0.lane.hsm == position }
        for id in open.keys { open[id]?.permitted[position] = nil }
        take(machine.free(position, now: now))
    }

    private mutating func join(_ position: Int) {
        guard hsms.indices.contains(position), hsms[position].membership != .vacant,
            let id = open.keys.min(by: { $0.number < $1.number })
        else { return }
        open[id]?.permitted[position] = hsms[position].number
        take(machine.joined(position, holdersOf: id, now: now))
    }

    mutating func check() {
        if machine.unfinished != open.count { violations.append("an operation was lost") }
        for position in hsms.indices {
            let lanes = machine.lanes(of: position)
            let count = frames.filter { $0.lane.hsm == position }.count
            if lanes.busy != count { violations.append("place \(position): \(lanes.busy) busy, \(count) frames") }
            let isAwaited = frames.contains { $0.lane.hsm == position && open[$0.operation] != nil }
            if machine.isNeeded(position) != isAwaited {
                violations.append("place \(position): needed is not \(isAwaited)")
            }
        }
    }
}

@Suite("Pool machine: HSMs that come and go at random")
struct PoolMemberRandomTests {
    @Test("nothing is lost, and nothing is sent to one that has gone or that an operation was not meant for")
    func worlds() {
        var finished = 0
        for seed in 0..<UInt64(300) {
            var world = World(seed: seed)
            for _ in 0..<300 {
                world.step()
                world.check()
                if !world.violations.isEmpty { break }
            }
            world.now += 400 * millisecond
            let rest = world.machine.tick(now: world.now)
            world.take(rest)
            if world.machine.unfinished != 0 { world.violations.append("unfinished after every deadline") }
            #expect(world.violations.isEmpty, "seed \(seed)")
            finished += world.finished
        }
        #expect(finished > 20_000)
    }
}

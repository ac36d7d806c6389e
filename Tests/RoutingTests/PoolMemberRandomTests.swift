// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import Routing
import Testing

/// HSMs come and go at random while operations are under way. Each HSM that ever came is another, whatever its place.
private struct World {
    struct Operation {
        var deadline: UInt64
        /// Which HSMs it may be given to, by place.
        var permitted: [Int: Int] = [:]
    }

    enum Membership { case member, retired, vacant }

    var random: RandomChoice
    var machine: PoolMachine
    var now: UInt64 = 1_000 * millisecond
    /// The HSM in each place, and whether it is one.
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
            let place = dispatch.lane.hsm
            guard let operation = open[dispatch.operation] else {
                violations.append("a finished operation is sent")
                continue
            }
            if hsms[place].membership != .member {
                violations.append("sent to \(place), which is \(hsms[place].membership)")
            }
            if operation.permitted[place] != hsms[place].number {
                violations.append("sent to another HSM in place \(place)")
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
        let place = hsms.isEmpty ? 0 : random.below(hsms.count)
        switch random.below(100) {
        case 0..<35: submit()
        case 35..<65: answer()
        case 65..<75:
            now += UInt64(1 + random.below(10)) * millisecond
            take(machine.tick(now: now))
        case 75..<83: start(place)
        case 83..<85:
            frames.removeAll { $0.lane.hsm == place }
            take(machine.ended(place, returning: random.below(2) == 0, now: now))
        case 85..<88: add()
        case 88..<91:
            guard hsms.indices.contains(place), hsms[place].membership == .member else { return }
            hsms[place].membership = .retired
            take(machine.retire(place, now: now))
        case 91..<95: free(place)
        case 95..<97:
            take(machine.drain(place, random.below(2) == 0, now: now))
        default: join(place)
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

    private mutating func start(_ place: Int) {
        guard hsms.indices.contains(place), hsms[place].membership != .vacant else { return }
        frames.removeAll { $0.lane.hsm == place }
        take(machine.ready(place, openLanes: 1 + random.below(3), lanes: 3, now: now))
        if random.below(4) > 0 { take(machine.probed(place, passed: true, now: now)) }
    }

    private mutating func add() {
        let places = HSMSet((0..<8).filter { _ in random.below(2) == 0 })
        let vacant = hsms.indices.first { places.contains($0) && hsms[$0].membership == .vacant }
        let expected = vacant ?? (places.contains(hsms.count) ? hsms.count : nil)
        let place = machine.add(Self.traits, to: places)
        if place != expected { violations.append("place \(place ?? -1) instead of \(expected ?? -1)") }
        guard let place else { return }
        lastNumber += 1
        if place == hsms.count { hsms.append((lastNumber, .member)) } else { hsms[place] = (lastNumber, .member) }
    }

    private mutating func free(_ place: Int) {
        guard hsms.indices.contains(place), hsms[place].membership != .vacant else { return }
        hsms[place].membership = .vacant
        frames.removeAll { $0.lane.hsm == place }
        for id in open.keys { open[id]?.permitted[place] = nil }
        take(machine.free(place, now: now))
    }

    private mutating func join(_ place: Int) {
        guard hsms.indices.contains(place), hsms[place].membership != .vacant,
            let id = open.keys.min(by: { $0.number < $1.number })
        else { return }
        open[id]?.permitted[place] = hsms[place].number
        take(machine.joined(place, holdersOf: id, now: now))
    }

    mutating func check() {
        if machine.unfinished != open.count { violations.append("an operation was lost") }
        for place in hsms.indices {
            let lanes = machine.lanes(of: place)
            let count = frames.filter { $0.lane.hsm == place }.count
            if lanes.busy != count { violations.append("place \(place): \(lanes.busy) busy, \(count) frames") }
            let isAwaited = frames.contains { $0.lane.hsm == place && open[$0.operation] != nil }
            if machine.isNeeded(place) != isAwaited { violations.append("place \(place): needed is not \(isAwaited)") }
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

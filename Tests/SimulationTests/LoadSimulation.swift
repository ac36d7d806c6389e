// SPDX-License-Identifier: Apache-2.0
import Chance
import Gossip
import LaneProtocol
import Routing
import SeededRandom
import VirtualTime

/// Pool machines under an open loop, in virtual time: one for each node, on the same HSMs or each on its own.
struct LoadSimulation {
    private enum Event {
        case arrival(Int)
        case returned(node: Int, Dispatch)
        case tick(node: Int)
        case probe(node: Int, hsm: Int)
        /// A request reaches a node to which another has passed it on.
        case passed(Int, to: Int)
        /// What a node reports of its room reaches the others.
        case reported(node: Int)
    }

    private struct Request {
        var arrival: Arrival
        var callsLeft: Int
        /// The node that does it for the one where it came in.
        var passedTo: Int?
        /// It has been given to another node, or was to be and none took it.
        var wasPassedOn = false
        /// It was given back before it had waited here: it may wait here after all.
        var wasCrowded = false
    }

    /// Between two nodes, one way.
    private static let wayBetweenNodes = millisecond
    /// Between two times at which a node's facts reach the others.
    private static let gossipInterval: UInt64 = 500 * millisecond
    private static let stuckAfter = 2_000 * millisecond
    private static let tickInterval: UInt64 = 5 * millisecond
    /// The clock's reading when the scenario begins.
    private static let start: UInt64 = 1_000 * millisecond

    private let scenario: LoadScenario
    private var dice: RandomChoice
    /// Of each HSM, for what its next call takes.
    private var callDice: [RandomChoice]
    private var queue = EventQueue<Event>()
    private(set) var machines: [PoolMachine] = []
    private var requests: [Request] = []
    /// For each node, what an operation is for.
    private var operations: [[OperationID: Int]]
    /// Until when an HSM that makes one call at a time is at those that it has.
    private var busyUntil: [UInt64]
    private var lastTick: [UInt64]
    /// What room each node was last reported to have, and what each has given to the others.
    private var room: [SpareRoom?]
    private var shares: [SurplusShares]
    private(set) var result: LoadResult
    /// Workers that a machine wanted to have killed although none of their calls has lasted as long as one may.
    private(set) var restarts = 0
    /// HSMs of which a call has lasted longer: a slow one in a spell in which all are ten times slower.
    private var stuck = HSMSet()
    /// Requests that failed although they came after the pause.
    private(set) var failedAfterPause = 0

    init(_ scenario: LoadScenario) {
        self.scenario = scenario
        dice = RandomChoice(seed: scenario.seed &+ 33)
        callDice = scenario.callDice
        operations = Array(repeating: [:], count: scenario.nodes)
        busyUntil = scenario.hsms.map { _ in 0 }
        lastTick = Array(repeating: 0, count: scenario.nodes)
        room = Array(repeating: nil, count: scenario.nodes)
        shares = Array(repeating: SurplusShares(), count: scenario.nodes)
        result = LoadResult(scenario)
        let traits = scenario.hsms.map {
            HSMTraits(stuckAfter: Self.stuckAfter, tier: $0.tier, weight: $0.weight)
        }
        for node in 0..<scenario.nodes {
            var machine = PoolMachine(
                traits, groups: 2, limits: PoolLimits(), seed: scenario.seed &+ UInt64(node), now: Self.start)
            for hsm in scenario.hsms.indices where scenario.all(of: node).contains(hsm) {
                let lanes = scenario.hsms[hsm].lanes
                let latency = UInt64(2e6 * scenario.hsms[hsm].law.usual)
                _ = machine.ready(hsm, openLanes: lanes, lanes: lanes, now: Self.start)
                _ = machine.probed(hsm, passed: true, latency: latency, now: Self.start)
            }
            machines.append(machine)
        }
    }

    mutating func run() -> LoadResult {
        for arrival in scenario.arrivals() {
            requests.append(Request(arrival: arrival, callsLeft: scenario.loads[arrival.load].takesTwo ? 2 : 1))
            guard !isPaused(arrival.node, at: arrival.at) else { continue }
            queue.add(.arrival(requests.count - 1), at: arrival.at)
            result.noteAsked(arrival)
        }
        for node in 0..<scenario.nodes {
            queue.add(.tick(node: node), at: UInt64(node) * millisecond)
            if scenario.passesOn { queue.add(.reported(node: node), at: dice.next() % Self.gossipInterval) }
            for hsm in scenario.hsms.indices where scenario.all(of: node).contains(hsm) {
                queue.add(.probe(node: node, hsm: hsm), at: dice.next() % (5_000 * millisecond))
            }
        }
        while let (now, event) = queue.next(until: scenario.length + LoadScenario.deadline) { handle(event, now: now) }
        return result
    }

    private func isPaused(_ node: Int, at now: UInt64) -> Bool {
        guard let pause = scenario.pause else { return false }
        return pause.nodes.contains(node) && pause.from <= now && now < pause.until
    }

    private mutating func handle(_ event: Event, now: UInt64) {
        let clock = Self.start + now
        switch event {
        case .arrival(let request):
            submit(request, now: now)
        case .passed(let request, let node):
            requests[request].passedTo = node
            submit(request, now: now)
        case .reported(let node):
            queue.add(event, at: now + Self.gossipInterval)
            room[node] = machines[node].room(now: clock)
            for other in 0..<scenario.nodes { machines[other].detour = detour(from: other) }
        case .returned(let node, let dispatch):
            guard !postpone(event, of: node, now: now) else { return }
            let actions = machines[node].answered(
                dispatch.lane, generation: dispatch.generation, disposition: .done, now: clock)
            perform(actions, node: node, now: now)
        case .tick(let node):
            guard !postpone(event, of: node, now: now) else { return }
            queue.add(event, at: now + Self.tickInterval)
            guard machines[node].needsTicks || now >= lastTick[node] + 500 * millisecond else { return }
            lastTick[node] = now
            perform(machines[node].tick(now: clock), node: node, now: now)
        case .probe(let node, let hsm):
            guard !postpone(event, of: node, now: now) else { return }
            queue.add(event, at: now + UInt64(dice.between(4_000, 6_000)) * millisecond)
            let call = scenario.hsms[hsm].law.draw(&dice) * scenario.hsms[hsm].spells.factor(at: now)
            let takes = UInt64(2 * call * 1e6)
            perform(machines[node].probed(hsm, passed: true, latency: takes, now: clock), node: node, now: now)
        }
    }

    /// What would happen on a node that stands still happens when it goes on.
    private mutating func postpone(_ event: Event, of node: Int, now: UInt64) -> Bool {
        guard let pause = scenario.pause, isPaused(node, at: now) else { return false }
        queue.add(event, at: pause.until)
        return true
    }

    private mutating func submit(_ request: Int, now: UInt64) {
        let arrival = requests[request].arrival
        let load = scenario.loads[arrival.load]
        let node = requests[request].passedTo ?? arrival.node
        let (id, actions) = machines[node].submit(
            .encrypt, holders: load.hsms ?? scenario.all(of: node), terms: terms(of: request),
            deadline: Self.start + arrival.at + LoadScenario.deadline, group: dice.below(2), now: Self.start + now)
        operations[node][id] = request
        perform(actions, node: node, now: now)
    }

    private func terms(of request: Int) -> OperationTerms {
        let (load, left) = (requests[request].arrival.load, requests[request].callsLeft)
        return OperationTerms(
            mayPassOn: scenario.passesOn && !requests[request].wasPassedOn, share: load, calls: left,
            isContinuation: scenario.loads[load].takesTwo && left == 1, isSurplus: requests[request].passedTo != nil)
    }

    /// How long an operation of a node takes on the fastest other one that has room; `nil` where none has.
    private func detour(from node: Int) -> UInt64? {
        room.indices.compactMap { other -> UInt64? in
            guard other != node, let room = room[other], room.perSecond > 0 else { return nil }
            return room.call + 3 * Self.wayBetweenNodes + millisecond
        }.min()
    }

    /// Gives a request that would wait for long, or was refused for want of HSMs, to the next node that has room. False
    /// where none has.
    private mutating func passOn(_ request: Int, from node: Int, now: UInt64) -> Bool {
        guard scenario.passesOn, !requests[request].wasPassedOn else { return false }
        requests[request].wasPassedOn = true
        for other in 1..<scenario.nodes {
            let peer = (node + other) % scenario.nodes
            guard
                shares[node].take(
                    "\(peer)", spare: UInt32(clamping: room[peer]?.perSecond ?? 0),
                    time: detour(from: node) ?? 0, now: Self.start + now)
            else { continue }
            requests[request].callsLeft = scenario.loads[requests[request].arrival.load].takesTwo ? 2 : 1
            queue.add(.passed(request, to: peer), at: now + Self.wayBetweenNodes)
            if requests[request].arrival.at >= scenario.warmUp { result.passed += 1 }
            return true
        }
        return false
    }

    /// What the next call of an HSM takes, milliseconds.
    private mutating func draw(_ hsm: Int, at time: UInt64) -> Double {
        scenario.hsms[hsm].law.draw(&callDice[hsm]) * scenario.hsms[hsm].spells.factor(at: time)
    }

    private mutating func perform(_ actions: PoolActions, node: Int, now: UInt64) {
        restarts += actions.restarts.count { !stuck.contains($0.hsm) }
        for dispatch in actions.dispatches {
            let hsm = dispatch.lane.hsm
            let arrivedAt = operations[node][dispatch.operation].map { requests[$0].arrival.at } ?? 0
            result.noteCall(hsm: hsm, at: now, isCounted: arrivedAt >= scenario.warmUp)
            var begins = now
            if scenario.hsms[hsm].isSerial { begins = max(now, busyUntil[hsm]) }
            let ends = begins + UInt64(draw(hsm, at: begins) * 1e6)
            busyUntil[hsm] = ends
            if ends - now >= Self.stuckAfter { stuck.insert(hsm) }
            queue.add(.returned(node: node, dispatch), at: ends)
        }
        for finish in actions.finishes { finished(finish, node: node, now: now) }
    }

    /// What one node does not do another may, or it waits after all.
    private mutating func isContinued(_ request: Int, _ finish: Finish, node: Int, now: UInt64) -> Bool {
        let arrival = requests[request].arrival
        if requests[request].passedTo != nil {
            shares[arrival.node].answered("\(node)", isRefusal: true, now: Self.start + now)
            if arrival.at >= scenario.warmUp { result.refused += 1 }
            requests[request].passedTo = nil
            guard requests[request].wasCrowded, now < arrival.at + LoadScenario.deadline else { return false }
            submit(request, now: now)
            return true
        }
        guard finish.outcome == .overloaded || finish.outcome == .crowded else { return false }
        requests[request].wasCrowded = finish.outcome == .crowded
        if passOn(request, from: node, now: now) { return true }
        guard finish.outcome == .crowded else { return false }
        submit(request, now: now)
        return true
    }

    private mutating func finished(_ finish: Finish, node: Int, now: UInt64) {
        guard let request = operations[node].removeValue(forKey: finish.operation) else { return }
        let arrival = requests[request].arrival
        guard finish.outcome == .done, now <= arrival.at + LoadScenario.deadline else {
            if isContinued(request, finish, node: node, now: now) { return }
            if let pause = scenario.pause, arrival.at >= pause.until { failedAfterPause += 1 }
            if arrival.at >= scenario.warmUp {
                result.failures[arrival.load][finish.outcome == .done ? "late" : "\(finish.outcome)", default: 0] += 1
            }
            return
        }
        if requests[request].passedTo != nil {
            shares[arrival.node].answered("\(node)", isRefusal: false, now: Self.start + now)
        }
        requests[request].callsLeft -= 1
        if requests[request].callsLeft > 0 {
            submit(request, now: now)
        } else {
            result.noteDone(arrival, at: now)
        }
    }
}

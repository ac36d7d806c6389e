// SPDX-License-Identifier: Apache-2.0
import Chance
import Routing
import VirtualTime

/// What the router is measured against: a dispatcher that knows each HSM's true mean and line, and sends each request
/// where the expected delay is shortest (JSED). It stands in no line that cannot be answered in time.
///
/// One dispatcher for all nodes knows how many calls every HSM is at: nobody can serve more. Nodes do not know that: what
/// one has sent to an HSM that makes one call at a time delays the others' calls, and none of them sees it. With
/// `isPerNode` each node has a dispatcher of its own, which sees its own calls only, and knows the true means: it says
/// how fast answers can be.
///
/// With `isHedging`, what outlasts the usual is done once more on a free lane, and the first answer counts.
struct ModelDispatcher {
    private enum Event {
        case arrival(Int)
        case returned(hsm: Int, Int)
        case hedge(Int, hsm: Int)
    }

    private struct Request {
        var arrival: Arrival
        var callsLeft: Int
        var isAnswered = false
    }

    private let scenario: LoadScenario
    private let isHedging: Bool
    private let isPerNode: Bool
    private var callDice: [RandomChoice]
    /// Several nodes are not to choose the same one of equal HSMs.
    private var ties: RandomChoice
    private var queue = EventQueue<Event>()
    private var requests: [Request] = []
    /// Of each dispatcher: how many calls it has each HSM at, and what is to follow them.
    private var busy: [[Int]]
    private var lines: [[[Int]]]
    /// Until when an HSM that makes one call at a time is at those that it has.
    private var busyUntil: [UInt64]
    private var result: LoadResult

    init(_ scenario: LoadScenario, isHedging: Bool, isPerNode: Bool = false) {
        self.scenario = scenario
        self.isHedging = isHedging
        self.isPerNode = isPerNode
        ties = RandomChoice(seed: scenario.seed &+ 55)
        callDice = scenario.callDice
        let dispatchers = isPerNode ? scenario.nodes : 1
        busy = Array(repeating: scenario.hsms.map { _ in 0 }, count: dispatchers)
        lines = Array(repeating: scenario.hsms.map { _ in [] }, count: dispatchers)
        busyUntil = scenario.hsms.map { _ in 0 }
        result = LoadResult(scenario)
    }

    mutating func run() -> LoadResult {
        for arrival in scenario.arrivals() {
            requests.append(Request(arrival: arrival, callsLeft: scenario.loads[arrival.load].takesTwo ? 2 : 1))
            queue.add(.arrival(requests.count - 1), at: arrival.at)
            result.noteAsked(arrival)
        }
        while let (now, event) = queue.next(until: .max) {
            switch event {
            case .arrival(let request): assign(request, isFirst: false, now: now)
            case .returned(let hsm, let request): returned(request, hsm: hsm, now: now)
            case .hedge(let request, let hsm): hedge(request, now: now, besides: hsm)
            }
        }
        return result
    }

    private func milliseconds(_ hsm: Int, now: UInt64) -> Double {
        let law = scenario.hsms[hsm].law
        return (isHedging ? law.usual : law.mean) * scenario.hsms[hsm].spells.factor(at: now)
    }

    /// Which dispatcher a request is with.
    private func dispatcher(of request: Int) -> Int { isPerNode ? requests[request].arrival.node : 0 }

    /// How many calls a dispatcher has an HSM at.
    private func servers(_ hsm: Int) -> Int {
        isPerNode && !scenario.hsms[hsm].isSerial ? scenario.hsms[hsm].lanes : scenario.servers(of: hsm)
    }

    private mutating func assign(_ request: Int, isFirst: Bool, now: UInt64) {
        var best: (hsm: Int, delay: Double)?
        var (lowestTier, equals) = (Int.max, 1)
        let own = dispatcher(of: request)
        for hsm in scenario.hsms.indices {
            guard scenario.loads[requests[request].arrival.load].hsms?.contains(hsm) ?? true else { continue }
            let (tier, mean) = (scenario.hsms[hsm].tier, milliseconds(hsm, now: now))
            let isFree = busy[own][hsm] < servers(hsm)
            let line = isFree ? 0 : Double(isFirst ? 1 : lines[own][hsm].count + 1) / Double(servers(hsm))
            let delay = line * scenario.hsms[hsm].law.mean * scenario.hsms[hsm].spells.factor(at: now) + mean
            if tier < lowestTier || tier == lowestTier && delay < best?.delay ?? .infinity {
                (best, lowestTier, equals) = ((hsm, delay), tier, 1)
            } else if isPerNode, tier == lowestTier, delay == best?.delay {
                equals += 1
                if ties.below(equals) == 0 { best = (hsm, delay) }
            }
        }
        guard let best else { return }
        let deadline = requests[request].arrival.at + LoadScenario.deadline
        guard now + UInt64(best.delay * 1e6) <= deadline else { return }
        if busy[own][best.hsm] < servers(best.hsm) {
            start(request, on: best.hsm, now: now)
        } else if isFirst {
            lines[own][best.hsm].insert(request, at: 0)
        } else {
            lines[own][best.hsm].append(request)
        }
    }

    private mutating func start(_ request: Int, on hsm: Int, now: UInt64, isHedge: Bool = false) {
        busy[dispatcher(of: request)][hsm] += 1
        result.noteCall(hsm: hsm, at: now, isCounted: requests[request].arrival.at >= scenario.warmUp)
        let begins = scenario.hsms[hsm].isSerial ? max(now, busyUntil[hsm]) : now
        let factor = scenario.hsms[hsm].spells.factor(at: begins)
        let ends = begins + UInt64(scenario.hsms[hsm].law.draw(&callDice[hsm]) * factor * 1e6)
        busyUntil[hsm] = ends
        queue.add(.returned(hsm: hsm, request), at: ends)
        let usual = UInt64(scenario.hsms[hsm].law.body * factor * 1.1e6)
        if isHedging, !isHedge, ends - now > usual { queue.add(.hedge(request, hsm: hsm), at: now + usual) }
    }

    private mutating func hedge(_ request: Int, now: UInt64, besides hsm: Int) {
        guard !requests[request].isAnswered else { return }
        let (tier, own) = (scenario.hsms[hsm].tier, dispatcher(of: request))
        let free = scenario.hsms.indices.filter {
            busy[own][$0] < servers($0) && scenario.hsms[$0].tier == tier
                && scenario.loads[requests[request].arrival.load].hsms?.contains($0) ?? true
        }
        guard let best = free.min(by: { milliseconds($0, now: now) < milliseconds($1, now: now) }) else { return }
        start(request, on: best, now: now, isHedge: true)
    }

    private mutating func returned(_ request: Int, hsm: Int, now: UInt64) {
        let own = dispatcher(of: request)
        busy[own][hsm] -= 1
        if !requests[request].isAnswered {
            let arrival = requests[request].arrival
            requests[request].callsLeft -= 1
            if requests[request].callsLeft > 0 {
                assign(request, isFirst: true, now: now)
            } else {
                requests[request].isAnswered = true
                if now <= arrival.at + LoadScenario.deadline { result.noteDone(arrival, at: now) }
            }
        }
        while busy[own][hsm] < servers(hsm), !lines[own][hsm].isEmpty {
            let next = lines[own][hsm].removeFirst()
            let takes = UInt64(milliseconds(hsm, now: now) * 1e6)
            guard now + takes <= requests[next].arrival.at + LoadScenario.deadline else { continue }
            start(next, on: hsm, now: now)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Chance
import Routing
import VirtualTime

/// What the router is measured against: one dispatcher for all nodes that knows each HSM's true mean and line, and
/// sends each request where the expected delay is shortest (JSED). It stands in no line that cannot be answered in
/// time.
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
    private var dice: RandomChoice
    private var queue = EventQueue<Event>()
    private var requests: [Request] = []
    private var busy: [Int]
    private var lines: [[Int]]
    private var result: LoadResult

    init(_ scenario: LoadScenario, isHedging: Bool) {
        self.scenario = scenario
        self.isHedging = isHedging
        dice = RandomChoice(seed: scenario.seed &+ 77)
        busy = scenario.hsms.map { _ in 0 }
        lines = scenario.hsms.map { _ in [] }
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

    private mutating func assign(_ request: Int, isFirst: Bool, now: UInt64) {
        var best: (hsm: Int, delay: Double)?
        var lowestTier = Int.max
        for hsm in scenario.hsms.indices {
            guard scenario.loads[requests[request].arrival.load].hsms?.contains(hsm) ?? true else { continue }
            let (tier, mean) = (scenario.hsms[hsm].tier, milliseconds(hsm, now: now))
            let isFree = busy[hsm] < scenario.hsms[hsm].servers
            let line = isFree ? 0 : Double(isFirst ? 1 : lines[hsm].count + 1) / Double(scenario.hsms[hsm].servers)
            let delay = line * scenario.hsms[hsm].law.mean * scenario.hsms[hsm].spells.factor(at: now) + mean
            if tier < lowestTier || tier == lowestTier && delay < best?.delay ?? .infinity {
                (best, lowestTier) = ((hsm, delay), tier)
            }
        }
        guard let best else { return }
        let deadline = requests[request].arrival.at + LoadScenario.deadline
        guard now + UInt64(best.delay * 1e6) <= deadline else { return }
        if busy[best.hsm] < scenario.hsms[best.hsm].servers {
            start(request, on: best.hsm, now: now)
        } else if isFirst {
            lines[best.hsm].insert(request, at: 0)
        } else {
            lines[best.hsm].append(request)
        }
    }

    private mutating func start(_ request: Int, on hsm: Int, now: UInt64, isHedge: Bool = false) {
        busy[hsm] += 1
        result.noteCall(hsm: hsm, at: now, isCounted: requests[request].arrival.at >= scenario.warmUp)
        let factor = scenario.hsms[hsm].spells.factor(at: now)
        let takes = UInt64(scenario.hsms[hsm].law.draw(&dice) * factor * 1e6)
        queue.add(.returned(hsm: hsm, request), at: now + takes)
        let usual = UInt64(scenario.hsms[hsm].law.body * factor * 1.1e6)
        if isHedging, !isHedge, takes > usual { queue.add(.hedge(request, hsm: hsm), at: now + usual) }
    }

    private mutating func hedge(_ request: Int, now: UInt64, besides hsm: Int) {
        guard !requests[request].isAnswered else { return }
        let tier = scenario.hsms[hsm].tier
        let free = scenario.hsms.indices.filter {
            busy[$0] < scenario.hsms[$0].servers && scenario.hsms[$0].tier == tier
                && scenario.loads[requests[request].arrival.load].hsms?.contains($0) ?? true
        }
        guard let best = free.min(by: { milliseconds($0, now: now) < milliseconds($1, now: now) }) else { return }
        start(request, on: best, now: now, isHedge: true)
    }

    private mutating func returned(_ request: Int, hsm: Int, now: UInt64) {
        busy[hsm] -= 1
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
        while busy[hsm] < scenario.hsms[hsm].servers, !lines[hsm].isEmpty {
            let next = lines[hsm].removeFirst()
            let takes = UInt64(milliseconds(hsm, now: now) * 1e6)
            guard now + takes <= requests[next].arrival.at + LoadScenario.deadline else { continue }
            start(next, on: hsm, now: now)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Chance
import Foundation
import LaneProtocol
import Routing

/// How long one call takes, milliseconds.
enum ServiceLaw: Equatable {
    case fixed(Double)
    case exponential(mean: Double)
    case lognormal(median: Double, sigma: Double)
    /// The usual time, and in a `share` of the calls another one: 0 … 1.
    case tailed(Double, tail: Double, share: Double)

    var mean: Double {
        switch self {
        case .fixed(let time): time
        case .exponential(let mean): mean
        case .lognormal(let median, let sigma): median * exp(sigma * sigma / 2)
        case .tailed(let usual, let tail, let share): usual * (1 - share) + tail * share
        }
    }

    /// What a call takes that does not belong to a tail, at most or nearly: what is slower is worth a hedge.
    var body: Double {
        switch self {
        case .fixed(let time): time
        case .exponential(let mean): 3 * mean
        case .lognormal(let median, let sigma): median * exp(1.65 * sigma)
        case .tailed(let usual, _, _): usual
        }
    }

    /// What a call takes that does not belong to a tail, on average: what a dispatcher that hedges goes by.
    var usual: Double { if case .tailed(let usual, _, _) = self { usual } else { mean } }

    func draw(_ dice: inout RandomChoice) -> Double {
        switch self {
        case .fixed(let time): return time
        case .exponential(let mean): return -mean * log(dice.uniform())
        case .lognormal(let median, let sigma):
            let normal = (-2 * log(dice.uniform())).squareRoot() * cos(2 * Double.pi * dice.uniform())
            return median * exp(sigma * normal)
        case .tailed(let usual, let tail, let share): return dice.uniform() < share ? tail : usual
        }
    }
}

extension RandomChoice {
    /// Above 0, and 1 at most.
    mutating func uniform() -> Double { (Double(next() >> 11) + 1) / Double(1 << 53) }

    mutating func between(_ lowest: Double, _ highest: Double) -> Double { lowest + (highest - lowest) * uniform() }

    /// As many between 1 and 10 as between 10 and 100.
    mutating func logarithmic(_ lowest: Double, _ highest: Double) -> Double {
        lowest * pow(highest / lowest, uniform())
    }
}

/// A time in which something is so many times as large as usual. Nanoseconds from the start.
struct Spell: Equatable {
    var from: UInt64
    var until: UInt64
    var factor: Double
}

extension [Spell] {
    func factor(at time: UInt64) -> Double {
        reduce(1) { $1.from <= time && time < $1.until ? $0 * $1.factor : $0 }
    }
}

/// One HSM as it is, whatever the nodes think of it.
struct LoadedHSM: Equatable {
    var law: ServiceLaw
    var lanes = 16
    /// It makes one call at a time, however many sessions there are.
    var isSerial = false
    var tier = 0
    var weight = 100
    /// The only node that has it; `nil`: all have.
    var node: Int?
    /// When it is slower.
    var spells: [Spell] = []
}

/// The requests of one key store, at all nodes together.
struct KeyStoreLoad: Equatable {
    var perSecond: Double
    /// Each takes two calls, one after the other.
    var takesTwo = false
    /// `nil`: all.
    var hsms: HSMSet?
    var spells: [Spell] = []
}

struct Arrival {
    var at: UInt64
    var load: Int
    var node: Int
}

/// An open loop on some HSMs: Poisson arrivals, whether they are answered or not.
struct LoadScenario {
    static let deadline: UInt64 = 200 * millisecond

    var seed: UInt64 = 1
    var hsms: [LoadedHSM]
    var loads: [KeyStoreLoad]
    /// Each sees its own calls only.
    var nodes = 1
    /// What comes before this is not counted.
    var warmUp: UInt64 = 2_000 * millisecond
    var length: UInt64 = 8_000 * millisecond
    /// Nodes pass on what is more than their own HSMs can do.
    var passesOn = false
    /// The nodes that stand still for a while, with their workers.
    var pause: (nodes: Range<Int>, from: UInt64, until: UInt64)?

    init(_ hsms: [LoadedHSM], perSecond: Double) {
        self.hsms = hsms
        loads = [KeyStoreLoad(perSecond: perSecond)]
    }

    /// For each HSM the dice from which its calls' times are drawn, one after the other. What an HSM's first call takes, its
    /// second one and so on is the same with every dispatcher, so that none is better because of a tail that it did not meet.
    var callDice: [RandomChoice] { hsms.indices.map { RandomChoice(seed: seed &* 31 &+ 78 &+ UInt64($0)) } }

    /// Those that a node has.
    func all(of node: Int) -> HSMSet { HSMSet(hsms.indices.filter { hsms[$0].node.map { $0 == node } ?? true }) }

    /// How many calls an HSM can be at, of all nodes together: each node has lanes of its own.
    func servers(of hsm: Int) -> Int {
        hsms[hsm].isSerial ? 1 : hsms[hsm].lanes * (hsms[hsm].node == nil ? nodes : 1)
    }

    /// Calls a second that all HSMs together can do.
    var capacity: Double { hsms.indices.reduce(0) { $0 + Double(servers(of: $1)) * 1_000 / hsms[$1].law.mean } }

    /// The same for so long that an HSM's share of the calls can be looked at after ten seconds, and with nothing that
    /// changes.
    var steady: LoadScenario {
        var result = self
        for hsm in hsms.indices { result.hsms[hsm].spells = [] }
        for load in loads.indices { result.loads[load].spells = [] }
        result.length = 14_000 * millisecond
        return result
    }

    /// Calls that all HSMs together can do from one time to another between which nothing changes.
    func possible(from: UInt64, until: UInt64) -> Double {
        let perSecond = hsms.indices.reduce(0) {
            $0 + Double(servers(of: $1)) * 1_000 / (hsms[$1].law.mean * hsms[$1].spells.factor(at: from))
        }
        return perSecond * Double(until - from) / 1e9
    }

    /// When, after the warm-up, what is asked for or what the HSMs can do changes, in the order of time.
    var changes: [UInt64] {
        let spells = loads.flatMap(\.spells) + hsms.flatMap(\.spells)
        let times = spells.flatMap { [$0.from, $0.until] }.filter { warmUp < $0 && $0 < length }
        return Set(times).sorted()
    }

    /// In the order of time.
    func arrivals() -> [Arrival] {
        var dice = RandomChoice(seed: seed)
        var result: [Arrival] = []
        for (index, load) in loads.enumerated() {
            var at = 0.0
            while true {
                let rate = load.perSecond * load.spells.factor(at: UInt64(at))
                at += -1e9 / rate * log(dice.uniform())
                guard at < Double(length) else { break }
                result.append(Arrival(at: UInt64(at), load: index, node: dice.below(nodes)))
            }
        }
        return result.sorted { $0.at < $1.at }
    }
}

/// What came of a scenario. Counted are requests that came after the warm-up.
struct LoadResult {
    /// A time in which nothing changes of what is asked for and what the HSMs can do: requests of each key store that
    /// came in it, and those of them that were answered in time.
    struct Period {
        /// Nanoseconds.
        var length: UInt64
        var asked: [Int]
        var done: [Int]
        /// What the HSMs can do in it.
        var possible: Double
    }

    private let warmUp: UInt64
    /// Where one period ends and the next one begins.
    private let changes: [UInt64]
    private(set) var periods: [Period]
    /// Of requests that were answered in time, microseconds, for each key store.
    var latencies: [[UInt32]]
    /// Calls that were made for counted requests.
    var calls = 0
    /// Requests that were given to another node, and those of them that it refused.
    var passed = 0
    var refused = 0
    /// For each key store, how requests ended that were not answered in time.
    var failures: [[String: Int]]
    /// Calls that each HSM was given, second by second from the start.
    var perSecond: [[Int]]

    init(_ scenario: LoadScenario) {
        (warmUp, changes) = (scenario.warmUp, scenario.changes)
        let none = Array(repeating: 0, count: scenario.loads.count)
        let bounds = [warmUp] + changes + [scenario.length]
        periods = zip(bounds, bounds.dropFirst()).map {
            Period(length: $1 - $0, asked: none, done: none, possible: scenario.possible(from: $0, until: $1))
        }
        latencies = Array(repeating: [], count: scenario.loads.count)
        failures = Array(repeating: [:], count: scenario.loads.count)
        let seconds = Int(scenario.length / (1_000 * millisecond)) + 2
        perSecond = Array(repeating: Array(repeating: 0, count: scenario.hsms.count), count: seconds)
    }

    /// Another draw of the same scenario.
    mutating func add(_ other: LoadResult) {
        for load in latencies.indices {
            for period in periods.indices {
                if load == 0 { periods[period].possible += other.periods[period].possible }
                periods[period].asked[load] += other.periods[period].asked[load]
                periods[period].done[load] += other.periods[period].done[load]
            }
            latencies[load] += other.latencies[load]
            failures[load].merge(other.failures[load], uniquingKeysWith: +)
        }
        (calls, passed, refused) = (calls + other.calls, passed + other.passed, refused + other.refused)
        for second in perSecond.indices {
            for hsm in perSecond[second].indices { perSecond[second][hsm] += other.perSecond[second][hsm] }
        }
    }

    mutating func noteCall(hsm: Int, at now: UInt64, isCounted: Bool) {
        if isCounted { calls += 1 }
        let second = Int(now / (1_000 * millisecond))
        if perSecond.indices.contains(second) { perSecond[second][hsm] += 1 }
    }

    mutating func noteAsked(_ arrival: Arrival) {
        if let period = period(of: arrival) { periods[period].asked[arrival.load] += 1 }
    }

    /// It was answered in time.
    mutating func noteDone(_ arrival: Arrival, at now: UInt64) {
        guard let period = period(of: arrival) else { return }
        periods[period].done[arrival.load] += 1
        latencies[arrival.load].append(UInt32(clamping: (now - arrival.at) / 1_000))
    }

    /// `nil` of one that came in the warm-up.
    private func period(of arrival: Arrival) -> Int? {
        arrival.at < warmUp ? nil : changes.firstIndex { arrival.at < $0 } ?? changes.count
    }

    /// Requests of each key store.
    var asked: [Int] { latencies.indices.map { load in periods.reduce(0) { $0 + $1.asked[load] } } }
    /// Those of them that were answered in time.
    var done: [Int] { latencies.indices.map { load in periods.reduce(0) { $0 + $1.done[load] } } }

    /// A quantile of all that were answered, milliseconds.
    func quantile(_ share: Double) -> Double {
        let sorted = latencies.joined().sorted()
        guard !sorted.isEmpty else { return 0 }
        return Double(sorted[min(Int(Double(sorted.count) * share), sorted.count - 1)]) / 1_000
    }

    /// Part of the requests that were answered in time.
    var served: Double { Double(done.reduce(0, +)) / Double(max(asked.reduce(0, +), 1)) }

    func served(_ load: Int) -> Double { Double(done[load]) / Double(max(asked[load], 1)) }

    var callsPerAnswer: Double { Double(calls) / Double(max(done.reduce(0, +), 1)) }

    /// Part of the calls that went to an HSM from a second on.
    func share(of hsm: Int, from second: Int = 0) -> Double {
        let counted = perSecond.dropFirst(second)
        return Double(counted.reduce(0) { $0 + $1[hsm] }) / Double(max(counted.reduce(0) { $0 + $1.reduce(0, +) }, 1))
    }

    /// The largest change of an HSM's share from one whole second to the next, from a second on.
    ///
    /// - Parameter deviations: so many standard deviations of what chance alone makes of the numbers of calls in the two
    ///   seconds are no change: had each call gone to the HSM with the same chance in both, its shares of `n` and `m` calls
    ///   would differ by p (1 − p) (1/n + 1/m) in the square.
    func largestSwing(from second: Int, until end: Int, beyond deviations: Double = 0) -> Double {
        var largest = 0.0
        guard end > second + 1 else { return 0 }
        for at in (second + 1)..<end {
            let (before, after) = (perSecond[at - 1], perSecond[at])
            let (sum, next) = (Double(max(before.reduce(0, +), 1)), Double(max(after.reduce(0, +), 1)))
            for hsm in before.indices {
                let share = Double(before[hsm] + after[hsm]) / (sum + next)
                let chance = (share * (1 - share) * (1 / sum + 1 / next)).squareRoot()
                let change = abs(Double(after[hsm]) / next - Double(before[hsm]) / sum)
                largest = max(largest, change - deviations * chance)
            }
        }
        return largest
    }
}

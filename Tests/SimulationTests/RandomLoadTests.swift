// SPDX-License-Identifier: Apache-2.0
import Chance
import Foundation
import Routing
import SeededRandom
import Testing

private let wanted = ProcessInfo.processInfo.environment["CLAVIGER_SIM_SEEDS"].flatMap { UInt64($0) } ?? 24
private let one = ProcessInfo.processInfo.environment["CLAVIGER_SIM_SEED"].flatMap { UInt64($0) }

extension LoadScenario {
    /// Two to eight HSMs of one to sixty milliseconds, asked for a tenth to three times what they can do.
    static func random(_ seed: UInt64) -> LoadScenario {
        var dice = RandomChoice(seed: seed &* 0x9E37_79B9 &+ 5)
        let count = dice.between(2, 8)
        let alike = dice.chance(400) ? LoadedHSM.random(&dice, hsms: count) : nil
        var scenario = LoadScenario((0..<count).map { _ in alike ?? .random(&dice, hsms: count) }, perSecond: 0)
        // As fast as can be shown in seconds: what is slower by so much is slower in everything.
        let most = 1_000.0
        let excess = scenario.capacity / most
        if excess > 1 {
            for hsm in scenario.hsms.indices {
                scenario.hsms[hsm].lanes = max(2, Int(Double(scenario.hsms[hsm].lanes) / excess))
            }
        }
        scenario.seed = seed
        scenario.nodes = dice.chance(600) ? 1 : dice.between(2, 5)
        let load = dice.logarithmic(0.1, 3)
        let stores = dice.between(1, 3)
        scenario.loads = (0..<stores).map { _ in KeyStoreLoad(perSecond: dice.logarithmic(0.05, 1)) }
        // As many requests as show a 99th percentile, however fast the HSMs are.
        let asked = load * scenario.capacity
        let seconds = min(max(5_000 / asked, 3), 12)
        scenario.warmUp = UInt64(seconds / 3 * 1e9)
        scenario.length = UInt64(seconds * 1e9)
        let total = scenario.loads.reduce(0) { $0 + $1.perSecond }
        for index in scenario.loads.indices { scenario.loads[index].perSecond *= asked / total }
        if dice.chance(200) {
            let from = scenario.warmUp + dice.next() % (scenario.length - scenario.warmUp)
            let burst = Spell(from: from, until: from + UInt64(dice.between(100, 800)) * millisecond, factor: 2)
            scenario.loads[0].spells = [burst]
        }
        if dice.chance(200) {
            let from = dice.next() % scenario.length
            let until = from + UInt64(dice.between(300, 3_000)) * millisecond
            scenario.hsms[0].spells = [Spell(from: from, until: until, factor: dice.logarithmic(1.5, 10))]
        }
        return scenario
    }
}

extension LoadedHSM {
    fileprivate static func random(_ dice: inout RandomChoice, hsms: Int) -> LoadedHSM {
        let mean = dice.logarithmic(2, 60)
        let laws: [ServiceLaw] = [
            .fixed(mean), .exponential(mean: mean), .lognormal(median: mean, sigma: dice.between(0.2, 0.8)),
            .tailed(mean, tail: max(dice.between(60, 150), 3 * mean), share: dice.logarithmic(0.0005, 0.08)),
        ]
        var hsm = LoadedHSM(law: laws[dice.below(laws.count)])
        hsm.lanes = dice.between(2, 16)
        hsm.isSerial = dice.chance(250) && mean < 12
        return hsm
    }
}

extension LoadResult.Period {
    /// The key store that asked least, the part of its requests that was answered, and the part that was to be by max-min
    /// fairness: all, or as many as of each other key store. It is a part of one period, not of the whole run: who asks
    /// for twice as much in a spell gets no more than the others in it, and all that it asks for before and after.
    ///
    /// `nil` where too little was asked to say, and of a period shorter than a request's time: what is answered in that
    /// follows from what stood in the line when it began. Nor is more shared out than the HSMs can do in the period: what was
    /// done beyond that was done when it was over.
    fileprivate var smallest: (load: Int, served: Double, part: Double)? {
        guard length >= LoadScenario.deadline, let load = asked.indices.min(by: { asked[$0] < asked[$1] }),
            asked[load] >= 50
        else { return nil }
        let (own, all) = (Double(asked[load]), min(Double(done.reduce(0, +)), possible))
        let share = all / Double(asked.count)
        return (load, Double(done[load]) / own, min(1, share / own))
    }
}

/// What came of one scenario, with the router and with the best dispatchers. Latencies in milliseconds.
///
/// Goodput is compared with that of one dispatcher for all nodes: nobody can serve more. The 99th percentile is compared
/// with that of dispatchers of which each sees its own node's calls: no node can know which of the HSMs that make one call
/// at a time the others keep busy. Where there is one node both are the same.
private struct Comparison {
    /// A scenario that is out of bounds is drawn so many times more, and judged by all draws together: its first 99th
    /// percentile rests on a handful of requests, and where one call in a hundred is slow chance decides on which side of
    /// it that call lies.
    private static let furtherDraws: UInt64 = 8

    let scenario: LoadScenario
    private(set) var seen: LoadResult
    private(set) var model: LoadResult
    private(set) var perNode: LoadResult
    private(set) var restarts = 0
    /// What the nodes have learned in the first draw, for whoever looks at one scenario.
    private(set) var learned = ""

    init(_ scenario: LoadScenario) {
        self.scenario = scenario
        (seen, model, perNode) = (LoadResult(scenario), LoadResult(scenario), LoadResult(scenario))
        add(scenario)
        guard !flaws.isEmpty else { return }
        for further in 1...Self.furtherDraws {
            var again = scenario
            again.seed = scenario.seed &+ further &* 1_000_003
            add(again)
        }
    }

    private mutating func add(_ scenario: LoadScenario) {
        var simulation = LoadSimulation(scenario)
        seen.add(simulation.run())
        var dispatcher = ModelDispatcher(scenario, isHedging: false)
        let best = dispatcher.run()
        model.add(best)
        if scenario.nodes > 1 {
            var dispatchers = ModelDispatcher(scenario, isHedging: false, isPerNode: true)
            perNode.add(dispatchers.run())
        } else {
            perNode.add(best)
        }
        restarts += simulation.restarts
        guard learned.isEmpty else { return }
        learned = simulation.machines.map { machine in
            "\(scenario.hsms.indices.map { machine.learned(of: $0, now: 0) })"
        }.joined(separator: "\n")
    }

    var ratio: Double { seen.quantile(0.99) / max(perNode.quantile(0.99), 1) }
    var served: Double { seen.served / max(model.served, 0.001) }

    /// Where it is out of bounds.
    var flaws: [String] {
        var flaws: [String] = []
        let (mine, best) = (seen.quantile(0.99), perNode.quantile(0.99))
        if mine > 3 * best + 3 { flaws.append("p99 \(mine), the model's \(best)") }
        if served < 0.95 { flaws.append("served \(seen.served), by the model \(model.served)") }
        for (number, period) in seen.periods.enumerated() {
            guard let smallest = period.smallest, smallest.served < 0.9 * smallest.part else { continue }
            flaws.append(
                "period \(number): key store \(smallest.load) served \(smallest.served), its part is \(smallest.part)")
        }
        if restarts > 0 { flaws.append("\(restarts) workers killed") }
        return flaws
    }
}

@Suite("The router beside the best, in random scenarios")
struct RandomLoadTests {
    @Test("no scenario is three times worse, and goodput stays near what can be done")
    func many() {
        var (sum, count, worst) = (0.0, 0, (0.0, UInt64(0)))
        var (leastServed, leastAt) = (1.0, UInt64(0))
        for seed in one.map({ $0...$0 }) ?? 1...wanted {
            let comparison = Comparison(LoadScenario.random(seed))
            sum += comparison.ratio
            count += 1
            if comparison.ratio > worst.0 { worst = (comparison.ratio, seed) }
            if comparison.served < leastServed { (leastServed, leastAt) = (comparison.served, seed) }
            #expect(comparison.flaws.isEmpty, "seed \(seed)")
            if one != nil {
                print(comparison.scenario)
                let seen = comparison.seen
                print(seen.asked, seen.done, seen.failures, "calls per answer", seen.callsPerAnswer)
                print(comparison.learned)
            }
        }
        print(
            "\(count) scenarios: p99 beside the model's \(sum / Double(count)) on average, \(worst.0) at most "
                + "(seed \(worst.1)); served at least \(leastServed) of it (seed \(leastAt))")
    }

    /// A change counts beyond three standard deviations of what chance makes of the number of calls in two seconds: at fifty
    /// calls a second an HSM's share of a half changes by twenty points for no reason. And by more than the model's changes,
    /// which knows the true means: near what a fast HSM can do, what it cannot take of a burst goes to slower ones.
    ///
    /// Where HSMs of about the same speed are asked little, and their calls vary much, their estimates still let some change
    /// by more; hence one in twenty.
    @Test("under steady input the shares of HSMs change by ten points at most from second to second, in nearly all")
    func swings() {
        var (sum, count, outside) = (0.0, 0, [UInt64]())
        for seed in one.map({ $0...$0 }) ?? 1...wanted {
            let scenario = LoadScenario.random(seed).steady
            var simulation = LoadSimulation(scenario)
            let seen = simulation.run().largestSwing(from: 10, until: 14, beyond: 3)
            var dispatcher = ModelDispatcher(scenario, isHedging: false, isPerNode: scenario.nodes > 1)
            let model = dispatcher.run().largestSwing(from: 10, until: 14, beyond: 3)
            sum += max(seen, 0)
            count += 1
            if seen > max(0.1, model) { outside.append(seed) }
        }
        let text = "\(count) steady scenarios: shares change by \(sum / Double(count)) on average; outside \(outside)"
        print(text)
        #expect(one != nil || outside.count <= max(count / 20, 2) && sum <= 0.03 * Double(count), "\(text)")
    }
}

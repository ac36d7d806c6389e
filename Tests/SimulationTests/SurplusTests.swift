// SPDX-License-Identifier: Apache-2.0
import Routing
import Testing

/// Nodes behind a round robin, each on HSMs of its own.
@Suite("What one node's HSMs cannot do")
struct SurplusTests {
    /// Nodes that can do so many requests a second, each on one HSM of 20 ms.
    private func scenario(capacities: [Int], perSecond: Double) -> LoadScenario {
        var scenario = LoadScenario(
            capacities.enumerated().map { LoadedHSM(law: .fixed(20), lanes: $1 / 50, node: $0) }, perSecond: perSecond)
        scenario.nodes = capacities.count
        scenario.passesOn = true
        scenario.length = 10_000 * millisecond
        return scenario
    }

    /// Where only what would have been refused was passed on, it had waited before: the 99th percentile was 100 ms.
    @Test("is done by those that have room", arguments: [[200, 600, 600], [100, 600, 600], [100, 100, 1_200]])
    func isDone(capacities: [Int]) {
        var simulation = LoadSimulation(scenario(capacities: capacities, perSecond: 750))
        let seen = simulation.run()
        print("\(capacities): served \(seen.served), p99 \(seen.quantile(0.99)), passed on \(seen.passed)")
        #expect(seen.served >= 0.99)
        #expect(seen.quantile(0.99) <= 33, "a single dispatcher's is 20 ms")
        #expect(seen.refused * 50 <= seen.passed, "\(seen.refused) of \(seen.passed) were refused")
    }

    @Test("is refused where nobody has room: nothing is passed on in vain", arguments: [1.2, 1.6, 3])
    func allFull(factor: Double) {
        var simulation = LoadSimulation(scenario(capacities: [200, 200, 200], perSecond: 600 * factor))
        let seen = simulation.run()
        print("× \(factor): served \(seen.served), passed \(seen.passed), refused \(seen.refused)")
        #expect(seen.served >= 0.95 / factor)
        #expect(seen.passed * 50 <= seen.asked[0], "\(seen.passed) of \(seen.asked)")
    }

    /// Both full ones learn of the same room.
    @Test("of two nodes fills a third up to what it can do, and takes nothing from those who ask there")
    func oneHelper() {
        var scenario = scenario(capacities: [100, 100, 600], perSecond: 1_200)
        scenario.length = 14_000 * millisecond
        var simulation = LoadSimulation(scenario)
        let seen = simulation.run()
        print("served \(seen.served), passed \(seen.passed), refused \(seen.refused), p99 \(seen.quantile(0.99))")
        #expect(seen.served >= 0.92 * 800 / 1_200)
        #expect(seen.refused * 5 <= seen.passed)
    }

    @Test("a node that fills up itself is not flooded: what it is asked for comes first")
    func fillsUp() {
        var scenario = scenario(capacities: [100, 600], perSecond: 600)
        // From the third second on the second node is asked for more than it can do, by key store 1.
        scenario.loads.append(KeyStoreLoad(perSecond: 1))
        scenario.loads[1].spells = [Spell(from: 4_000 * millisecond, until: 10_000 * millisecond, factor: 600)]
        var simulation = LoadSimulation(scenario)
        let seen = simulation.run()
        print("served \(seen.served), passed \(seen.passed), refused \(seen.refused)")
        #expect(seen.refused * 20 <= seen.asked.reduce(0, +), "\(seen.refused) of \(seen.asked)")
    }
}

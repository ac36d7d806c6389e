// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

/// A checker that cannot fail shows nothing: each finds what a deliberately broken driver does.
@Suite("Cluster simulation: every checker can fail")
struct ClusterCheckerTests {
    @Test(
        "a broken driver is found out",
        arguments: [
            (ClusterSabotage.silencesNodeZero, ClusterViolation.falseDeath), (.forgetsIncarnations, .refutedTwice),
            (.neverHeals, .notConverged), (.ignoresBlocks, .blocksDiffer), (.overwritesBlocks, .blockLost),
        ])
    func brokenDriver(sabotage: ClusterSabotage, violation: ClusterViolation) {
        var found: [ClusterViolation] = []
        for seed: UInt64 in 0..<12 where !found.contains(violation) {
            var simulation = ClusterSimulation(scenario(seed, for: sabotage), sabotage: sabotage)
            simulation.run()
            found += simulation.check.violations.map(\.violation)
        }
        #expect(found.contains(violation), "found only \(found)")
    }

    @Test("a machine that is called too seldom is late")
    func late() {
        let scenario = ClusterScenario(seed: 1, nodes: 3, length: 10 * second)
        var simulation = ClusterSimulation(scenario, sabotage: .sleepsThroughTicks)
        simulation.advance(to: simulation.now + 20 * second)
        #expect(simulation.detect({ .powerOff($0) }, of: 2, limit: 3 * second) == nil)
        #expect(simulation.check.violations.map(\.violation) == [.late])
    }

    /// A scenario in which the sabotage shows.
    private func scenario(_ seed: UInt64, for sabotage: ClusterSabotage) -> ClusterScenario {
        var scenario = ClusterScenario(seed: seed, nodes: 4, length: 25 * second)
        switch sabotage {
        case .silencesNodeZero: break
        case .forgetsIncarnations:
            // It contradicts twice; then all who have received it forget it, and it contradicts once more.
            scenario = ClusterScenario(seed: seed, nodes: 4, length: 60 * second)
            scenario.faults = [(5 * second, .freeze(1, for: 4 * second)), (15 * second, .freeze(1, for: 4 * second))]
            scenario.faults += (0..<4).map { (25 * second, .kill($0)) }
            scenario.faults += [0, 2, 3].map { (27 * second, .restart($0, remembers: false)) }
            scenario.faults += [
                (35 * second, .restart(1, remembers: true)), (45 * second, .freeze(1, for: 4 * second)),
            ]
        case .neverHeals:
            scenario.faults = [(6 * second, .partition(side: [0], for: 10 * second))]
        case .ignoresBlocks, .overwritesBlocks, .sleepsThroughTicks:
            scenario.faults = [
                (5 * second, .partition(side: [0, 1], for: 5 * second)), (6 * second, .block(at: 0)),
                (6 * second, .block(at: 3)), (7 * second, .block(at: 1)),
            ]
        }
        return scenario
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Gossip
import Testing

/// Seeds from the environment: `CLAVIGER_SIM_SEEDS=10000` runs so many, `CLAVIGER_SIM_SEED=17` that one, printing all
/// that happens.
private enum Wanted {
    static let one = ProcessInfo.processInfo.environment["CLAVIGER_SIM_SEED"].flatMap { UInt64($0) }
    static let count = ProcessInfo.processInfo.environment["CLAVIGER_SIM_SEEDS"].flatMap { UInt64($0) } ?? 60
    static let replay = "swift test --filter ClusterSimulationTests.oneSeed"
}

@Suite("Cluster simulation: nodes under random faults")
struct ClusterSimulationTests {
    @Test("no seed breaks a promise", arguments: 0..<UInt64(4))
    func manySeeds(block: UInt64) {
        for seed in stride(from: block, to: Wanted.count, by: 4) {
            var simulation = ClusterSimulation(ClusterScenario(seed: seed))
            simulation.run()
            guard let first = simulation.check.violations.first else { continue }
            Issue.record(
                """
                seed \(seed): \(first.violation.rawValue): \(first.text)
                replay: CLAVIGER_SIM_SEED=\(seed) \(Wanted.replay)
                """)
        }
    }

    @Test("the seed of CLAVIGER_SIM_SEED, with all that happens", .enabled(if: Wanted.one != nil))
    func oneSeed() {
        let scenario = ClusterScenario(seed: Wanted.one ?? 0)
        print("\(scenario.nodes) nodes, \(scenario.sites) sites, loss \(scenario.loss)")
        for (at, fault) in scenario.faults { print("at \(at / millisecond) ms: \(fault)") }
        var simulation = ClusterSimulation(scenario, isPrinting: true)
        simulation.run()
        #expect(simulation.check.violations.isEmpty, "\(simulation.check.violations)")
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Routing
import Testing

/// Seeds from the environment: `CLAVIGER_SIM_SEEDS=100000` runs so many, `CLAVIGER_SIM_SEED=17` that one, printing all
/// that happens.
private enum Wanted {
    static let one = ProcessInfo.processInfo.environment["CLAVIGER_SIM_SEED"].flatMap { UInt64($0) }
    static let count = ProcessInfo.processInfo.environment["CLAVIGER_SIM_SEEDS"].flatMap { UInt64($0) } ?? 2_000
    static let blocks: UInt64 = 8
    static let replay = "swift test --filter SimulationTests.oneSeed"
}

@Suite("Simulation: pools of HSMs under random faults")
struct SimulationTests {
    @Test("no seed breaks a promise", arguments: 0..<Wanted.blocks)
    func manySeeds(block: UInt64) {
        var (requests, done) = (0, 0)
        for seed in stride(from: block, to: Wanted.count, by: Int(Wanted.blocks)) {
            var simulation = Simulation(Scenario(seed: seed))
            simulation.run()
            requests += simulation.check.requests
            done += simulation.check.done
            guard let first = simulation.check.violations.first else { continue }
            Issue.record(
                """
                seed \(seed): \(first.violation.rawValue): \(first.text)
                replay: CLAVIGER_SIM_SEED=\(seed) \(Wanted.replay)
                """)
        }
        // Faults must not be so many that nothing is shown, nor so few.
        #expect(Wanted.count < 100 || done * 10 > requests * 5 && done * 100 < requests * 98, "\(done) of \(requests)")
    }

    @Test("the seed of CLAVIGER_SIM_SEED, with all that happens", .enabled(if: Wanted.one != nil))
    func oneSeed() {
        let scenario = Scenario(seed: Wanted.one ?? 0)
        for (index, character) in scenario.characters.enumerated() { print("HSM \(index): \(character)") }
        for (index, fault) in scenario.faults.enumerated() { print("fault \(index): \(fault)") }
        var simulation = Simulation(scenario, isPrinting: true)
        simulation.run()
        #expect(simulation.check.violations.isEmpty)
    }

    @Test("the same seed gives the same trace, another one another")
    func sameTrace() {
        var hashes: Set<UInt64> = []
        for seed: UInt64 in 0..<20 {
            var (one, other) = (Simulation(Scenario(seed: seed)), Simulation(Scenario(seed: seed)))
            one.run()
            other.run()
            #expect(one.trace.hash == other.trace.hash)
            hashes.insert(one.trace.hash)
        }
        #expect(hashes.count == 20)
    }
}

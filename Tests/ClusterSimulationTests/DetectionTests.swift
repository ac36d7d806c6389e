// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

/// What is promised of how soon deaths are known, and that nobody is called dead who lives.
@Suite("Cluster simulation: detection")
struct DetectionTests {
    @Test(
        "in a site of up to ten nodes a killed, stopped or vanished one is known everywhere within 3 s",
        arguments: [2, 3, 4, 5, 7, 10])
    func near(nodes: Int) {
        for seed: UInt64 in 0..<6 {
            let faults: [(Int) -> ClusterFault] = [{ .kill($0) }, { .powerOff($0) }, { .freeze($0, for: 60 * second) }]
            let fault = faults[Int(seed) % 3]
            var simulation = ClusterSimulation(ClusterScenario(seed: seed, nodes: nodes, length: 0))
            simulation.advance(to: simulation.now + 8 * second + seed * 77 * millisecond)
            let times = simulation.detect(fault, of: Int(seed) % nodes, limit: 3 * second)
            #expect(times != nil, "seed \(seed): \(simulation.check.violations)")
        }
    }

    @Test("between sites within 15 s", arguments: [3, 6, 10])
    func far(nodes: Int) {
        for seed: UInt64 in 0..<4 {
            // Each node has a site of its own.
            let scenario = ClusterScenario(seed: seed, nodes: nodes, sites: nodes, length: 0)
            var simulation = ClusterSimulation(scenario)
            simulation.advance(to: simulation.now + 20 * second)
            let times = simulation.detect({ .powerOff($0) }, of: Int(seed) % nodes, limit: 15 * second)
            #expect(times != nil, "seed \(seed): \(simulation.check.violations)")
        }
    }

    @Test("no false death within ten minutes, idle or with every fifth packet lost", arguments: [0, 200])
    func nobodyDies(loss: Int) {
        for (nodes, sites) in [(3, 1), (5, 1), (6, 3)] {
            let scenario = ClusterScenario(seed: 5, nodes: nodes, sites: sites, loss: loss, length: 0)
            var simulation = ClusterSimulation(scenario)
            simulation.advance(to: simulation.now + 600 * second)
            #expect(simulation.check.falseDeaths == 0, "\(nodes) nodes, \(sites) sites")
            simulation.checkConvergence()
            #expect(simulation.check.violations.isEmpty)
        }
    }

    @Test("a node that was held for dead is known to live within 3 s after a partition", arguments: [3, 5, 10])
    func healing(nodes: Int) {
        for seed: UInt64 in 0..<4 {
            var simulation = ClusterSimulation(ClusterScenario(seed: seed, nodes: nodes, length: 0))
            simulation.advance(to: simulation.now + 6 * second)
            let side = Set(0..<(1 + Int(seed) % (nodes - 1)))
            simulation.begin(.partition(side: side, for: 3_600 * second), 0)
            simulation.advance(to: simulation.now + 20 * second)
            #expect(simulation.nodes[0].machine.liveCount == side.count)
            simulation.end(.partition(side: side, for: 0))
            simulation.advance(to: simulation.now + 3 * second)
            simulation.checkConvergence()
            #expect(simulation.check.violations.isEmpty, "seed \(seed): \(simulation.check.violations)")
        }
    }

    @Test("a hundred nodes find each other, and notice ten deaths at once")
    func hundred() {
        var simulation = ClusterSimulation(ClusterScenario(seed: 3, nodes: 100, length: 0))
        simulation.advance(to: simulation.now + 10 * second)
        #expect(simulation.nodes.allSatisfy { $0.machine.liveCount == 100 })
        for victim in 0..<10 { simulation.begin(.kill(victim * 7), 0) }
        simulation.advance(to: simulation.now + 8 * second)
        simulation.checkConvergence()
        #expect(simulation.check.violations.isEmpty, "\(simulation.check.violations)")
        #expect(simulation.check.falseDeaths == 0)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Gossip
import Testing

/// The figures of docs/internals/gossip.md: `CLAVIGER_CLUSTER_TABLE=1 swift test -c release --filter ClusterTableTests`.
@Suite("Cluster simulation: table", .enabled(if: ProcessInfo.processInfo.environment["CLAVIGER_CLUSTER_TABLE"] != nil))
struct ClusterTableTests {
    private struct Case {
        var title: String
        var loss: Int
        var sites: Int
    }

    @Test("detection, false deaths and bytes by the number of nodes")
    func table() {
        let cases = [
            Case(title: "one site", loss: 0, sites: 1), Case(title: "one site, 20 % packet loss", loss: 200, sites: 1),
            Case(title: "each node its site", loss: 0, sites: .max),
        ]
        for item in cases {
            print("\n\(item.title)")
            print(
                """
                |    n | deaths | first: median | p99 | everywhere: median | p99 | longest | node-hours | false \
                suspicions /h | false deaths | B/s per node | largest |
                |---|---|---|---|---|---|---|---|---|---|---|---|
                """)
            // Under loss a large site calls some dead that live: what follows from that is no table's matter.
            for nodes in [3, 10, 32, 100] + (item.loss > 0 ? [] : [316, 1_000]) { row(item, nodes) }
        }
    }

    /// Deaths one after another in a few clusters, then an idle hour of nodes, in which bytes are counted.
    private func row(_ item: Case, _ nodes: Int) {
        let (runs, deathsPerRun) = nodes <= 10 ? (100, 1) : nodes <= 100 ? (10, 10) : (2, 10)
        var first: [UInt64] = [], all: [UInt64] = []
        var falseDeaths = 0
        for run in 0..<runs {
            let (one, two, wrong) = deaths(item, nodes, seed: UInt64(run), count: deathsPerRun)
            first += one
            all += two
            falseDeaths += wrong
        }
        let idle = idle(item, nodes)
        let columns: [String] = [
            pad("\(nodes)", 4), "\(all.count)", seconds(first, 50), seconds(first, 99), seconds(all, 50),
            seconds(all, 99), seconds(all, 100), String(format: "%.1f", idle.hours),
            String(format: "%.2f", Double(idle.suspicions) / idle.hours), "\(falseDeaths + idle.falseDeaths)",
            String(format: "%.0f", idle.bytesPerSecond), "\(idle.largest)",
        ]
        print("| " + columns.joined(separator: " | ") + " |")
        fflush(nil)
        #expect(first.count == runs * deathsPerRun, "some deaths were not known everywhere")
        #expect(item.loss > 0 || falseDeaths + idle.falseDeaths == 0)
    }

    private func scenario(_ item: Case, _ nodes: Int, _ seed: UInt64) -> ClusterScenario {
        var scenario = ClusterScenario(
            seed: seed, nodes: nodes, sites: min(item.sites, nodes), loss: item.loss, length: 0)
        scenario.isSettled = nodes > 32
        return scenario
    }

    private static let settling = 20 * second

    private func deaths(
        _ item: Case, _ nodes: Int, seed: UInt64, count: Int
    ) -> (first: [UInt64], all: [UInt64], falseDeaths: Int) {
        var simulation = ClusterSimulation(scenario(item, nodes, seed))
        simulation.advance(to: simulation.now + Self.settling + seed * 37 * millisecond)
        var (first, all): ([UInt64], [UInt64]) = ([], [])
        for number in 0..<count {
            let victim = (3 + number * 3 + Int(seed)) % nodes
            // Stopped, so that nothing shows it: no connection is refused.
            guard let times = simulation.detect({ .freeze($0, for: 3_600 * second) }, of: victim, limit: 120 * second)
            else { break }
            first.append(times.first)
            all.append(times.all)
            simulation.advance(to: simulation.now + 3 * second)
        }
        return (first, all, simulation.check.falseDeaths)
    }

    private struct Idle {
        var hours: Double
        var suspicions: Int
        var falseDeaths: Int
        var bytesPerSecond: Double
        var largest: Int
    }

    private func idle(_ item: Case, _ nodes: Int) -> Idle {
        var simulation = ClusterSimulation(scenario(item, nodes, 4_711))
        simulation.advance(to: simulation.now + Self.settling)
        simulation.check.suspicions = 0
        simulation.meter = MessageMeter()
        // Once an hour of nodes; of large clusters at least a minute.
        let length = max(UInt64(3_600 / nodes), 60) * second
        simulation.advance(to: simulation.now + length)
        let time = Double(length) / Double(second)
        let meter = simulation.meter ?? MessageMeter()
        return Idle(
            hours: time * Double(nodes) / 3_600, suspicions: simulation.check.suspicions,
            falseDeaths: simulation.check.falseDeaths, bytesPerSecond: meter.bytes / time / Double(nodes),
            largest: meter.largest)
    }

    private func seconds(_ times: [UInt64], _ percentile: Int) -> String {
        let sorted = times.sorted()
        guard !sorted.isEmpty else { return "–" }
        let position = max(0, (sorted.count * percentile + 99) / 100 - 1)
        return String(format: "%.2f", Double(sorted[min(position, sorted.count - 1)]) / Double(second))
    }

    private func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}

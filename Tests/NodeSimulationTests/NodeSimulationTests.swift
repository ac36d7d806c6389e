// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

/// Runs a plan. What happens is printed where the plan, or CLAVIGER_NODE_SIM_VERBOSE, says so.
func simulate(_ plan: Plan, _ broken: Mutant.Break? = nil) throws -> Checks {
    var plan = plan
    plan.isVerbose = plan.isVerbose || getenv("CLAVIGER_NODE_SIM_VERBOSE") != nil
    let world = try World(plan, mutant: Mutant(broken))
    world.begin()
    world.run(until: plan.length)
    defer { world.end() }
    if plan.isVerbose { print(world.log.joined(separator: "\n")) }
    return world.checks
}

/// `make sim` runs many seeds of it; `make sim SEED=n` runs one, and prints what happens in it.
@Suite("Whole nodes under random trouble")
struct NodeSimulationTests {
    /// From so many runs on each trouble has met each check.
    private static let telling: UInt64 = 1_000

    private static func number(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }

    @Test("nothing that must always be true is broken, whatever goes wrong")
    func randomTrouble() async throws {
        if let seed = Self.number("CLAVIGER_NODE_SIM_SEED") {
            var plan = Plan.random(seed)
            plan.isVerbose = true
            let checks = try simulate(plan)
            #expect(checks.findings.isEmpty, "\(checks.findings.joined(separator: "\n"))")
            return
        }
        let count = Self.number("CLAVIGER_NODE_SIM_SEEDS") ?? 20
        let table = try await Self.run(1...count)
        if count >= Self.telling {
            print(table.text)
            #expect(table.empty.isEmpty, "no trouble of this kind has met this check: \(table.empty)")
        }
    }

    /// On all cores.
    private static func run(_ seeds: ClosedRange<UInt64>) async throws -> FaultTable {
        let cores = UInt64(max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1))
        return try await withThrowingTaskGroup(of: FaultTable.self) { group in
            for core in 0..<cores {
                group.addTask {
                    var table = FaultTable()
                    for seed in seeds where seed % cores == core {
                        let checks = try simulate(.random(seed))
                        table.add(checks)
                        #expect(
                            checks.findings.isEmpty,
                            """
                            seed \(seed); replay it with: make sim SEED=\(seed)
                            \(checks.findings.joined(separator: "\n"))
                            """)
                    }
                    return table
                }
            }
            return try await group.reduce(into: FaultTable()) { $0.add($1) }
        }
    }
}

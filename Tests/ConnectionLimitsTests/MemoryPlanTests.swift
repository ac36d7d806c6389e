// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Testing

@Suite struct MemoryPlanTests {
    private func demand(_ mebibytes: Int, hasCluster: Bool = true) -> MemoryPlan.Demand {
        MemoryPlan.Demand(
            unauthenticatedBytes: mebibytes << 20, xksConnections: 1_024, xksPerAddress: 64, xksHeaderBytes: 16_384,
            xksBodyBytes: 262_144, hasTLS: true, hasCluster: hasCluster)
    }

    @Test func partsOfAllListenersAddUpToWhatIsGiven() throws {
        for hasCluster in [true, false] {
            let plan = try MemoryPlan(demand(64, hasCluster: hasCluster))
            #expect(plan.shares.reduce(0) { $0 + $1.share.bytes } == 64 << 20)
            #expect(plan.shares.map(\.listener).contains(.cluster) == hasCluster)
            #expect(plan.xks.connections == 1_024)
        }
    }

    @Test func saysWhatDoesNotFit() {
        // 2 MiB + 1 MiB + 8 MiB for the others, 32 × 80 KiB, and a body of 256 KiB.
        let shortage = #expect(throws: MemoryPlan.Shortage.self) { try MemoryPlan(demand(13)) }
        #expect(shortage?.needed == (11 << 20) + 32 * 80 * 1_024 + 262_144)
        #expect(
            shortage?.sum
                == "2048 KiB for [control], 1024 KiB for admin.sock, 8192 KiB for [cluster], "
                + "2560 KiB for 32 connections to [xks], 256 KiB for one body")
        #expect(throws: Never.self) { try MemoryPlan(demand(14)) }
        #expect(throws: Never.self) { try MemoryPlan(demand(6, hasCluster: false)) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Testing

@Suite struct MemoryPlanTests {
    private func demand(_ mebibytes: Int, unknownPeers: Int = 128) -> MemoryPlan.Demand {
        MemoryPlan.Demand(
            unauthenticatedBytes: mebibytes << 20, controlConnections: 64, adminConnections: 32,
            unknownPeers: unknownPeers, xksConnections: 1_024, xksPerAddress: 64, xksHeaderBytes: 16_384,
            xksBodyBytes: 262_144, hasTLS: true)
    }

    @Test func partsOfAllListenersAddUpToWhatIsGiven() throws {
        for unknownPeers in [128, 16, 0] {
            let plan = try MemoryPlan(demand(64, unknownPeers: unknownPeers))
            #expect(plan.control + plan.admin + plan.cluster + plan.xks.bytes == 64 << 20)
            #expect(plan.cluster == unknownPeers * MemoryPlan.tlsConnectionBytes)
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
        #expect(throws: Never.self) { try MemoryPlan(demand(6, unknownPeers: 0)) }
    }
}

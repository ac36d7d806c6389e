// SPDX-License-Identifier: Apache-2.0
import HostLimits
import Testing

@Suite struct DescriptorPlanTests {
    private func demand(
        sessions: [Int] = [16, 16], isClustered: Bool = true, xks: Int = 1_024
    ) -> DescriptorPlan.Demand {
        DescriptorPlan.Demand(sessions: sessions, eventLoops: 1, isClustered: isClustered, xksConnections: xks)
    }

    @Test func everyListenerHasWhatIsConfiguredWhereThereIsEnough() throws {
        let plan = try DescriptorPlan(demand(), limit: 16_384)
        #expect((plan.xks, plan.cluster, plan.control, plan.admin) == (1_024, 1_024, 64, 32))
        #expect(try DescriptorPlan(demand(isClustered: false), limit: 16_384).cluster == 0)
    }

    @Test func fewDescriptorsLeaveSomeForEachListener() throws {
        let plan = try DescriptorPlan(demand(sessions: [4, 4]), limit: 256)
        #expect((plan.control, plan.admin) == (16, 8))
        #expect(plan.cluster >= 16 && plan.xks >= 30)
        #expect(plan.reserved >= 100)
    }

    /// Whatever is asked for, what is given away is never more than there is.
    @Test func theSumIsNeverAboveTheLimit() throws {
        for limit in stride(from: 0, through: 5_000, by: 7) {
            for sessions in [[], [1], [16, 16], [64, 64, 64], [1_024]] {
                for isClustered in [false, true] {
                    for xks in [1, 100, 1_024, 100_000] {
                        let demand = demand(sessions: sessions, isClustered: isClustered, xks: xks)
                        guard let plan = try? DescriptorPlan(demand, limit: limit) else { continue }
                        let sum = plan.reserved + plan.control + plan.admin + plan.cluster + plan.xks
                        #expect(sum <= limit && plan.xks >= 1 && plan.xks <= xks)
                        #expect(plan.control >= 8 && plan.admin >= 8 && (plan.cluster >= 16) == isClustered)
                    }
                }
            }
        }
    }

    @Test func theFloorIsTheOneThatIsNamed() throws {
        for isClustered in [false, true] {
            let demand = demand(isClustered: isClustered)
            let error = try #require(throws: TooFewDescriptors.self) { try DescriptorPlan(demand, limit: 64) }
            #expect(error.limit == 64)
            #expect(throws: TooFewDescriptors.self) { try DescriptorPlan(demand, limit: error.need - 1) }
            #expect(try DescriptorPlan(demand, limit: error.need).xks == 1)
        }
    }

    @Test func overflowIsNoAnswer() {
        #expect(throws: TooFewDescriptors.self) { try DescriptorPlan(demand(), limit: 0) }
    }
}

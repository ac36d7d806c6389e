// SPDX-License-Identifier: Apache-2.0
import Chance
import LoadPlan
import Testing

@Suite("When requests are due")
struct ArrivalScheduleTests {
    private func moments(_ schedule: ArrivalSchedule, _ count: Int) -> [UInt64] {
        var schedule = schedule
        return (0..<count).map { _ in
            defer { schedule.advance() }
            return schedule.next
        }
    }

    @Test("gaps are even, and those that are no whole nanoseconds do not add up to a drift")
    func even() {
        #expect(moments(ArrivalSchedule(rate: 100), 4) == [0, 10_000_000, 20_000_000, 30_000_000])
        let thirds = moments(ArrivalSchedule(rate: 3), 3_000_001)
        #expect(thirds[3_000_000] == 1_000_000_000_000_000)
    }

    @Test("schedules of several threads interleave")
    func interleaved() {
        let parts = (0..<4).flatMap { moments(ArrivalSchedule(rate: 25, phase: Double($0) / 4), 3) }
        #expect(parts.sorted() == moments(ArrivalSchedule(rate: 100), 12))
    }

    @Test("a Poisson process has its mean, its spread, and as many short gaps as it must")
    func poisson() {
        let moments = moments(ArrivalSchedule(rate: 1_000, spacing: .poisson, seed: 7), 100_001)
        let gaps = zip(moments.dropFirst(), moments).map { Double($0 - $1) / 1e6 }
        let mean = gaps.reduce(0, +) / Double(gaps.count)
        let variance = gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(gaps.count)
        // Of mean and variance 1 each; the bounds are four standard errors and more.
        #expect(abs(mean - 1) < 0.02 && abs(variance - 1) < 0.05)
        // 1 − 1/e of them are shorter than the mean.
        #expect(abs(Double(gaps.count { $0 < 1 }) / Double(gaps.count) - 0.632) < 0.01)
        #expect(moments != self.moments(ArrivalSchedule(rate: 1_000, spacing: .poisson, seed: 8), 100_001))
    }

    @Test("whatever rate and phase are asked for, time goes on and nothing traps")
    func extremes() {
        for rate in [Double.nan, -1, 0, 1e-300, .infinity, 1e300] {
            for spacing in [ArrivalSchedule.Spacing.constant, .poisson] {
                let moments = moments(ArrivalSchedule(rate: rate, spacing: spacing, phase: rate), 50)
                #expect(zip(moments.dropFirst(), moments).allSatisfy { $0 >= $1 })
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Chance
import Foundation
import Routing
import Testing

@Suite("Service estimate")
struct ServiceEstimateTests {
    private let second: UInt64 = 1_000_000_000

    /// Calls of 2 ms, a hundred a second, of which every `tail`th takes 150 ms.
    private func tailed(every tail: UInt64) -> ServiceEstimate {
        var estimate = ServiceEstimate()
        for call in 1...2_000 as ClosedRange<UInt64> {
            estimate.record(call % tail == 0 ? 150_000_000 : 2_000_000, now: call * second / 100)
        }
        return estimate
    }

    @Test("rare slow calls price nothing; the mean has them", arguments: [(UInt64(1_000), 2.1), (100, 2.2), (20, 2.4)])
    func tails(every: UInt64, most: Double) throws {
        let estimate = tailed(every: every)
        #expect(estimate.centre >= 2_000_000 && estimate.centre < most * 1_000_000, "\(estimate.centre)")
        if every == 20 { #expect(try #require(estimate.mean) > 5_000_000) }
    }

    /// With twice the centre at most, it was 8 ms on average: an HSM that always takes 9 ms gave calls away to this one.
    @Test("calls of exponential time are not taken for faster than they are")
    func exponential() {
        var random = RandomChoice(seed: 3)
        var (estimate, latency, sum) = (ServiceEstimate(), LatencyTracker(), 0.0)
        for call in 1...5_000 as ClosedRange<UInt64> {
            let duration = UInt64(-10_000_000 * log(1 - random.fraction()))
            latency.record(duration, now: call * second / 100)
            estimate.record(duration, usual: latency.usual ?? 0, now: call * second / 100)
            if call > 1_000 { sum += estimate.centre / 4_000 }
        }
        #expect(sum > 9_000_000 && sum < 10_500_000, "\(sum)")
    }

    @Test("an HSM that has become slow, or fast, is known for it within two hundred calls")
    func steps() {
        var estimate = tailed(every: 1_000)
        for call in 1...200 as ClosedRange<UInt64> {
            estimate.record(40_000_000, now: 20 * second + call * second / 100)
        }
        #expect(estimate.centre > 36_000_000)
        for call in 1...300 as ClosedRange<UInt64> {
            estimate.record(2_000_000, now: 30 * second + call * second / 100)
        }
        #expect(estimate.centre < 4_000_000)
    }

    /// With a moving average alone it took a second, in which requests were sent to it that it could not answer in time.
    @Test("an HSM that is five times as slow, or as fast, is known for it after seven, or sixteen, calls in a row")
    func levels() throws {
        var estimate = tailed(every: 5_000)
        for call in 1...7 as ClosedRange<UInt64> {
            estimate.record(10_000_000 + call, now: 20 * second + call * second / 100)
        }
        #expect(abs(estimate.centre - 10_000_000) < 10)
        #expect(try #require(estimate.mean) > 9_000_000)
        for call in 1...16 as ClosedRange<UInt64> {
            estimate.record(2_000_000 - call, now: 21 * second + call * second / 100)
        }
        #expect(abs(estimate.centre - 2_000_000) < 10)
        #expect(try #require(estimate.mean) < 2_100_000)
    }

    /// Of an HSM that makes one call at a time: those behind a slow one all wait for it.
    @Test("calls that have waited for one slow call are no sign that the HSM has become slow")
    func clump() {
        var estimate = tailed(every: 5_000)
        for call in 0..<10 as Range<UInt64> {
            estimate.record(100_000_000 - call * 8_000_000, now: 20 * second + call * 2_000_000)
        }
        #expect(estimate.centre < 3_000_000, "\(estimate.centre)")
    }

    /// HSMs that are alike are to look alike: where each call counted with a 64th it was 0.09.
    @Test("what calls of exponential time are expected to take varies little")
    func steady() {
        var random = RandomChoice(seed: 3)
        var (estimate, latency, sum, squares) = (ServiceEstimate(), LatencyTracker(), 0.0, 0.0)
        for call in 1...20_000 as ClosedRange<UInt64> {
            let duration = UInt64(-10_000_000 * log(1 - random.fraction()))
            latency.record(duration, now: call * second / 500)
            estimate.record(duration, usual: latency.usual ?? 0, now: call * second / 500)
            if call > 1_000 { (sum, squares) = (sum + estimate.centre, squares + estimate.centre * estimate.centre) }
        }
        let mean = sum / 19_000
        let deviation = (squares / 19_000 / mean / mean - 1).squareRoot()
        #expect(deviation < 0.075, "\(deviation)")
    }

    @Test("one that nobody asks is hoped to have become faster, until it is asked")
    func hope() {
        var estimate = ServiceEstimate()
        estimate.record(80_000_000, now: second)
        #expect(estimate.expected(isIdle: true, now: 3 * second) == 80_000_000)
        #expect(estimate.expected(isIdle: true, now: 7 * second) == 20_000_000)
        #expect(estimate.expected(isIdle: false, now: 5 * second) == 80_000_000)
        #expect(estimate.expected(isIdle: true, now: .max) < 1)
        estimate.asked(now: 5 * second)
        #expect(estimate.expected(isIdle: true, now: 5 * second) == 80_000_000)
    }

    @Test("what was never asked is worth a try, one call at a time; the first answer may be an outlier, too")
    func unknown() {
        var estimate = ServiceEstimate()
        estimate.probed(3_000_000)
        #expect(estimate.expected(isIdle: true, now: 0) == 0 && estimate.expected(isIdle: false, now: 0) == 3_000_000)
        estimate.record(150_000_000, now: second)
        #expect(estimate.centre == 6_000_000)
    }

    @Test("calls that outlast their patience are a silence only where nothing was answered since they began")
    func silence() {
        var estimate = ServiceEstimate()
        estimate.record(2_000_000, now: 2 * second)
        for _ in 0..<5 { estimate.kept(since: second) }
        #expect(!estimate.isSilent)
        for _ in 0..<ServiceEstimate.silence { estimate.kept(since: 2 * second) }
        #expect(estimate.isSilent)
        estimate.record(900_000_000, now: 3 * second)
        #expect(!estimate.isSilent)
    }
}

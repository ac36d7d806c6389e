// SPDX-License-Identifier: Apache-2.0
import Routing
import Testing

@Suite("Latency tracker")
struct LatencyTrackerTests {
    private let second: UInt64 = 1_000_000_000

    @Test("quantiles are known from a hundred answers on, to a quarter of an octave")
    func quantiles() throws {
        var tracker = LatencyTracker()
        for answer in 1...99 as ClosedRange<UInt64> {
            tracker.record(answer * 100_000, now: answer)
            #expect(tracker.known == nil)
        }
        tracker.record(10_000_000, now: 100)
        let known = try #require(tracker.known)
        #expect((5_000_000...6_300_000).contains(known.p50), "\(known)")
        #expect((9_500_000...12_000_000).contains(known.p95), "\(known)")
        #expect((9_900_000...12_500_000).contains(known.p99), "\(known)")
    }

    @Test("no quantile is below what was measured", arguments: [1_500, 40_000, 3_333_000, 200_000_000, 90_000_000_000])
    func upperEnds(latency: UInt64) throws {
        var tracker = LatencyTracker()
        for now in 0..<200 as Range<UInt64> { tracker.record(latency, now: now) }
        let known = try #require(tracker.known)
        // Times are reported in microseconds.
        #expect(known.p50 + 1_000 >= latency && known.p50 <= latency + latency / 3 + 1_000)
        #expect(known.p50 == known.p99)
    }

    @Test("what was slow is forgotten by time: seven seconds after a slow spell nothing is left of it")
    func forget() throws {
        var tracker = LatencyTracker()
        for answer in 0..<4_800 as Range<UInt64> { tracker.record(40_000_000, now: answer * second / 400) }
        for answer in 4_800..<7_600 as Range<UInt64> { tracker.record(2_000_000, now: answer * second / 400) }
        #expect(try #require(tracker.known).p99 < 3_000_000)
    }

    @Test("the few answers of an HSM that is rarely asked are kept")
    func few() throws {
        var tracker = LatencyTracker()
        for answer in 0..<120 as Range<UInt64> {
            tracker.record(answer % 20 == 0 ? 9_000_000 : 1_000_000, now: answer * second)
        }
        #expect(try #require(tracker.known).p99 > 8_000_000)
        #expect(try #require(tracker.known).p50 < 1_500_000)
    }

    @Test("times beyond every measure do no harm")
    func extremes() throws {
        var tracker = LatencyTracker()
        for _ in 0..<100 { tracker.record(.max, now: .max) }
        for _ in 0..<100 { tracker.record(0, now: 0) }
        #expect(try #require(tracker.known).p99 > 100_000_000_000)
    }
}

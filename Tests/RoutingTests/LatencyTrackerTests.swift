// SPDX-License-Identifier: Apache-2.0
import Routing
import Testing

@Suite("Latency tracker")
struct LatencyTrackerTests {
    private let second: UInt64 = 1_000_000_000

    @Test("a slow answer counts in full, at once")
    func peak() {
        var tracker = LatencyTracker()
        #expect(tracker.expected(now: 0) == 0)
        tracker.record(2_000_000, now: second)
        #expect(tracker.expected(now: second) == 2_000_000)
        tracker.record(50_000_000, now: second)
        #expect(tracker.expected(now: second) == 50_000_000)
        // A quick one right after it proves nothing.
        tracker.record(1_000_000, now: second)
        #expect(tracker.expected(now: second) == 50_000_000)
    }

    @Test("quick answers bring the level down over seconds")
    func trust() {
        var tracker = LatencyTracker()
        tracker.record(50_000_000, now: 0)
        var levels: [Double] = []
        for tenth in 1...100 as ClosedRange<UInt64> {
            tracker.record(1_000_000, now: tenth * second / 10)
            levels.append(tracker.expected(now: tenth * second / 10))
        }
        #expect(zip(levels, levels.dropFirst()).allSatisfy { $0 >= $1 })
        #expect(levels[9] > 25_000_000 && levels[9] < 35_000_000, "after a second: \(levels[9])")
        #expect(levels[99] < 1_600_000, "after ten: \(levels[99])")
    }

    @Test("time alone halves the level every 1.4 seconds, smoothly")
    func decay() {
        var tracker = LatencyTracker()
        tracker.record(80_000_000, now: second)
        #expect(tracker.expected(now: 0) == 80_000_000, "a clock that seems to go back changes nothing")
        #expect(tracker.expected(now: second + 1_400_000_000) == 40_000_000)
        #expect(tracker.expected(now: second + 2_800_000_000) == 20_000_000)
        #expect(tracker.expected(now: .max) == 0)
        var last = Double.infinity
        for step in 0...1_000 as ClosedRange<UInt64> {
            let level = tracker.expected(now: second + step * 10_000_000)
            #expect(level < last)
            last = level
        }
    }

    @Test("a call that goes on counts like an answer of its age, but is no sample")
    func raise() {
        var tracker = LatencyTracker()
        tracker.raise(30_000_000, now: second)
        #expect(tracker.expected(now: second) == 30_000_000)
        #expect(tracker.samples == 0 && tracker.known == nil)
    }

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
        // Times are told in microseconds.
        #expect(known.p50 + 1_000 >= latency && known.p50 <= latency + latency / 3 + 1_000)
        #expect(known.p50 == known.p99)
    }

    @Test("old answers are forgotten: what is usual changes with the HSM")
    func forget() throws {
        var tracker = LatencyTracker()
        for now in 0..<100_000 as Range<UInt64> { tracker.record(1_000_000, now: now) }
        for now in 0..<12_000 as Range<UInt64> { tracker.record(20_000_000, now: 100_000 + now) }
        #expect(try #require(tracker.known).p50 > 15_000_000)
        #expect(tracker.samples == 112_000)
    }

    @Test("times beyond every measure do no harm")
    func extremes() throws {
        var tracker = LatencyTracker()
        for _ in 0..<100 { tracker.record(.max, now: .max) }
        for _ in 0..<100 { tracker.record(0, now: 0) }
        #expect(try #require(tracker.known).p99 > 100_000_000_000)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Chance
import LoadPlan
import Testing

@Suite("Histograms and trials")
struct HistogramTests {
    private func near(_ value: Double?, _ expected: Double, part: Double = 0.001) -> Bool {
        value.map { abs($0 - expected) <= expected * part + 0.001 } ?? false
    }

    @Test("percentiles are those of the values, to three digits")
    func percentiles() {
        var random = RandomChoice(seed: 3)
        var histogram = LatencyHistogram()
        let values = (0..<10_000).map { _ in random.below(UInt64(400_000_000)) }
        for value in values { histogram.record(nanoseconds: value) }
        let sorted = values.sorted().map { Double($0) / 1e6 }
        for (share, place) in [(0.5, 4_999), (0.9, 8_999), (0.99, 9_899), (0.999, 9_989), (1.0, 9_999)] {
            #expect(near(histogram.milliseconds(atShare: share), sorted[place]), "\(share)")
        }
        #expect(histogram.count == 10_000 && near(histogram.longest, sorted[9_999]))
        #expect(abs(Double(histogram.count(within: 100)) - Double(sorted.count { $0 <= 100 })) <= 15)
    }

    @Test("a request that failed stands behind all that were answered")
    func unfinished() {
        var histogram = LatencyHistogram()
        for number in 1...990 { histogram.record(nanoseconds: UInt64(number) * 1_000_000) }
        #expect(near(histogram.milliseconds(atShare: 0.99, unfinished: 10), 990))
        #expect(histogram.milliseconds(atShare: 0.991, unfinished: 10) == nil)
        #expect(near(histogram.milliseconds(atShare: 0.5, unfinished: 10), 500))
        #expect(LatencyHistogram().milliseconds(atShare: 0.5) == nil)
        #expect(LatencyHistogram().milliseconds(atShare: 0.5, unfinished: 3) == nil)
    }

    @Test("parts add up, also where their precision differs; what is beyond counts as the longest")
    func sums() {
        var (left, right, coarse) = (LatencyHistogram(), LatencyHistogram(), LatencyHistogram(isCoarse: true))
        left.record(nanoseconds: 1_000_000)
        right.record(nanoseconds: 3_000_000)
        coarse.record(nanoseconds: .max)
        left.add(right)
        left.add(coarse)
        #expect(left.count == 3 && near(left.milliseconds(atShare: 0.6), 3))
        #expect(near(left.longest, 600_000, part: 0.01))
        #expect(left.milliseconds(atShare: .nan) == nil && left.count(within: .infinity) == 0)
    }

    @Test("a summary tells the share in time with what failed in it")
    func summary() {
        var trial = Trial(seconds: 10)
        for number in 0..<1_000 {
            trial.answered(offset: UInt64(number) * 10_000_000, nanoseconds: number < 999 ? 5_000_000 : 245_000_000)
        }
        let all = TrialSummary(trial, offered: 100, demand: AnswerDemand(roundTrip: 0))
        #expect(all.holds && all.shareInTime == 1 && all.goodPerSecond == 100 && all.verdict == .holds)
        // One of a thousand too late is p99.9 kept; one more is not.
        let near = TrialSummary(trial, offered: 100, demand: AnswerDemand(roundTrip: 10))
        #expect(near.deadline == 240 && near.holds && near.shareInTime == 0.999)
        trial.failed(.answered(status: 429, exception: "ThrottlingException"), offset: 0)
        let worse = TrialSummary(trial, offered: 100, demand: AnswerDemand(roundTrip: 10))
        #expect(!worse.holds && worse.verdict == .fails && worse.requests == 1_001 && worse.good == 1_000)
        #expect(worse.failures == [.init(what: "429 ThrottlingException", requests: 1)])
        #expect(worse.p9999 == nil, "a request that failed stands there")
        // A generator that came late itself proves nothing.
        for _ in 0..<100 { trial.lateness.record(nanoseconds: 50_000_000) }
        #expect(TrialSummary(trial, offered: 100, demand: AnswerDemand(roundTrip: 10)).verdict == .unsent)
        #expect(!TrialSummary(Trial(seconds: 1), offered: 1, demand: AnswerDemand(roundTrip: 0)).holds)
    }

    @Test("bytes become megabits a second for a thousand requests a second")
    func bytes() {
        var trial = Trial(seconds: 1)
        for _ in 0..<10 { trial.answered(offset: 0, nanoseconds: 1) }
        (trial.sentBytes, trial.receivedBytes) = (15_000, 8_000)
        let summary = TrialSummary(trial, offered: nil, demand: AnswerDemand(roundTrip: 0))
        #expect(summary.sentBytesPerRequest == 1_500 && summary.sentMegabitsPerThousand == 12)
        #expect(summary.receivedBytesPerRequest == 800 && summary.receivedMegabitsPerThousand == 6.4)
    }

    @Test("what a peer sends as an error's name is bounded, and so is how many names are kept")
    func names() {
        #expect(TrialFailure.answered(status: 500, exception: "Internal\u{1B}[2J").text == "500")
        #expect(TrialFailure.answered(status: 500, exception: String(repeating: "a", count: 65)).text == "500")
        #expect(TrialFailure.answered(status: 500, exception: "InternalException").text == "500 InternalException")
        var trial = Trial(seconds: 1)
        let letters = Array("abcdefghijklmnopqrstuvwxyz")
        for first in letters {
            for second in letters { trial.failed(.answered(status: 500, exception: "\(first)\(second)"), offset: 0) }
        }
        #expect(trial.failed == 676 && trial.failures.count <= 51)
    }

    @Test("trials of threads add up")
    func trials() {
        var (left, right) = (Trial(seconds: 2), Trial(seconds: 2))
        left.answered(offset: 0, nanoseconds: 1_000_000)
        right.answered(offset: 1_500_000_000, nanoseconds: 9_000_000)
        right.failed(.closed, offset: .max)
        (left.mostConnections, right.mostConnections, right.wasStopped) = (3, 4, true)
        left.add(right)
        #expect(left.good == 2 && left.failed == 1 && left.mostConnections == 7 && left.wasStopped)
        #expect(left.intervals.map(\.latency.count) == [1, 1])
    }
}

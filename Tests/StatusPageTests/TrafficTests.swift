// SPDX-License-Identifier: Apache-2.0
import StatusPage
import Testing

@Suite struct TrafficTests {
    private func counts(_ answered: UInt64, _ buckets: [UInt64], unreliable: UInt64 = 0, operations: UInt64 = 0)
        -> TrafficHistory.Counts
    {
        TrafficHistory.Counts(
            answered: answered, unreliable: unreliable, buckets: buckets, operations: ["fra-1": operations])
    }

    private func isNear(_ value: Double?, _ expected: Double) -> Bool {
        value.map { abs($0 - expected) < 1e-9 } ?? false
    }

    @Test func stepsAreTheDifferencesOfCounters() throws {
        var history = TrafficHistory(edges: [0.001, 0.01, 0.1])
        #expect(history.steps.count == 180 && history.current == nil)
        history.note(counts(100, [0, 100, 0, 0], operations: 50), now: 1_000)
        #expect(history.current == nil, "one look is no difference")
        history.note(counts(150, [50, 100, 0, 0], operations: 60), now: 1_003)
        #expect(history.current == nil, "the step is not over")
        history.note(counts(200, [50, 149, 1, 0], unreliable: 5, operations: 100), now: 1_005)
        let step = try #require(history.current)
        #expect(step.rate == 20 && step.unreliableRate == 1)
        // Half of a hundred answers: the end of the first bucket. 99: the end of the second.
        #expect(isNear(step.median, 1) && isNear(step.p99, 10))
        #expect(history.operationRates == ["fra-1": 10])
        #expect(history.steps.compactMap(\.self).count == 1 && history.steps.last??.rate == 20)
    }

    @Test func quantilesAreBoundedByTheEdges() throws {
        var history = TrafficHistory(edges: [0.001, 0.01, 0.1])
        history.note(counts(0, [0, 0, 0, 0]), now: 0)
        history.note(counts(10, [0, 0, 0, 10]), now: 5)
        #expect(isNear(history.current?.median, 100) && isNear(history.current?.p99, 100))
        history.note(counts(10, [0, 0, 0, 10]), now: 10)
        #expect(history.current?.rate == 0 && history.current?.median == nil && history.current?.p99 == nil)
        history.note(counts(20, [0, 10, 0, 10]), now: 15)
        #expect(isNear(history.current?.median, 5.5))
    }

    @Test func aPauseIsAGapAndTheRingIsBounded() {
        var history = TrafficHistory(edges: [0.001])
        history.note(counts(0, [0, 0]), now: 0)
        for step in 1...200 { history.note(counts(UInt64(step), [UInt64(step), 0]), now: Int64(step) * 5) }
        #expect(history.steps.count == 180 && history.steps.allSatisfy { $0?.rate == 0.2 })
        history.note(counts(260, [260, 0]), now: 1_060)
        #expect(history.steps.suffix(13).map { $0?.rate } == [0.2] + Array(repeating: nil, count: 11) + [1])
        history.note(counts(300, [300, 0]), now: .max)
        #expect(history.steps.count == 180 && history.steps.dropLast().allSatisfy { $0 == nil })
    }

    @Test func clocksThatGoBackAndCountersThatBeginAnewAreNoNews() {
        var history = TrafficHistory(edges: [0.001])
        history.note(counts(100, [100, 0], operations: 100), now: 100)
        history.note(counts(200, [200, 0], operations: 200), now: 50)
        history.note(counts(200, [200, 0], operations: 200), now: .min)
        #expect(history.current == nil)
        history.note(counts(10, [10, 0], operations: 10), now: 105)
        #expect(history.current?.rate == 0 && history.current?.median == nil && history.operationRates == [:])
        history.note(counts(20, [20], operations: 20), now: 110)
        #expect(history.current?.rate == 2 && history.operationRates == ["fra-1": 2])
    }

    @Test func chartsBreakWhereNothingIsKnown() throws {
        var history = TrafficHistory(edges: [0.001])
        history.note(counts(0, [0, 0]), now: 0)
        history.note(counts(50, [50, 0]), now: 5)
        history.note(counts(100, [100, 0]), now: 60)
        history.note(counts(200, [200, 0]), now: 65)
        var snapshot = Scene.snapshot()
        snapshot.traffic = history
        let page = try Scene.page(snapshot)
        // 10 a second in one step alone, a gap of ten steps, 50 in 55 s, and 20 a second, the most, at the right edge.
        let line = try #require(page.firstMatch(of: /<path class="main" d="([^"]*)"/)?.output.1)
        #expect(line == "M559.8 60H563.1M596.6 114.5L600 0")
        #expect(page.contains("Now 20, at most 20, at least 0.9 requests a second"))
    }
}

// SPDX-License-Identifier: Apache-2.0
import CoreMetrics
import Synchronization

/// Keeps what is counted through swift-metrics, under the names of `NodeMetric`; what has another name is counted by nobody.
package final class MetricRegistry: MetricsFactory, Sendable {
    private struct Series: Hashable {
        var metric: NodeMetric
        var labels: [String]
    }

    private let counters = Mutex<[Series: CounterCell]>([:])
    private let timers = Mutex<[Series: HistogramCell]>([:])

    package init() {}

    /// Everything that has been counted.
    package func write(to page: inout MetricPage) {
        let counters = counters.withLock { $0 }
        for (series, cell) in counters.sorted(by: { $0.key.labels.lexicographicallyPrecedes($1.key.labels) }) {
            page.add(series.metric, series.labels, cell.value)
        }
        let timers = timers.withLock { $0 }
        for (series, cell) in timers.sorted(by: { $0.key.labels.lexicographicallyPrecedes($1.key.labels) }) {
            let (buckets, sum) = cell.value
            page.add(series.metric, series.labels, buckets: buckets, sum: sum)
        }
    }

    /// Of all series of a counter whose values of labels are meant.
    func sum(of metric: NodeMetric, where isMeant: ([String]) -> Bool = { _ in true }) -> UInt64 {
        counters.withLock { counters in
            counters.reduce(0) { sum, entry in
                guard entry.key.metric == metric, isMeant(entry.key.labels) else { return sum }
                return sum &+ UInt64(clamping: entry.value.count)
            }
        }
    }

    /// Of all series of a histogram together.
    func buckets(of metric: NodeMetric) -> [UInt64] {
        timers.withLock { timers in
            timers.reduce(into: [UInt64](repeating: 0, count: NodeMetric.edges.count + 1)) { sums, entry in
                guard entry.key.metric == metric else { return }
                for (index, count) in entry.value.value.buckets.enumerated() { sums[index] &+= count }
            }
        }
    }

    private func series(_ label: String, _ dimensions: [(String, String)]) -> Series? {
        guard let metric = NodeMetric(rawValue: label) else { return nil }
        let values = Dictionary(dimensions) { first, _ in first }
        return Series(metric: metric, labels: metric.labels.map { values[$0] ?? "" })
    }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        guard let series = series(label, dimensions) else { return NOOPMetricsHandler.instance }
        return counters.withLock { counters in
            let cell = counters[series] ?? CounterCell()
            counters[series] = cell
            return cell
        }
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        guard let series = series(label, dimensions) else { return NOOPMetricsHandler.instance }
        return timers.withLock { timers in
            let cell = timers[series] ?? HistogramCell()
            timers[series] = cell
            return cell
        }
    }

    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler { NOOPMetricsHandler.instance }

    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
}

/// A sum that grows.
private final class CounterCell: CounterHandler, Sendable {
    private let sum = Atomic<Int64>(0)

    var count: Int64 { sum.load(ordering: .relaxed) }
    var value: Double { Double(count) }

    func increment(by amount: Int64) { sum.add(amount, ordering: .relaxed) }
    func reset() { sum.store(0, ordering: .relaxed) }
}

/// Durations by `NodeMetric.edges`.
private final class HistogramCell: TimerHandler, Sendable {
    private struct State {
        var buckets = [UInt64](repeating: 0, count: NodeMetric.edges.count + 1)
        var sum = 0.0
    }

    private let state = Mutex(State())

    var value: (buckets: [UInt64], sum: Double) { state.withLock { ($0.buckets, $0.sum) } }

    func recordNanoseconds(_ duration: Int64) {
        let seconds = Double(max(duration, 0)) / 1e9
        let bucket = NodeMetric.edges.firstIndex { seconds <= $0 } ?? NodeMetric.edges.count
        state.withLock { state in
            state.buckets[bucket] &+= 1
            state.sum += seconds
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Samples on their way to Prometheus: text exposition format 0.0.4.
package struct MetricPage {
    private var samples: [NodeMetric: [String]] = [:]

    package init() {}

    /// - Parameter labels: values of the metric's labels, in order.
    package mutating func add(_ metric: NodeMetric, _ labels: [String] = [], _ value: Double) {
        append(metric, metric.rawValue, Array(zip(metric.labels, labels)), value)
    }

    package mutating func add(_ metric: NodeMetric, _ labels: [String] = [], _ isSo: Bool) {
        add(metric, labels, isSo ? 1 : 0)
    }

    /// - Parameters:
    ///   - buckets: how many there were up to each of `NodeMetric.edges`, and beyond the last; not cumulated.
    ///   - sum: of all, seconds.
    package mutating func add(_ metric: NodeMetric, _ labels: [String], buckets: [UInt64], sum: Double) {
        let names = Array(zip(metric.labels, labels))
        var count: UInt64 = 0
        for (index, bucket) in buckets.enumerated() {
            count &+= bucket
            let edge = index < NodeMetric.edges.count ? Self.number(NodeMetric.edges[index]) : "+Inf"
            append(metric, metric.rawValue + "_bucket", names + [("le", edge)], Double(count))
        }
        append(metric, metric.rawValue + "_sum", names, sum)
        append(metric, metric.rawValue + "_count", names, Double(count))
    }

    private mutating func append(
        _ metric: NodeMetric, _ name: String, _ labels: [(String, String)], _ value: Double
    ) {
        let list = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
        samples[metric, default: []].append("\(name)\(list.isEmpty ? "" : "{\(list)}") \(Self.number(value))")
    }

    /// In the order of the catalogue.
    package var text: String {
        var lines: [String] = []
        for metric in NodeMetric.allCases {
            guard let samples = samples[metric] else { continue }
            lines.append("# HELP \(metric.rawValue) \(Self.help(metric.meaning))")
            lines.append("# TYPE \(metric.rawValue) \(metric.kind.rawValue)")
            lines += samples
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func help(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    }

    private static func escaped(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == 0x22 || $0 == 0x5C || $0 == 0x0A }) else { return value }
        return value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    private static func number(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf" }
        // A whole number as such; no exponent, which people would have to read.
        return value.rounded() == value && value.magnitude < 1e15 ? "\(Int64(value))" : "\(value)"
    }
}

// SPDX-License-Identifier: Apache-2.0

/// docs/reference/metrics.md, made from the catalogue.
package enum MetricReference {
    package static func markdown() -> String {
        let rows = NodeMetric.allCases.map { metric in
            let labels = metric.labels.map { "`\($0)`" }.joined(separator: ", ")
            return "| `\(metric.rawValue)` | \(metric.kind.rawValue) | \(labels) | \(metric.meaning) |"
        }
        return ([heading] + rows).joined(separator: "\n") + "\n"
    }

    private static let heading = """
        # Metrics

        <!-- Made from Sources/Node/Monitoring/NodeMetric.swift. -->

        `GET /metrics` at the control listener, in the text format of Prometheus. Counters begin at 0 with the process.
        Buckets of histograms end at 0.5 ms to 2.5 s, with edges at 250 ms, when KMS gives up, and at 500 ms, when its retry
        does. Values of `operation` and `exception` are AWS's own, so that graphs of both sides can lie beside each other.
        Keys have series of their own with [`control.show_keys`](configuration.md) only: otherwise which keys there are is
        shown at the admin socket alone. Rules for alerts and a dashboard lie in `deploy/monitoring`.

        | metric | kind | labels | |
        |---|---|---|---|
        """
}

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusVocabulary

/// How a node was at one moment of a drill. Counters are since its start.
package struct DrillSample: Sendable {
    /// Seconds since the drill began.
    package var at: Double
    /// Encryptions and decryptions that were answered, and health and metadata too.
    package var requests: Double
    /// By AWS's rule for the reliability of an external key store.
    package var unreliable: Double
    /// By name of the exception, encryptions and decryptions alone; `undelivered` where the client had gone.
    package var failures: [String: Double]
    /// Answers of encryptions and decryptions that took at most so many seconds.
    package var buckets: [Double: Double]
    package var failovers: Double
    package var hedges: Double
    package var forwarded: Double
    /// Unix seconds: another one is another process.
    package var startTime: Double
    package var conditions: [Condition]
    /// The HSM as the node shows it: given requests, and drained.
    package var serves: Bool
    package var isDrained: Bool

    /// - Parameters:
    ///   - metrics: of the node.
    ///   - hsm: whose drill it is.
    package init(at: Double, metrics: MetricsText, status: NodeStatus, hsm: String) {
        self.at = at
        unreliable = metrics.sum("claviger_requests_reliability_total", ["reliable": "false"])
        requests = unreliable + metrics.sum("claviger_requests_reliability_total", ["reliable": "true"])
        failures = [:]
        buckets = [:]
        for operation in ["Encrypt", "Decrypt"] {
            for sample in metrics.of("claviger_requests_total", ["operation": operation]) {
                let outcome = sample.labels["outcome"] ?? ""
                let exception = sample.labels["exception"] ?? ""
                guard outcome != "ok" else { continue }
                failures[exception.isEmpty ? outcome : exception, default: 0] += sample.value
            }
            for sample in metrics.of("claviger_request_duration_seconds_bucket", ["operation": operation]) {
                let edge = sample.labels["le"].flatMap { $0 == "+Inf" ? .infinity : Double($0) }
                if let edge, !edge.isNaN { buckets[edge, default: 0] += sample.value }
            }
        }
        failovers = metrics.sum("claviger_hsm_second_calls_total", ["reason": "failover"])
        hedges = metrics.sum("claviger_hsm_second_calls_total", ["reason": "hedge"])
        forwarded = metrics.sum("claviger_requests_forwarded_total", ["direction": "out"])
        startTime = metrics.sum("process_start_time_seconds")
        conditions = status.conditions
        let shown = status.hsms.first { $0.name == hsm }
        serves = shown?.canServe ?? false
        isDrained = shown?.drained ?? false
    }
}

/// What was between two samples.
package struct DrillPeriod: Sendable, Equatable, Codable {
    package struct Failure: Sendable, Equatable, Codable {
        package var what: String
        package var requests: Int

        package init(what: String, requests: Int) {
            self.what = what
            self.requests = requests
        }
    }

    package var seconds: Double
    package var requests: Int
    package var perSecond: Double
    /// By AWS's rule.
    package var unreliable: Int
    /// 0 to 1, of all requests those that were answered reliably; `nil` without requests.
    package var servedShare: Double?
    /// Milliseconds, within the bucket of the node's histogram that they fall into; `nil` without requests, and beyond the
    /// last edge.
    package var p50: Double?
    package var p99: Double?
    package var failures: [Failure]
    package var failovers: Int
    package var hedges: Int
    package var forwarded: Int

    package init(from begin: DrillSample, to end: DrillSample) {
        seconds = max(end.at - begin.at, 0)
        requests = Self.count(end.requests - begin.requests)
        unreliable = Self.count(end.unreliable - begin.unreliable)
        perSecond = seconds > 0 ? Double(requests) / seconds : 0
        servedShare = requests > 0 ? Double(requests - min(unreliable, requests)) / Double(requests) : nil
        let buckets = end.buckets.map { ($0.key, max($0.value - (begin.buckets[$0.key] ?? 0), 0)) }
            .sorted { $0.0 < $1.0 }
        p50 = Self.quantile(0.5, buckets)
        p99 = Self.quantile(0.99, buckets)
        failures = end.failures.map {
            Failure(what: $0.key, requests: Self.count($0.value - (begin.failures[$0.key] ?? 0)))
        }
        .filter { $0.requests > 0 }.sorted { ($1.requests, $0.what) < ($0.requests, $1.what) }
        failovers = Self.count(end.failovers - begin.failovers)
        hedges = Self.count(end.hedges - begin.hedges)
        forwarded = Self.count(end.forwarded - begin.forwarded)
    }

    private static func count(_ value: Double) -> Int { Int(min(max(value.isFinite ? value.rounded() : 0, 0), 1e15)) }

    /// As Prometheus' histogram_quantile: evenly spread within a bucket.
    private static func quantile(_ share: Double, _ buckets: [(edge: Double, count: Double)]) -> Double? {
        guard let all = buckets.last?.count, all > 0 else { return nil }
        let place = share * all
        var (lower, below) = (0.0, 0.0)
        for (edge, count) in buckets {
            if count >= place, count > below {
                guard edge.isFinite else { return nil }
                return (lower + (edge - lower) * (place - below) / (count - below)) * 1_000
            }
            (lower, below) = (edge, count)
        }
        return nil
    }
}

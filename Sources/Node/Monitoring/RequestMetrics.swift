// SPDX-License-Identifier: Apache-2.0
import CoreMetrics
import Synchronization
import XKSProtocol

/// Counts requests once they have been answered.
package final class RequestMetrics: RequestObserver {
    /// When KMS has given up, microseconds after it began (AWS KMS developer guide, "External key stores").
    package static let patienceOfKMS: UInt64 = 250_000

    /// By what the counters of a request differ.
    private struct Kind: Hashable {
        var operation: XKSOperation?
        var keyStore: String
        var error: XKSError.Name?
        var isUndelivered: Bool
    }

    private struct Counters {
        let requests: Counter
        let reliable: Counter
        let unreliable: Counter
        let late: Counter
        let calls: Counter
        let duration: Timer
    }

    let registry: MetricRegistry
    private let kinds = Mutex<[Kind: Counters]>([:])
    private let hsms = Mutex<[String: Timer]>([:])
    private let failovers: Counter
    private let hedges: Counter
    private let sent: Counter
    private let taken: Counter
    private let waited = Atomic<UInt64>(0)
    private let clients: Timer

    package init(_ registry: MetricRegistry) {
        self.registry = registry
        func counter(_ metric: NodeMetric, _ dimensions: [(String, String)]) -> Counter {
            Counter(label: metric.rawValue, dimensions: dimensions, factory: registry)
        }
        failovers = counter(.hsmSecondCalls, [("reason", "failover")])
        hedges = counter(.hsmSecondCalls, [("reason", "hedge")])
        sent = counter(.requestsForwarded, [("direction", "out")])
        clients = Timer(label: NodeMetric.clientRoundTrip.rawValue, factory: registry)
        taken = counter(.requestsForwarded, [("direction", "in")])
    }

    package func answered(_ trace: RequestTrace) {
        // What is in the path of who has proven nothing may be anything.
        let keyStore = trace.accessKeyID == nil ? "" : trace.keyStore ?? ""
        let kind = Kind(
            operation: trace.operation, keyStore: keyStore, error: trace.error, isUndelivered: trace.isUndelivered)
        let counters = kinds.withLock { kinds in
            if let known = kinds[kind] { return known }
            let new = makeCounters(kind)
            kinds[kind] = new
            return new
        }
        counters.requests.increment()
        counters.duration.recordNanoseconds(Int64(clamping: trace.totalMicroseconds &* 1_000))
        let isLate = trace.totalMicroseconds > Self.patienceOfKMS || trace.isUndelivered
        if isLate { counters.late.increment() }
        (isLate || trace.error?.isUnreliable == true ? counters.unreliable : counters.reliable).increment()
        if trace.attempts > 0 {
            counters.calls.increment(by: trace.attempts)
            if trace.isHedged { hedges.increment() }
            if trace.failovers > 0 { failovers.increment(by: trace.failovers) }
        }
        if trace.forwardedTo != nil { sent.increment() }
        if trace.forwardedBy != nil { taken.increment() }
        if trace.waitedMicroseconds > 0 { waited.add(trace.waitedMicroseconds, ordering: .relaxed) }
        if let hsm = trace.hsm {
            timer(of: hsm).recordNanoseconds(Int64(clamping: trace.hsmMicroseconds &* 1_000))
        }
    }

    /// How far away a client is.
    package func clientRoundTrip(nanoseconds: UInt64) { clients.recordNanoseconds(Int64(clamping: nanoseconds)) }

    /// Everything that has been counted.
    package func write(to page: inout MetricPage) {
        registry.write(to: &page)
        page.add(.requestWait, [], Double(waited.load(ordering: .relaxed)) / 1e6)
    }

    private func makeCounters(_ kind: Kind) -> Counters {
        func counter(_ metric: NodeMetric, _ dimensions: [(String, String)]) -> Counter {
            Counter(label: metric.rawValue, dimensions: dimensions, factory: registry)
        }
        let store = ("keystore", kind.keyStore)
        let operation = ("operation", kind.operation?.rawValue ?? "unknown")
        let outcome = kind.isUndelivered ? "undelivered" : kind.error == nil ? "ok" : "error"
        return Counters(
            requests: counter(
                .requests, [operation, store, ("outcome", outcome), ("exception", kind.error?.rawValue ?? "")]),
            reliable: counter(.requestsReliable, [store, ("reliable", "true")]),
            unreliable: counter(.requestsReliable, [store, ("reliable", "false")]),
            late: counter(.requestsLate, [store]), calls: counter(.hsmCalls, [store]),
            duration: Timer(
                label: NodeMetric.requestDuration.rawValue, dimensions: [operation, store], factory: registry))
    }

    private func timer(of hsm: String) -> Timer {
        hsms.withLock { hsms in
            if let known = hsms[hsm] { return known }
            let new = Timer(label: NodeMetric.hsmDuration.rawValue, dimensions: [("hsm", hsm)], factory: registry)
            hsms[hsm] = new
            return new
        }
    }
}

extension XKSError.Name {
    /// What AWS counts against the reliability of an external key store ("Monitoring external key stores").
    package var isUnreliable: Bool {
        switch self {
        case .internalFailure, .dependencyTimeout, .throttling: true
        default: false
        }
    }
}

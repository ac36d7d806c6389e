// SPDX-License-Identifier: Apache-2.0

/// What a node has answered in the last 15 minutes, in steps of 5 s: a ring of fixed size, filled from counters that only
/// grow.
package struct TrafficHistory: Sendable {
    /// Counters since the start of a node.
    package struct Counts: Sendable, Equatable {
        /// Requests that were answered, and those of them that AWS counts as unreliable.
        package var answered: UInt64
        package var unreliable: UInt64
        /// Answers by how long they took: one more than there are edges, not cumulated.
        package var buckets: [UInt64]
        /// Encryptions and decryptions by node of the cluster, as each reports them.
        package var operations: [String: UInt64]

        package init(answered: UInt64, unreliable: UInt64, buckets: [UInt64], operations: [String: UInt64] = [:]) {
            self.answered = answered
            self.unreliable = unreliable
            self.buckets = buckets
            self.operations = operations
        }
    }

    /// What happened in one step.
    package struct Step: Sendable, Equatable {
        /// Requests a second.
        package var rate: Double
        package var unreliableRate: Double
        /// Milliseconds; `nil` where nothing was answered.
        package var median: Double?
        package var p99: Double?
    }

    package static let stepSeconds: Int64 = 5
    package static let capacity = 180

    /// Operations a second of each node in the last step. A node that has begun anew has none for one step.
    package private(set) var operationRates: [String: Double] = [:]
    private let edges: [Double]
    private var slots: [Step?]
    private var next = 0
    private var last: (counts: Counts, at: Int64)?

    /// - Parameter edges: upper edges of the buckets, seconds, rising.
    package init(edges: [Double]) {
        self.edges = edges
        slots = Array(repeating: nil, count: Self.capacity)
    }

    /// The oldest first; `nil` where nothing is known: before the start, and while the process was stopped.
    package var steps: [Step?] { Array(slots[next...] + slots[..<next]) }

    /// The last one that is known.
    package var current: Step? { steps.last { $0 != nil } ?? nil }

    /// To be called at least once in a step; what comes earlier than a step after the last is not looked at.
    ///
    /// - Parameter now: seconds of a clock that is never set back.
    package mutating func note(_ counts: Counts, now: Int64) {
        guard let last else {
            self.last = (counts, now)
            return
        }
        let (span, overflow) = now.subtractingReportingOverflow(last.at)
        guard !overflow, span >= Self.stepSeconds else { return }
        // A process that was stopped has not looked: what it counted then belongs to no single step.
        for _ in 1..<min(max(span / Self.stepSeconds, 1), Int64(Self.capacity)) { append(nil) }
        append(step(from: last.counts, to: counts, seconds: Double(span)))
        operationRates = counts.operations.reduce(into: [:]) { rates, entry in
            guard let before = last.counts.operations[entry.key], entry.value >= before else { return }
            rates[entry.key] = Double(entry.value - before) / Double(span)
        }
        self.last = (counts, now)
    }

    private mutating func append(_ step: Step?) {
        slots[next] = step
        next = (next + 1) % slots.count
    }

    private func step(from old: Counts, to new: Counts, seconds: Double) -> Step {
        let taken = zip(new.buckets, old.buckets + Array(repeating: 0, count: new.buckets.count))
            .map { $0 >= $1 ? $0 - $1 : 0 }
        return Step(
            rate: Double(new.answered >= old.answered ? new.answered - old.answered : 0) / seconds,
            unreliableRate: Double(new.unreliable >= old.unreliable ? new.unreliable - old.unreliable : 0) / seconds,
            median: quantile(0.5, of: taken), p99: quantile(0.99, of: taken))
    }

    /// Milliseconds, within a bucket by its share; beyond the last edge that edge.
    private func quantile(_ share: Double, of buckets: [UInt64]) -> Double? {
        let total = buckets.reduce(0.0) { $0 + Double($1) }
        guard total > 0, let end = edges.last else { return nil }
        var sum = 0.0
        for (bucket, edge) in zip(buckets.indices, edges) {
            let count = Double(buckets[bucket])
            if count > 0, sum + count >= share * total {
                let lower = bucket > 0 ? edges[bucket - 1] : 0
                return (lower + (edge - lower) * (share * total - sum) / count) * 1_000
            }
            sum += count
        }
        return end * 1_000
    }
}

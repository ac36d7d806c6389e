// SPDX-License-Identifier: Apache-2.0

/// What a node has answered since its start, over all operations and key stores.
package struct RequestTotals: Sendable, Equatable {
    package var answered: UInt64
    /// Of these, what AWS counts as unreliable.
    package var unreliable: UInt64
    /// By duration: up to each of `NodeMetric.edges`, and beyond the last; not cumulated.
    package var buckets: [UInt64]
}

extension RequestMetrics {
    package var totals: RequestTotals {
        RequestTotals(
            answered: registry.sum(of: .requests),
            unreliable: registry.sum(of: .requestsReliable) { $0.last == "false" },
            buckets: registry.buckets(of: .requestDuration))
    }
}

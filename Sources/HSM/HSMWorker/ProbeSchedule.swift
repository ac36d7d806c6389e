// SPDX-License-Identifier: Apache-2.0

/// When the keeper probes, and when it has seen enough. Pure; times are CLOCK_MONOTONIC in nanoseconds.
package struct ProbeSchedule: Sendable {
    /// After this many failed probes in a row the worker ends, and the node starts a new one: there are libraries that
    /// only a new process heals.
    package static let mostFailures = 3
    /// Longest pause after a failed probe, nanoseconds: a token that comes back is noticed soon.
    package static let retryInterval: UInt64 = 500_000_000

    private let interval: UInt64
    private var failures = 0
    private var lastCounted: UInt64 = 0

    /// When the next probe is due; 0 is at once.
    package private(set) var next: UInt64 = 0

    /// `interval`: from one passed probe to the next, nanoseconds.
    package init(interval: UInt64) { self.interval = interval }

    private var pause: UInt64 { failures == 0 ? interval : min(interval, Self.retryInterval) }

    /// Takes a probe's outcome. False when the worker should end.
    ///
    /// Anybody may ask for a probe at any time, so only failures that lie apart count: a moment without token must not
    /// look like a token that is gone for good.
    ///
    /// - Parameter jitter: 0..<1, spreads the probes of many nodes over ±10 %.
    package mutating func record(passed: Bool, now: UInt64, jitter: Double) -> Bool {
        if passed {
            failures = 0
        } else if failures == 0 || now &- lastCounted >= min(interval, Self.retryInterval) / 10 * 8 {
            failures += 1
            lastCounted = now
        }
        let spread = pause / 10 * 9 + UInt64(Double(pause / 5) * min(max(jitter, 0), 1))
        next = now &+ spread
        return failures < Self.mostFailures
    }
}

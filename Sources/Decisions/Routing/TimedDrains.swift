// SPDX-License-Identifier: Apache-2.0

/// HSMs that are drained for a time, as for a drill: whoever asked for it prolongs it again and again, and when nobody does
/// any more, the node takes the HSM back by itself, whatever became of who had asked. Not remembered over restarts: a node
/// that starts has all its HSMs but for those that were drained for good.
package struct TimedDrains: Sendable, Equatable {
    /// How long one may be asked for at a time, seconds.
    package static let seconds = 1...300

    /// Ends by name of the HSM, nanoseconds of the monotonic clock.
    private var ends: [String: UInt64] = [:]
    /// When it began, Unix seconds.
    private var begins: [String: Int64] = [:]

    package init() {}

    package func contains(_ hsm: String) -> Bool { ends[hsm] != nil }
    /// Unix seconds; `nil` where it is not drained for a time.
    package func begin(of hsm: String) -> Int64? { begins[hsm] }

    /// - Parameter seconds: what lies outside of `TimedDrains.seconds` becomes its nearest end.
    package mutating func begin(_ hsm: String, seconds: Int, now: UInt64, unixSeconds: Int64) {
        ends[hsm] = Self.end(seconds, now)
        begins[hsm] = unixSeconds
    }

    /// False where it is not drained for a time, or its time is over.
    package mutating func prolong(_ hsm: String, seconds: Int, now: UInt64) -> Bool {
        guard let end = ends[hsm], end > now else { return false }
        ends[hsm] = Self.end(seconds, now)
        return true
    }

    /// An operator has put it back, or drained it for good.
    package mutating func forget(_ hsm: String) {
        ends[hsm] = nil
        begins[hsm] = nil
    }

    /// Those whose time is over, each once.
    package mutating func takeEnded(now: UInt64) -> [String] {
        let ended = ends.filter { $0.value <= now }.keys.sorted()
        for hsm in ended { forget(hsm) }
        return ended
    }

    private static func end(_ seconds: Int, _ now: UInt64) -> UInt64 {
        let bounded = UInt64(min(max(seconds, Self.seconds.lowerBound), Self.seconds.upperBound))
        return now &+ bounded * 1_000_000_000
    }
}

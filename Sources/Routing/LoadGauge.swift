// SPDX-License-Identifier: Apache-2.0

/// What is asked of the HSMs, and what they do, in whole seconds.
package struct LoadGauge: Sendable {
    /// What is asked and done a second while more is asked than the HSMs can do.
    package struct Overload: Sendable, Equatable {
        /// Operations that came, those included that were refused.
        package var asked: Int
        /// Operations that an HSM did.
        package var done: Int
    }

    private struct Count: Sendable {
        var asked = 0
        var done = 0
        var refused = 0
    }

    private static let second: UInt64 = 1_000_000_000
    /// A condition that comes and goes in seconds is one condition, nanoseconds.
    private static let memory: UInt64 = 10 * second

    private var current = Count()
    private var began: UInt64 = 0
    private var last: Overload?
    private var refusedAt: UInt64?

    mutating func asked(now: UInt64) {
        turn(now: now)
        current.asked += 1
    }

    mutating func ended(_ outcome: OperationOutcome, now: UInt64) {
        turn(now: now)
        switch outcome {
        case .done: current.done += 1
        case .overloaded:
            current.refused += 1
            refusedAt = now
        case .callersFault, .timedOut, .unavailable: break
        }
    }

    /// The figures of the last second in which something was refused for want of HSMs; `nil` ten seconds after it.
    package func overload(now: UInt64) -> Overload? {
        guard let refusedAt, now < refusedAt + Self.memory else { return nil }
        return last ?? Overload(asked: current.asked, done: current.done)
    }

    private mutating func turn(now: UInt64) {
        guard now >= began + Self.second else { return }
        if current.refused > 0, now < began + 2 * Self.second {
            last = Overload(asked: current.asked, done: current.done)
        }
        current = Count()
        began = now
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How much may be asked of HSMs beyond what clients ask: retries and hedges together.
///
/// A bucket that each new operation fills by a fifth of a token, and time by ten tokens a second; each further attempt
/// takes one. So a sick fleet gets at most a fifth more than its load, and a quiet node can still retry every request
/// (Envoy and Finagle draw the same line at 20 %). What has been saved up pays for the loss of a whole HSM at once.
package struct RetryBudget: Sendable, Equatable {
    /// Tokens for each operation.
    package static let share = 0.2
    /// Tokens a second, whatever the load.
    package static let perSecond = 10.0
    /// Most tokens that are kept, and how many there are at the start.
    package static let capacity = 200.0

    private var tokens = Self.capacity
    private var lastAt: UInt64

    package init(now: UInt64 = 0) { lastAt = now }

    /// A new operation has come, nanoseconds of the monotonic clock.
    package mutating func deposit(now: UInt64) {
        refill(now: now)
        tokens = min(tokens + Self.share, Self.capacity)
    }

    /// Takes one token; false when there is none. A hedge leaves the lower half of the bucket to what has failed: that
    /// has nobody else, and a hedge has.
    package mutating func withdraw(forHedge isHedge: Bool = false, now: UInt64) -> Bool {
        refill(now: now)
        guard tokens >= (isHedge ? Self.capacity / 2 : 1) else { return false }
        tokens -= 1
        return true
    }

    private mutating func refill(now: UInt64) {
        guard now > lastAt else { return }
        tokens = min(tokens + Double(now - lastAt) / 1_000_000_000 * Self.perSecond, Self.capacity)
        lastAt = now
    }
}

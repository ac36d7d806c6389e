// SPDX-License-Identifier: Apache-2.0

/// How many of something there were in the last whole second. Nanoseconds of the monotonic clock.
package struct SecondGauge: Sendable, Equatable {
    static let second: UInt64 = 1_000_000_000

    private var began: UInt64 = 0
    private var current = 0
    private var last = 0

    package init() {}

    package mutating func count(now: UInt64) {
        turn(now: now)
        current += 1
    }

    /// In the last second that is over; 0 when nothing was counted in it.
    package func perSecond(now: UInt64) -> Int {
        guard now >= began &+ Self.second else { return last }
        return now < began &+ 2 * Self.second ? current : 0
    }

    private mutating func turn(now: UInt64) {
        guard now >= began &+ Self.second else { return }
        last = now < began &+ 2 * Self.second ? current : 0
        current = 0
        // One second follows another without a gap while there is something to count.
        began = now < began &+ 2 * Self.second ? began &+ Self.second : now
    }
}

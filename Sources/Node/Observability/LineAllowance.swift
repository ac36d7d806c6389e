// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import XKSProtocol

/// Decides which of the requests that were refused before it was known who asks have a line of their own in the log: those
/// of an address and an error at first, then one a second, and so many in all. The others are counted.
///
/// Time is an argument, nanoseconds of a clock that is never set back.
package struct LineAllowance: Sendable {
    private struct Bucket {
        /// Lines that may be written at once.
        var left: Double
        var since: UInt64

        /// Takes one line, if there is one: `perSecond` come back, up to `most`.
        mutating func take(now: UInt64, most: Double, perSecond: Double) -> Bool {
            refill(now: now, most: most, perSecond: perSecond)
            guard left >= 1 else { return false }
            left -= 1
            return true
        }

        mutating func refill(now: UInt64, most: Double, perSecond: Double) {
            guard now > since else { return }
            left = min(most, left + Double(now - since) / 1e9 * perSecond)
            since = now
        }
    }

    private struct Key: Hashable {
        var address: AddressPrefix
        var error: XKSError.Name?
    }

    package static let atOnce = 20.0
    package static let perSecond = 1.0
    package static let atOnceInAll = 200.0
    package static let perSecondInAll = 50.0

    private let capacity: Int
    private var buckets: [Key: Bucket] = [:]
    private var all = Bucket(left: Self.atOnceInAll, since: 0)
    /// Of those for which there is no room.
    private var others = Bucket(left: Self.atOnce, since: 0)
    private var lastMadeRoom: UInt64 = 0
    /// Requests that had no line, since the start.
    package private(set) var withheld = 0

    /// - Parameter capacity: how many of an address and an error are told apart, at least 1.
    package init(capacity: Int = 1_024) { self.capacity = max(capacity, 1) }

    /// Whether a request from this address that got this error has a line.
    package mutating func admits(_ address: AddressPrefix?, error: XKSError.Name?, now: UInt64) -> Bool {
        let isAdmitted =
            takes(address.map { Key(address: $0, error: error) }, now: now)
            && all.take(
                now: now, most: Self.atOnceInAll, perSecond: Self.perSecondInAll)
        if !isAdmitted { withheld += 1 }
        return isAdmitted
    }

    private mutating func takes(_ key: Key?, now: UInt64) -> Bool {
        guard let key else { return others.take(now: now, most: Self.atOnce, perSecond: Self.perSecond) }
        if buckets[key] == nil {
            if buckets.count >= capacity { makeRoom(now: now) }
            guard buckets.count < capacity else {
                return others.take(now: now, most: Self.atOnce, perSecond: Self.perSecond)
            }
        }
        return buckets[key, default: Bucket(left: Self.atOnce, since: now)].take(
            now: now, most: Self.atOnce, perSecond: Self.perSecond)
    }

    /// Forgets the addresses whose allowance is whole again. Looks at all, so at most once a second.
    private mutating func makeRoom(now: UInt64) {
        guard now >= lastMadeRoom &+ 1_000_000_000 else { return }
        lastMadeRoom = now
        let full = UInt64(Self.atOnce / Self.perSecond * 1e9)
        buckets = buckets.filter { now < $0.value.since &+ full }
    }
}

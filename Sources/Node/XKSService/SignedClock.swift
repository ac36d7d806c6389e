// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// What valid signatures say of this node's clock: KMS signs the time of each request. Noted at each request, asked once a
/// second.
package final class SignedClock: Sendable {
    /// A request that was validly signed, and refused because its time is beyond the tolerance.
    private struct Stray {
        /// This node's clock minus the signer's, seconds.
        var skew: Int64
        /// CLOCK_MONOTONIC, nanoseconds.
        var at: UInt64
        /// The time that was signed, seconds from an arbitrary moment: one request that is sent again and again has one.
        var signed: Int64 { Int64(clamping: at / 1_000_000_000) &- skew }
    }

    private struct Strays {
        var list: [Stray] = []
        var lastLook: UInt64 = 0
    }

    /// How long something is recent, nanoseconds.
    private static let recent: UInt64 = 60_000_000_000
    /// Between two signatures beyond the tolerance that are looked at: verifying costs time, and anybody can send them.
    private static let pause: UInt64 = 100_000_000
    /// Those of ten seconds at least, however fast they come.
    private static let mostStrays = 100
    /// What is off for less may be one caller's, or held up on its way, seconds.
    private static let shortest: Int64 = 5

    private let skew = Atomic<Int64>(0)
    private let seenAt = Atomic<UInt64>(0)
    private let strays = Mutex(Strays())

    package init() {}

    /// A request within the tolerance.
    package func note(skew: Int64, at now: UInt64) {
        self.skew.store(skew, ordering: .relaxed)
        seenAt.store(now, ordering: .relaxed)
    }

    /// A request beyond the tolerance has come.
    ///
    /// - Parameter signedSkew: verifies its signature, and returns this node's clock minus the signer's, seconds; `nil`
    ///   where the signature is not valid. Not called when it was called a moment ago.
    package func noteBeyondTolerance(at now: UInt64, _ signedSkew: () -> Int64?) {
        let isDue = strays.withLock { strays in
            guard now >= strays.lastLook &+ Self.pause || strays.lastLook == 0 else { return false }
            strays.lastLook = now
            return true
        }
        guard isDue, let skew = signedSkew() else { return }
        strays.withLock { strays in
            strays.list.append(Stray(skew: skew, at: now))
            if strays.list.count > Self.mostStrays { strays.list.removeFirst() }
        }
    }

    /// What the last minute has shown.
    ///
    /// - Parameter now: CLOCK_MONOTONIC, nanoseconds.
    /// - Returns: of requests beyond the tolerance those since the last that was within it, where they have come, and were
    ///   signed, over some seconds; otherwise none: a single request says nothing, however often it is sent.
    package func facts(now: UInt64) -> (tolerated: Int64?, beyond: [Int64]) {
        let seen = seenAt.load(ordering: .relaxed)
        let isRecent = seen > 0 && now < seen &+ Self.recent
        let beyond = strays.withLock { $0.list.filter { $0.at > seen && now < $0.at &+ Self.recent } }
        let tolerated = isRecent ? skew.load(ordering: .relaxed) : nil
        let isLasting =
            Self.lasts(beyond.map { Int64(clamping: $0.at / 1_000_000_000) }) && Self.lasts(beyond.map(\.signed))
        return (tolerated, isLasting ? beyond.map(\.skew) : [])
    }

    private static func lasts(_ seconds: [Int64]) -> Bool {
        guard let first = seconds.min(), let last = seconds.max() else { return false }
        let (difference, overflow) = last.subtractingReportingOverflow(first)
        return !overflow && difference >= shortest
    }
}

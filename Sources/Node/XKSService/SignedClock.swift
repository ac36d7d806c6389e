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
    }

    private struct Strays {
        var list: [Stray] = []
        var lastLook: UInt64 = 0
    }

    /// How long something is recent, nanoseconds.
    private static let recent: UInt64 = 60_000_000_000
    /// Between two signatures beyond the tolerance that are looked at: verifying costs time, and anybody can send them.
    private static let pause: UInt64 = 100_000_000
    private static let mostStrays = 16

    private let skew = Atomic<Int64>(0)
    private let seenAt = Atomic<UInt64>(0)
    private let strays = Mutex(Strays())

    init() {}

    /// A request within the tolerance.
    func note(skew: Int64, at now: UInt64) {
        self.skew.store(skew, ordering: .relaxed)
        seenAt.store(now, ordering: .relaxed)
    }

    /// A request beyond the tolerance has come.
    ///
    /// - Parameter signedSkew: verifies its signature, and returns this node's clock minus the signer's, seconds; `nil`
    ///   where the signature is not valid. Not called when it was called a moment ago.
    func noteBeyondTolerance(at now: UInt64, _ signedSkew: () -> Int64?) {
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
    package func facts(now: UInt64) -> (tolerated: Int64?, beyond: [Int64]) {
        let seen = seenAt.load(ordering: .relaxed)
        let isRecent = seen > 0 && now < seen &+ Self.recent
        let beyond = strays.withLock { $0.list.filter { now < $0.at &+ Self.recent }.map(\.skew) }
        return (isRecent ? skew.load(ordering: .relaxed) : nil, beyond)
    }
}

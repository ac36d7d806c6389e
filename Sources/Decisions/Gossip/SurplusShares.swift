// SPDX-License-Identifier: Apache-2.0

/// How much of what this node's HSMs cannot do each peer is given. Times are nanoseconds of the monotonic clock.
///
/// A peer reports how much it could do beside what is asked of it (`NodeFacts.room`). Several nodes may see the same
/// figure, and it is a little old. So each is given a share of it that is halved when the peer refuses, and grows
/// evenly while it does not, as TCP shares a link (additive increase, multiplicative decrease; Chiu and Jain, 1989):
/// nodes that are full come to equal shares of a peer's room, and a peer that has just become full is asked little
/// within a few hundred milliseconds. One that does not answer is given no more than would be under way there by its
/// share and the time that one takes (Little's law), twice that and a few.
package struct SurplusShares: Sendable {
    private struct Share: Sendable {
        /// Of what the peer reports, 0 … 1.
        var part = SurplusShares.first
        /// Requests that may be given now.
        var tokens = 1.0
        var at: UInt64
        var cutAt: UInt64 = 0
        /// Requests that it has been given and has not answered.
        var outstanding = 0
    }

    /// The part of a peer's room that is used at first, and that it never falls below.
    private static let first = 0.5, least = 1.0 / 64
    /// By how much the part grows in a second.
    private static let growth = 0.2
    /// Refusals within so long are one.
    private static let oneCut: UInt64 = 100_000_000
    /// Most requests at once: what comes in so many seconds.
    private static let burst = 0.05
    private static let fewOutstanding = 3.0
    /// A peer that was given nothing for so long is forgotten.
    private static let memory: UInt64 = 60_000_000_000

    private var shares: [String: Share] = [:]

    package init() {}

    /// Takes the right to give a peer one request; false when it has been given its share.
    ///
    /// - Parameters:
    ///   - spare: what the peer reports, operations a second.
    ///   - time: that one takes there, nanoseconds.
    package mutating func take(_ peer: String, spare: UInt32, time: UInt64, now: UInt64) -> Bool {
        guard spare > 0 else { return false }
        var share = grown(peer, spare: spare, now: now)
        let usual = Double(spare) * share.part * Double(time) / 1e9
        let may = share.tokens >= 1 && Double(share.outstanding) < 2 * usual + Self.fewOutstanding
        if may {
            share.tokens -= 1
            share.outstanding += 1
        }
        shares[peer] = share
        return may
    }

    /// What came of a request that a peer was given, each once. No answer in time is a refusal.
    package mutating func answered(_ peer: String, isRefusal: Bool, now: UInt64) {
        guard var share = shares[peer] else { return }
        share.outstanding = max(share.outstanding - 1, 0)
        shares[peer] = share
        guard isRefusal, now >= share.cutAt + Self.oneCut else { return }
        share.part = max(share.part / 2, Self.least)
        share.tokens = min(share.tokens, 1)
        share.cutAt = now
        shares[peer] = share
    }

    private mutating func grown(_ peer: String, spare: UInt32, now: UInt64) -> Share {
        guard var share = shares[peer] else {
            shares = shares.filter { now < $0.value.at + Self.memory }
            return Share(at: now)
        }
        guard now > share.at else { return share }
        let seconds = Double(now - share.at) / 1e9
        share.part = min(share.part + seconds * Self.growth, 1)
        let rate = Double(spare) * share.part
        share.tokens = min(share.tokens + seconds * rate, max(rate * Self.burst, 1))
        share.at = now
        return share
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How the sessions that a token allows are shared by the processes that want some. Pure.
///
/// Shares are max-min fair: nobody gets more than it wants, nobody who wants more has less than another, and what is
/// left over by those who want little goes to the rest. A process is granted its share, or what the others leave of
/// the limit if that is less: so the one that has too many shrinks first, and the other grows as it does. The sum of
/// what processes hold or may hold never exceeds the limit.
package struct LaneShare: Sendable {
    /// One process that shares a token.
    package struct Claimant: Sendable, Equatable {
        /// Sessions it would use.
        package let wanted: Int
        /// Below which its share does not go, where the limit allows that for all.
        package let floor: Int
        /// What was granted to it last.
        package let granted: Int
        /// What it holds, as it said last.
        package let holding: Int

        /// Numbers below 0 count as 0, above `LaneShare.most` as that: they may come from a file.
        package init(wanted: Int, floor: Int, granted: Int, holding: Int) {
            self.wanted = LaneShare.bounded(wanted)
            self.floor = min(LaneShare.bounded(floor), self.wanted)
            self.granted = LaneShare.bounded(granted)
            self.holding = LaneShare.bounded(holding)
        }

        /// Sessions that it holds, or may open at any moment.
        package var occupied: Int { max(granted, holding) }
    }

    /// No token has more sessions than this; a larger number means the same.
    package static let most = 1_000_000

    package static func bounded(_ number: Int) -> Int { min(max(0, number), most) }

    /// What claimant `index` is granted; 0 for an index out of range.
    ///
    /// - Parameters:
    ///   - limit: the token's sessions; `nil` when it is not known or there is none.
    ///   - claimants: all processes, in an order that all agree on.
    package static func grant(to index: Int, of claimants: [Claimant], limit: Int?) -> Int {
        guard claimants.indices.contains(index) else { return 0 }
        guard let limit else { return claimants[index].wanted }
        var left = bounded(limit)
        for (other, claimant) in claimants.enumerated() where other != index { left -= claimant.occupied }
        return max(0, min(shares(of: claimants, limit: limit)[index], left))
    }

    /// The fair shares. Their sum does not exceed the limit.
    package static func shares(of claimants: [Claimant], limit: Int) -> [Int] {
        let limit = bounded(limit)
        let floors = claimants.map(\.floor)
        if floors.reduce(0, +) > limit {
            return fill(limit, ranges: floors.map { 0...$0 })
        }
        return fill(limit, ranges: claimants.map { $0.floor...$0.wanted })
    }

    /// Each gets the same level, clamped to its range; what is left of the amount goes one each to the first who can
    /// take it. The lower bounds must not exceed the amount in sum.
    private static func fill(_ amount: Int, ranges: [ClosedRange<Int>]) -> [Int] {
        func clamped(_ level: Int) -> [Int] {
            ranges.map { min(max(level, $0.lowerBound), $0.upperBound) }
        }
        // The highest level whose sum fits.
        var low = 0
        var high = most
        while low < high {
            let middle = low + (high - low + 1) / 2
            if clamped(middle).reduce(0, +) <= amount { low = middle } else { high = middle - 1 }
        }
        var shares = clamped(low)
        var left = amount - shares.reduce(0, +)
        for (index, range) in ranges.enumerated() where left > 0 && range.lowerBound <= low && low < range.upperBound {
            shares[index] += 1
            left -= 1
        }
        return shares
    }
}

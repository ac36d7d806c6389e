// SPDX-License-Identifier: Apache-2.0

/// How long an HSM may be silent before another one is asked, and when one is asked beside it, as a hedge. Both follow
/// from its own recent answers, and are given from the moment at which a call is sent; nanoseconds.
struct Patience: Sendable, Equatable {
    /// After three times its 99th percentile an HSM is not slow, it is silent; within `PoolLimits.shortestAttempt` and
    /// `longestAttempt`. What it does when it is well is never silence, however slow that is: nine of ten answers are
    /// always waited for, but for those that are a tail. While more is asked than the HSMs can do, nearly all are: whoever
    /// is asked a second time does that in place of what waits.
    let silentAfter: UInt64
    /// What its answers take usually (`LatencyTracker.usual`). `.max` while nothing is known.
    let hedgeAfter: UInt64

    init(_ latency: LatencyTracker, centre: Double, limits: PoolLimits, isOverloaded: Bool) {
        guard let known = latency.known, let usually = latency.usual else {
            (silentAfter, hedgeAfter) = (max(limits.longestAttempt, Self.twice(centre)), .max)
            return
        }
        let usual = min(max(3 &* known.p99, limits.shortestAttempt), limits.longestAttempt)
        let nearlyAll = isOverloaded ? known.p99 &+ known.p99 / 4 : 0
        silentAfter = max(usual, nearlyAll, min(known.p90 &+ known.p90 / 8, Self.twice(centre)))
        hedgeAfter = max(usually, limits.shortestHedge)
    }

    /// When another HSM is asked beside a call that begins at `start`; `.max` where that would be when it counts as silent
    /// anyhow.
    func hedgeAt(from start: UInt64) -> UInt64 { hedgeAfter < silentAfter ? start &+ hedgeAfter : .max }

    private static func twice(_ centre: Double) -> UInt64 { UInt64(min(2 * centre, Self.longest)) }

    /// No request lives as long.
    private static let longest = 3_600_000_000_000.0
}

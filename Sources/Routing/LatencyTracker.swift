// SPDX-License-Identifier: Apache-2.0

/// What is known of the time one HSM takes: a level that rises at once and falls slowly, and quantiles.
///
/// The level is the peak-sensitive moving average that Finagle's load balancer uses: the first slow answer counts in
/// full, because the next request had better go elsewhere at once; trust comes back over seconds.
/// The quantiles come from a histogram of logarithmic buckets whose counts are halved now and then, so that last hour's
/// answers do not decide what is slow now. Times are nanoseconds.
package struct LatencyTracker: Sendable {
    /// In which time half of a peak is forgotten, nanoseconds.
    private static let halfLife: UInt64 = 1_400_000_000
    /// Answers after which the quantiles are worth asking for.
    package static let enough = 100
    /// Weight of the histogram at which every count is halved.
    private static let fullWeight: UInt32 = 4_000
    /// The quantiles are worked out anew after so many answers.
    private static let staleAfter = 32

    private var level: Double = 0
    private var lastAt: UInt64 = 0
    private var counts = [UInt32](repeating: 0, count: Buckets.count)
    private var weight: UInt32 = 0
    private var sinceQuantiles = 0
    private var quantiles: (p50: UInt64, p95: UInt64, p99: UInt64) = (0, 0, 0)

    package private(set) var samples: UInt64 = 0

    package init() {}

    /// An answer took this long.
    package mutating func record(_ latency: UInt64, now: UInt64) {
        samples &+= 1
        raise(latency, now: now)
        let bucket = Buckets.index(of: latency)
        counts[bucket] &+= 1
        weight &+= 1
        if weight >= Self.fullWeight { halve() }
        sinceQuantiles += 1
        if sinceQuantiles >= Self.staleAfter || samples == Self.enough {
            sinceQuantiles = 0
            quantiles = (quantile(0.50), quantile(0.95), quantile(0.99))
        }
    }

    /// A call has lasted this long and goes on: as bad as an answer of that age, and no answer yet.
    package mutating func raise(_ age: UInt64, now: UInt64) {
        let value = Double(age)
        if value >= level {
            level = value
        } else {
            let keep = remembered(now: now)
            level = level * keep + value * (1 - keep)
        }
        lastAt = now
    }

    /// The expected time of the next answer, nanoseconds; 0 when nothing is known.
    ///
    /// It falls by the mere passing of time: one that was slow once is not asked any more, and would otherwise never
    /// get the chance to show that it is fast again.
    package func expected(now: UInt64) -> Double { level * remembered(now: now) }

    /// How much of the level counts after the time since the last answer: 1 … 0. A power of one half; between whole
    /// half-lives a parabola that is off by less than one per cent.
    private func remembered(now: UInt64) -> Double {
        guard now > lastAt else { return 1 }
        let (halvings, rest) = (now - lastAt).quotientAndRemainder(dividingBy: Self.halfLife)
        guard halvings < 60 else { return 0 }
        let part = Double(rest) / Double(Self.halfLife)
        return (1 - part * (0.6831 - 0.1831 * part)) / Double(1 << halvings)
    }

    /// Median, 95th and 99th percentile of recent answers, nanoseconds; `nil` until there are `enough`.
    package var known: (p50: UInt64, p95: UInt64, p99: UInt64)? { samples >= Self.enough ? quantiles : nil }

    private mutating func halve() {
        weight = 0
        for index in counts.indices {
            counts[index] /= 2
            weight &+= counts[index]
        }
    }

    private func quantile(_ share: Double) -> UInt64 {
        let wanted = UInt32(Double(weight) * share)
        var seen: UInt32 = 0
        for index in counts.indices {
            seen &+= counts[index]
            if seen > wanted { return Buckets.top(of: index) }
        }
        return Buckets.top(of: Buckets.count - 1)
    }
}

/// Buckets of a logarithmic histogram: four to each doubling, from one microsecond to some four minutes.
private enum Buckets {
    static let count = 4 * 28

    static func index(of nanoseconds: UInt64) -> Int {
        let microseconds = max(nanoseconds / 1_000, 1)
        let exponent = 63 - microseconds.leadingZeroBitCount
        let quarter = exponent >= 2 ? Int((microseconds >> UInt64(exponent - 2)) & 3) : 0
        return min(exponent * 4 + quarter, count - 1)
    }

    /// Upper end of a bucket, nanoseconds.
    static func top(of index: Int) -> UInt64 {
        let (exponent, quarter) = (UInt64(index / 4), UInt64(index % 4))
        return ((1 << exponent) * (5 + quarter) / 4) * 1_000
    }
}

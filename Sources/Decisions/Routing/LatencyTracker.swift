// SPDX-License-Identifier: Apache-2.0

/// Quantiles of the time that one HSM takes, aged by time.
///
/// They come from a histogram of logarithmic buckets whose counts are halved each second, so that what was slow some
/// seconds ago does not decide what is slow now; not while fewer than `enough` answers would be left of them, but then
/// each minute. Times are nanoseconds.
package struct LatencyTracker: Sendable {
    /// Answers after which the quantiles are worth asking for.
    package static let enough = 100
    /// What an answer counts at first: it can be halved some times before it is nothing.
    private static let unit: UInt32 = 64
    private static let halvingTime: UInt64 = 1_000_000_000
    private static let longestHalvingTime: UInt64 = 60_000_000_000
    /// The quantiles are worked out anew after so many answers.
    private static let staleAfter = 32

    private var counts = [UInt32](repeating: 0, count: Buckets.count)
    private var weight: UInt64 = 0
    private var halvedAt: UInt64 = 0
    private var sinceQuantiles = 0
    private var quantiles: (p50: UInt64, p90: UInt64, p95: UInt64, p99: UInt64) = (0, 0, 0, 0)

    package private(set) var samples: UInt64 = 0

    package init() {}

    /// An answer took this long.
    package mutating func record(_ latency: UInt64, now: UInt64) {
        samples &+= 1
        let bucket = Buckets.index(of: latency)
        counts[bucket] &+= Self.unit
        weight &+= UInt64(Self.unit)
        if now > halvedAt, now - halvedAt >= Self.halvingTime { age(now: now) }
        sinceQuantiles += 1
        if sinceQuantiles >= Self.staleAfter || samples == Self.enough {
            sinceQuantiles = 0
            quantiles = (quantile(0.50), quantile(0.90), quantile(0.95), quantile(0.99))
        }
    }

    /// Median, 90th, 95th and 99th percentile of recent answers, nanoseconds; `nil` until there are `enough`.
    package var known: (p50: UInt64, p90: UInt64, p95: UInt64, p99: UInt64)? {
        samples >= Self.enough ? quantiles : nil
    }

    /// What answers take that are waited for, at most, nanoseconds: the 95th percentile; where that is a tail, a quarter
    /// more than the 90th, so that a tenth of the answers are later at most. `nil` until there are `enough`.
    package var usual: UInt64? {
        known.map { $0.p95 > 2 &* $0.p90 ? $0.p90 &+ $0.p90 / 4 : $0.p95 }
    }

    private mutating func age(now: UInt64) {
        let isMuch = weight >= 2 * UInt64(Self.enough) * UInt64(Self.unit)
        guard isMuch || now - halvedAt >= Self.longestHalvingTime else { return }
        halvedAt = now
        weight = 0
        for index in counts.indices {
            counts[index] /= 2
            weight &+= UInt64(counts[index])
        }
    }

    private func quantile(_ share: Double) -> UInt64 {
        let wanted = UInt64(Double(weight) * share)
        var seen: UInt64 = 0
        for index in counts.indices {
            seen &+= UInt64(counts[index])
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

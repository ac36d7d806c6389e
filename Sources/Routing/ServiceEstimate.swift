// SPDX-License-Identifier: Apache-2.0

/// How long one call of an HSM takes at present: the mean of its recent calls, aged by time.
///
/// The mean, because the rate at which lanes become free follows from it, rare slow calls included; aged by time and not
/// by count, so that an HSM that has become slower or faster is known for it within a second, whatever its load.
/// Times are nanoseconds.
struct ServiceEstimate: Sendable {
    /// In which time the weight of a call halves.
    private static let halfLife = 250_000_000.0

    private var sum = 0.0
    private var weight = 0.0
    private var lastAt: UInt64 = 0

    mutating func record(_ duration: UInt64, now: UInt64) {
        if now > lastAt {
            // 2^-x without a library: exact at whole half-lives, and off by less than one per cent between them.
            let halvings = min(Double(now - lastAt) / Self.halfLife, 60)
            let part = halvings - halvings.rounded(.down)
            let keep = (1 - part * (0.6831 - 0.1831 * part)) / Double(1 << UInt64(halvings))
            sum *= keep
            weight *= keep
            lastAt = now
        }
        sum += Double(duration)
        weight += 1
    }

    /// `nil` before the first call.
    var mean: Double? { weight > 0 ? sum / weight : nil }
}

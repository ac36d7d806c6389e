// SPDX-License-Identifier: Apache-2.0
import Histogram

/// How long things took, in an HdrHistogram: 1 µs to 10 min, to three significant digits. What took longer counts as 10 min.
package struct LatencyHistogram: Sendable {
    /// Microseconds.
    private static let longest: UInt64 = 600_000_000
    private var counts: Histogram<UInt64>

    /// - Parameter isCoarse: two significant digits, for those of which there are many: 20 KiB in place of 160.
    package init(isCoarse: Bool = false) {
        counts = Histogram(
            highestTrackableValue: Self.longest, numberOfSignificantValueDigits: isCoarse ? .two : .three)
    }

    package mutating func record(nanoseconds: UInt64) {
        counts.record(min(nanoseconds / 1_000, Self.longest))
    }

    /// Of the same precision; another one is recorded value by value.
    package mutating func add(_ other: LatencyHistogram) {
        if other.counts.numberOfSignificantValueDigits == counts.numberOfSignificantValueDigits {
            counts.add(other.counts)
        } else {
            for value in other.counts.recordedValues() { counts.record(value.value, count: value.count) }
        }
    }

    package var count: UInt64 { counts.totalCount }
    /// Milliseconds; `nil` where nothing was recorded.
    package var longest: Double? { count > 0 ? Self.milliseconds(counts.maxRecorded) : nil }
    package var mean: Double? { count > 0 ? counts.mean / 1_000 : nil }

    /// The milliseconds that this share (0 … 1) of all took at most, where `unfinished` more never came to an end; `nil`
    /// where one of those stands at that place, or where there is nothing.
    package func milliseconds(atShare share: Double, unfinished: UInt64 = 0) -> Double? {
        let all = count &+ unfinished
        guard all > 0, share >= 0, share <= 1 else { return nil }
        // One unit in the last place less: 0.999 of 1,000 is 999, whatever the product says.
        let place = max((Double(all) * share).nextDown.rounded(.up), 1)
        guard place <= Double(count) else { return nil }
        return Self.milliseconds(counts.valueAtPercentile(place / Double(count) * 100))
    }

    /// How many took at most so many milliseconds.
    package func count(within milliseconds: Double) -> UInt64 {
        guard milliseconds.isFinite, milliseconds >= 0 else { return 0 }
        return counts.count(within: 0...min(UInt64(min(milliseconds * 1_000, 1e12)), Self.longest))
    }

    private static func milliseconds(_ microseconds: UInt64) -> Double { Double(microseconds) / 1_000 }
}

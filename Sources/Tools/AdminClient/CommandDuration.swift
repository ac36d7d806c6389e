// SPDX-License-Identifier: Apache-2.0

/// Durations as the command line takes them: a whole number and a unit, `500ms`, `5s`, `30m`, `2h`, `3d`.
package enum CommandDuration {
    /// Milliseconds; `nil` when the text is no such duration, or is longer than 100 years.
    package static func milliseconds(_ text: String) -> Int64? {
        let digits = text.utf8.prefix { (0x30...0x39).contains($0) }
        guard (1...13).contains(digits.count), let number = Int64(String(decoding: digits, as: UTF8.self)) else {
            return nil
        }
        let units: [String: Int64] = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
        guard let unit = units[String(decoding: text.utf8.dropFirst(digits.count), as: UTF8.self)] else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow || product > 36_525 * 86_400_000 ? nil : product
    }
}

// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

/// A moment of the wall clock, as records state it: RFC 3339 in UTC with microseconds, always 27 bytes, so that texts
/// compare as moments do.
package struct AuditTime: Sendable, Equatable {
    /// Seconds since 1970 UTC.
    package var seconds: Int64
    /// 0 to 999,999.
    package var microseconds: Int

    package init(seconds: Int64, microseconds: Int = 0) {
        self.seconds = seconds
        self.microseconds = microseconds
    }

    package var text: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Years outside 0001…9999 are written as the nearest of these.
    func append(to bytes: inout [UInt8]) {
        let day = CivilDay(unixSeconds: seconds)
        let second = Int(day.second)
        func digits(_ number: Int, _ count: Int, then mark: UInt8) {
            var divisor = 1
            for _ in 1..<count { divisor *= 10 }
            while divisor > 0 {
                bytes.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number / divisor % 10))
                divisor /= 10
            }
            bytes.append(mark)
        }
        digits(Int(day.year), 4, then: UInt8(ascii: "-"))
        digits(Int(day.month), 2, then: UInt8(ascii: "-"))
        digits(Int(day.day), 2, then: UInt8(ascii: "T"))
        digits(second / 3_600, 2, then: UInt8(ascii: ":"))
        digits(second / 60 % 60, 2, then: UInt8(ascii: ":"))
        digits(second % 60, 2, then: UInt8(ascii: "."))
        digits(min(max(microseconds, 0), 999_999), 6, then: UInt8(ascii: "Z"))
    }

    /// Unix seconds of the text of a record's time; `nil` where it is none.
    package static func unixSeconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count == 27, lowerBound(text) == text else { return nil }
        func number(_ range: Range<Int>) -> Int64 { bytes[range].reduce(0) { $0 * 10 + Int64($1 - 0x30) } }
        guard let days = CivilDay.sinceEpoch(year: number(0..<4), month: number(5..<7), day: number(8..<10)) else {
            return nil
        }
        return days * 86_400 + number(11..<13) * 3_600 + number(14..<16) * 60 + number(17..<19)
    }

    /// Reads what a person writes: the text of a record's time, or the beginning of one (`2026-01-31`,
    /// `2026-01-31T23:59`). Returns the earliest text that it can mean, to be compared with texts of records; `nil` where
    /// it is neither.
    package static func lowerBound(_ text: String) -> String? {
        let pattern = Array("0000-01-01T00:00:00.000000Z".utf8)
        let given = Array(text.utf8)
        guard given.count >= 4, given.count <= pattern.count else { return nil }
        for (index, byte) in given.enumerated() {
            let isDigit = (0x30...0x39).contains(pattern[index])
            guard isDigit ? (0x30...0x39).contains(byte) : byte == pattern[index] else { return nil }
        }
        return String(decoding: given + pattern[given.count...], as: UTF8.self)
    }
}

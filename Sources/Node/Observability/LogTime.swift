// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A moment of the wall clock, for the log.
package struct LogTime: Sendable, Equatable {
    /// Seconds since 1970 UTC.
    package var seconds: Int64
    /// 0 to 999,999.
    package var microseconds: Int

    package init(seconds: Int64, microseconds: Int) {
        self.seconds = seconds
        self.microseconds = microseconds
    }

    /// CLOCK_REALTIME now.
    package static var now: LogTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return LogTime(seconds: Int64(time.tv_sec), microseconds: time.tv_nsec / 1000)
    }

    /// Appends it as RFC 3339 in UTC with microseconds: `2026-01-31T23:59:59.000123Z`, always 27 bytes.
    /// Years outside 0000…9999 are shown as the nearest of these.
    func append(to line: inout LineBuffer) {
        let lowest: Int64 = -62_167_219_200
        let highest: Int64 = 253_402_300_799
        let seconds = min(max(self.seconds, lowest), highest)
        var days = seconds / 86400
        var second = Int(seconds % 86400)
        if second < 0 {
            second += 86400
            days -= 1
        }
        let (year, month, day) = Self.date(daysSince1970: Int(days))
        Self.append(year, digits: 4, to: &line)
        line.append(UInt8(ascii: "-"))
        Self.append(month, digits: 2, to: &line)
        line.append(UInt8(ascii: "-"))
        Self.append(day, digits: 2, to: &line)
        line.append(UInt8(ascii: "T"))
        Self.append(second / 3600, digits: 2, to: &line)
        line.append(UInt8(ascii: ":"))
        Self.append(second / 60 % 60, digits: 2, to: &line)
        line.append(UInt8(ascii: ":"))
        Self.append(second % 60, digits: 2, to: &line)
        line.append(UInt8(ascii: "."))
        Self.append(min(max(microseconds, 0), 999_999), digits: 6, to: &line)
        line.append(UInt8(ascii: "Z"))
    }

    /// The proleptic Gregorian date. Counts in eras of 400 years (146,097 days) that begin on 1 March, so that the leap
    /// day is the last of its year.
    private static func date(daysSince1970 days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func append(_ number: Int, digits: Int, to line: inout LineBuffer) {
        var divisor: UInt32 = digits == 6 ? 100_000 : digits == 4 ? 1000 : 10
        let number = UInt32(clamping: number)
        while divisor > 0 {
            line.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
    }

    /// The text alone.
    package var text: String {
        var buffer = LineBuffer(capacity: 32)
        append(to: &buffer)
        return buffer.withBytes { String(decoding: $0, as: UTF8.self) }
    }
}

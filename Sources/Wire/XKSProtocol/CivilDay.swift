// SPDX-License-Identifier: Apache-2.0

/// A day of the Gregorian calendar, UTC.
package struct CivilDay: Sendable, Equatable {
    package let year: Int64
    /// 1 to 12.
    package let month: Int64
    /// 1 to 31.
    package let day: Int64
    /// Since the day began, 0 to 86,399.
    package let second: Int64

    /// The day of a moment. Moments outside the years 1 to 9999 count as the nearest within.
    package init(unixSeconds: Int64) {
        let bounded = min(max(unixSeconds, -62_135_596_800), 253_402_300_799)
        second = (bounded % 86_400 + 86_400) % 86_400
        // Days since 0000-03-01, so that the leap day is a year's last (H. Hinnant, "chrono-compatible low-level date
        // algorithms", civil_from_days).
        let days = (bounded - second) / 86_400 + 719_468
        let era = days / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Days from 1970-01-01 to a date; `nil` where there is no such date, or it is before the year 1.
    package static func sinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64? {
        guard (1...12).contains(month), (1...9_999).contains(year) else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1...lengths[Int(month) - 1]).contains(day) else { return nil }
        let before = year - 1
        let years = before * 365 + before / 4 - before / 100 + before / 400
        return years + lengths.prefix(Int(month) - 1).reduce(0, +) + day - 1 - 719_162
    }

    /// As PKCS#11 writes days (CK_DATE), as one number: yyyymmdd.
    package var number: UInt32 { UInt32(clamping: year * 10_000 + month * 100 + day) }
}

// SPDX-License-Identifier: Apache-2.0

/// A moment as SigV4 writes it in `x-amz-date`: `yyyymmddThhmmssZ`, always UTC.
///
/// Only moments that exist are representable: no 30 February, no hour 24, no leap second, years 0001 to 9999.
struct SigV4Timestamp: Equatable, Sendable {
    /// Seconds since 1970-01-01T00:00:00Z.
    let unixSeconds: Int64
    /// The day as the number yyyymmdd.
    let day: Int32

    /// Number of bytes of the written form.
    static let length = 16

    /// Reads exactly `yyyymmddThhmmssZ`; nil for anything else, and for moments that do not exist.
    init?(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        guard range.count == Self.length else { return nil }
        let start = range.lowerBound
        guard bytes[start + 8] == 0x54, bytes[start + 15] == 0x5A,
            let year = Self.number(bytes, start, 4), let month = Self.number(bytes, start + 4, 2),
            let dayOfMonth = Self.number(bytes, start + 6, 2), let hour = Self.number(bytes, start + 9, 2),
            let minute = Self.number(bytes, start + 11, 2), let second = Self.number(bytes, start + 13, 2),
            year >= 1, month >= 1, month <= 12, dayOfMonth >= 1,
            dayOfMonth <= Self.days(inMonth: month, of: year), hour < 24, minute < 60, second < 60
        else { return nil }
        let days = Self.daysSinceEpoch(year: year, month: month, day: dayOfMonth)
        unixSeconds = Int64(days * 86_400 + hour * 3_600 + minute * 60 + second)
        day = Int32(year * 10_000 + month * 100 + dayOfMonth)
    }

    /// The moment `unixSeconds`; nil outside the years 0001 to 9999.
    init?(unixSeconds: Int64) {
        // 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
        guard unixSeconds >= -62_135_596_800, unixSeconds <= 253_402_300_799 else { return nil }
        let date = Self.civil(daysSinceEpoch: Int((unixSeconds - Self.secondOfDay(unixSeconds)) / 86_400))
        self.unixSeconds = unixSeconds
        day = Int32(date.year * 10_000 + date.month * 100 + date.day)
    }

    /// The written form, 16 bytes; its first eight are the day of a credential scope.
    var bytes: [UInt8] {
        let second = Int(Self.secondOfDay(unixSeconds))
        var result: [UInt8] = []
        result.reserveCapacity(Self.length)
        Self.append(Int(day), digits: 8, to: &result)
        result.append(0x54)
        Self.append(second / 3_600 * 10_000 + second / 60 % 60 * 100 + second % 60, digits: 6, to: &result)
        result.append(0x5A)
        return result
    }

    private static func secondOfDay(_ unixSeconds: Int64) -> Int64 {
        let remainder = unixSeconds % 86_400
        return remainder < 0 ? remainder + 86_400 : remainder
    }

    private static func append(_ value: Int, digits: Int, to result: inout [UInt8]) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            result.append(0x30 + UInt8(value / divisor % 10))
            divisor /= 10
        }
    }

    private static func number(_ bytes: Span<UInt8>, _ start: Int, _ count: Int) -> Int? {
        var value = 0
        for index in start..<start + count {
            guard ASCII.isDigit(bytes[index]) else { return nil }
            value = value * 10 + Int(bytes[index] - 0x30)
        }
        return value
    }

    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from 1970-01-01 in the proleptic Gregorian calendar. The year is counted from March, so that the leap day
    /// is its last; 719,468 days lie between 0000-03-01 and 1970-01-01. `year` is 1 or more: nothing is negative.
    private static func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int {
        let marchYear = month > 2 ? year : year - 1
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return marchYear * 365 + marchYear / 4 - marchYear / 100 + marchYear / 400 + dayOfYear - 719_468
    }

    /// The reverse of ``daysSinceEpoch(year:month:day:)``, for years 1 to 9999.
    private static func civil(daysSinceEpoch: Int) -> (year: Int, month: Int, day: Int) {
        let days = daysSinceEpoch + 719_468
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }
}

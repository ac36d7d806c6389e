// SPDX-License-Identifier: Apache-2.0

/// Reads DER elements one after another; nil at anything odd.
struct DERReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    var nextTag: UInt8? { rest.first }

    /// The content of the next element, if it has this tag.
    mutating func read(tag: UInt8) -> ArraySlice<UInt8>? {
        guard rest.popFirst() == tag, let length = readLength(), length <= rest.count else { return nil }
        let content = rest.prefix(length)
        rest = rest.dropFirst(length)
        return content
    }

    private mutating func readLength() -> Int? {
        guard let first = rest.popFirst() else { return nil }
        guard first >= 0x80 else { return Int(first) }
        let count = Int(first & 0x7F)
        guard (1...3).contains(count), count <= rest.count else { return nil }
        var length = 0
        for _ in 0..<count { length = length << 8 | Int(rest.popFirst() ?? 0) }
        return length
    }

    /// UTCTime `YYMMDDhhmmssZ` or GeneralizedTime `YYYYMMDDhhmmssZ` (RFC 5280 section 4.1.2.5).
    mutating func readTime() -> Int64? {
        let isShort = nextTag == 0x17
        guard let text = read(tag: isShort ? 0x17 : 0x18), text.count == (isShort ? 13 : 15),
            text.last == UInt8(ascii: "Z")
        else { return nil }
        let digits = text.dropLast()
        guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        var numbers = digits.map { Int64($0 - UInt8(ascii: "0")) }
        if isShort {
            // Two-digit years from 50 on are of the last century.
            numbers = (numbers[0] >= 5 ? [1, 9] : [2, 0]) + numbers
        }
        func pair(_ index: Int) -> Int64 { numbers[index] * 10 + numbers[index + 1] }
        let year = pair(0) * 100 + pair(2)
        guard (1...12).contains(pair(4)), (1...31).contains(pair(6)), pair(8) < 24, pair(10) < 60, pair(12) < 61
        else { return nil }
        return unixDay(year: year, month: pair(4), day: pair(6)) * 86_400
            + pair(8) * 3_600 + pair(10) * 60 + pair(12)
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, with years counted from March so that the leap day is
/// their last.
private func unixDay(year: Int64, month: Int64, day: Int64) -> Int64 {
    let marchYear = month <= 2 ? year - 1 : year
    let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
    let yearOfEra = marchYear - era * 400
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}

/// `2026-11-23` of Unix seconds.
func calendarDate(_ unixSeconds: Int64) -> String {
    let days = (unixSeconds >= 0 ? unixSeconds : unixSeconds - 86_399) / 86_400
    var year = 1970 + days / 366
    while unixDay(year: year + 1, month: 1, day: 1) <= days { year += 1 }
    while unixDay(year: year, month: 1, day: 1) > days { year -= 1 }
    var month: Int64 = 1
    while month < 12, unixDay(year: year, month: month + 1, day: 1) <= days { month += 1 }
    let day = days - unixDay(year: year, month: month, day: 1) + 1
    func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(year)-\(two(month))-\(two(day))"
}

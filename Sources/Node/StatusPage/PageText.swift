// SPDX-License-Identifier: Apache-2.0

/// Numbers and times as people read them.
enum PageText {
    /// In the largest unit of which there are at least two.
    static func duration(_ seconds: Int64) -> String {
        switch seconds {
        case ..<120: "\(max(seconds, 0)) s"
        case ..<7_200: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3_600) h"
        default: "\(seconds / 86_400) days"
        }
    }

    /// How long ago; nothing is ahead of now.
    static func age(since: Int64, now: Int64) -> String {
        let (seconds, overflow) = now.subtractingReportingOverflow(since)
        return duration(overflow ? 0 : seconds)
    }

    /// How long until then, and whether it is past.
    static func left(until end: Int64, now: Int64) -> (text: String, isPast: Bool) {
        let (seconds, overflow) = end.subtractingReportingOverflow(now)
        if overflow { return (end > now ? "no end" : "ended", end <= now) }
        return seconds < 0 ? ("ended", true) : (duration(seconds), false)
    }

    /// Milliseconds: below ten with one decimal place.
    static func milliseconds(_ value: Double) -> String {
        guard value.isFinite, value >= 0 else { return "–" }
        return value < 9.95 ? tenths(value) : "\(Int64(min(value, 1e9).rounded()))"
    }

    /// Things a second: below ten with one decimal place.
    static func rate(_ value: Double) -> String {
        guard value.isFinite, value > 0 else { return "0" }
        return value < 9.95 ? tenths(value) : grouped(Int64(min(value, 1e12).rounded()))
    }

    static func tenths(_ value: Double) -> String {
        let tenths = Int64((min(max(value, 0), 1e12) * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }

    /// Thousands apart, by a narrow space that does not break.
    static func grouped(_ value: some BinaryInteger) -> String {
        let digits = String(value.magnitude)
        let head = digits.count % 3
        var groups = head > 0 ? [String(digits.prefix(head))] : []
        var rest = digits.dropFirst(head)
        while !rest.isEmpty {
            groups.append(String(rest.prefix(3)))
            rest = rest.dropFirst(3)
        }
        return (value < 0 ? "-" : "") + groups.joined(separator: "\u{202F}")
    }

    /// `1 key`, `2 keys`.
    static func count(_ count: Int, _ noun: String) -> String { "\(grouped(count)) \(noun)\(count == 1 ? "" : "s")" }

    /// RFC 3339 in UTC. What that cannot express is shown as its nearest end.
    static func timestamp(_ unixSeconds: Int64) -> String { "\(date(unixSeconds))T\(clock(unixSeconds))Z" }

    /// `2026-11-30`
    static func date(_ unixSeconds: Int64) -> String {
        // Days of the proleptic Gregorian calendar, in eras of 400 years that begin in March.
        let days = bounded(unixSeconds) / 86_400 + 719_468
        let (era, ofEra) = (days / 146_097, days % 146_097)
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let dayOfYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
        return "\(padded(year, 4))-\(padded(month < 10 ? month + 3 : month - 9, 2))-\(padded(day, 2))"
    }

    /// `18:22:05`
    static func clock(_ unixSeconds: Int64) -> String {
        let seconds = bounded(unixSeconds) % 86_400
        return "\(padded(seconds / 3_600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
    }

    /// From 1970 to the end of the year 9999.
    private static func bounded(_ unixSeconds: Int64) -> Int64 { min(max(unixSeconds, 0), 253_402_300_799) }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(width - digits.count, 0)) + digits
    }
}

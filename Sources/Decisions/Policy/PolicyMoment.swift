// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

/// Moments as policies write them: ISO 8601 with a time zone (the profile that W3C's note on dates describes, and IAM
/// takes), or whole seconds since 1970.
enum PolicyMoment {
    /// Seconds since 1970-01-01T00:00:00Z; `nil` for anything else. A date alone is its first second, UTC. Fractions of a
    /// second are dropped.
    static func seconds(_ text: String) -> Int64? {
        if let seconds = Int64(text), String(seconds) == text { return seconds }
        var reader = Reader(Array(text.utf8))
        guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"),
            let day = reader.number(2), let days = CivilDay.sinceEpoch(year: year, month: month, day: day)
        else { return nil }
        if reader.isAtEnd { return days * 86_400 }
        guard reader.take("T"), let hour = reader.number(2), hour < 24, reader.take(":"),
            let minute = reader.number(2), minute < 60
        else { return nil }
        var second: Int64 = 0
        if reader.take(":") {
            guard let given = reader.number(2), given < 60 else { return nil }
            second = given
            if reader.take(".") {
                guard reader.skipDigits() else { return nil }
            }
        }
        guard let offset = reader.zone(), reader.isAtEnd else { return nil }
        return days * 86_400 + hour * 3_600 + minute * 60 + second - offset
    }

    private struct Reader {
        private let bytes: [UInt8]
        private var position = 0

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { position == bytes.count }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard position < bytes.count, UInt32(bytes[position]) == character.value else { return false }
            position += 1
            return true
        }

        mutating func number(_ digits: Int) -> Int64? {
            guard bytes.count - position >= digits else { return nil }
            var value: Int64 = 0
            for byte in bytes[position..<(position + digits)] {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            }
            position += digits
            return value
        }

        mutating func skipDigits() -> Bool {
            let start = position
            while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
                position += 1
            }
            return position > start
        }

        /// Seconds that the zone is ahead of UTC.
        mutating func zone() -> Int64? {
            if take("Z") { return 0 }
            let isBehind = take("-")
            guard isBehind || take("+"), let hours = number(2), hours < 24, take(":"), let minutes = number(2),
                minutes < 60
            else { return nil }
            return (hours * 3_600 + minutes * 60) * (isBehind ? -1 : 1)
        }
    }
}

extension PolicyMoment {
    /// `2026-01-31T08:00:00Z`.
    static func text(_ seconds: Int64) -> String {
        let day = CivilDay(unixSeconds: seconds)
        return "\(padded(day.year, 4))-\(padded(day.month, 2))-\(padded(day.day, 2))T"
            + "\(padded(day.second / 3_600, 2)):\(padded(day.second / 60 % 60, 2)):\(padded(day.second % 60, 2))Z"
    }

    private static func padded(_ number: Int64, _ digits: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}

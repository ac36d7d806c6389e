// SPDX-License-Identifier: Apache-2.0

/// The days between which a key may be used to encrypt, as its CKA_START_DATE and CKA_END_DATE say. Days are numbers of
/// the form yyyymmdd, and both belong to the time; a missing one is no bound.
package struct KeyValidity: Sendable, Hashable {
    package var start: UInt32?
    package var end: UInt32?

    package init(start: UInt32? = nil, end: UInt32? = nil) {
        self.start = start
        self.end = end
    }

    package var isUnbounded: Bool { start == nil && end == nil }

    /// - Parameter day: yyyymmdd.
    package func contains(day: UInt32) -> Bool {
        if let start, day < start { return false }
        if let end, day > end { return false }
        return true
    }

    /// What both allow: the later start, the earlier end.
    package func intersection(_ other: KeyValidity) -> KeyValidity {
        KeyValidity(
            start: Self.both(start, other.start, or: max), end: Self.both(end, other.end, or: min))
    }

    /// The one bound that there is, or of two the one that `choose` takes.
    private static func both(
        _ one: UInt32?, _ other: UInt32?, or choose: (UInt32, UInt32) -> UInt32
    ) -> UInt32? {
        guard let one, let other else { return one ?? other }
        return choose(one, other)
    }

    /// The day, if the calendar has it; `nil` otherwise. Years 1 to 9999.
    package static func day(_ number: UInt32) -> UInt32? {
        let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100)
        guard (1...9_999).contains(year), (1...12).contains(month) else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let length: UInt32 =
            switch month {
            case 2: isLeap ? 29 : 28
            case 4, 6, 9, 11: 30
            default: 31
            }
        return (1...length).contains(day) ? number : nil
    }

    /// The day that a CK_DATE means: eight ASCII digits, year first (PKCS#11 2.40, section 3.2). Empty, or no day of
    /// the calendar: `nil`, as if it were not there.
    package static func day(_ date: some Collection<UInt8>) -> UInt32? {
        guard date.count == 8, date.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return day(date.reduce(UInt32(0)) { $0 * 10 + UInt32($1 - 0x30) })
    }

    /// The CK_DATE of a day.
    package static func date(_ day: UInt32) -> [UInt8] {
        var (rest, digits) = (day, [UInt8](repeating: 0x30, count: 8))
        for position in digits.indices.reversed() {
            digits[position] += UInt8(rest % 10)
            rest /= 10
        }
        return digits
    }
}

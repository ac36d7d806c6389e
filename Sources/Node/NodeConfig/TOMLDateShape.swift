// SPDX-License-Identifier: Apache-2.0

/// How dates and times are written in TOML 1.0, without a look at their values: of some that are written otherwise the
/// parser's assertions end the process.
enum TOMLDateShape {
    /// Whether the parser may take a value for a date or a time: numbers have no colon, and a hyphen only in front of
    /// themselves or of their exponent.
    static func isMeant(by value: ArraySlice<UInt8>) -> Bool {
        var before = UInt8(ascii: "e")
        for byte in value {
            let isExponents = before == UInt8(ascii: "e") || before == UInt8(ascii: "E")
            if byte == UInt8(ascii: ":") || byte == UInt8(ascii: "-") && !isExponents { return true }
            before = byte
        }
        return false
    }

    /// `date`, `time`, or `date` and `time` with `T`, `t` or a blank between them, and then perhaps an offset.
    static func fits(_ value: ArraySlice<UInt8>) -> Bool {
        var rest = value
        guard take("0000-00-00", from: &rest) else { return takeTime(from: &rest) && rest.isEmpty }
        guard let separator = rest.popFirst() else { return true }
        guard [UInt8(ascii: "T"), UInt8(ascii: "t"), UInt8(ascii: " ")].contains(separator), takeTime(from: &rest)
        else {
            return false
        }
        switch rest.first {
        case UInt8(ascii: "Z"), UInt8(ascii: "z"): return rest.count == 1
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            rest.removeFirst()
            return take("00:00", from: &rest) && rest.isEmpty
        default: return rest.isEmpty
        }
    }

    private static func takeTime(from rest: inout ArraySlice<UInt8>) -> Bool {
        guard take("00:00:00", from: &rest) else { return false }
        guard rest.first == UInt8(ascii: ".") else { return true }
        let fraction = rest.dropFirst().prefix(while: isDigit)
        rest = rest[fraction.endIndex...]
        return !fraction.isEmpty
    }

    /// Takes what is written as the pattern, in which a 0 stands for any digit.
    private static func take(_ pattern: StaticString, from rest: inout ArraySlice<UInt8>) -> Bool {
        let count = pattern.utf8CodeUnitCount
        let fits =
            rest.count >= count
            && pattern.withUTF8Buffer { pattern in
                zip(pattern, rest).allSatisfy { $0 == UInt8(ascii: "0") ? isDigit($1) : $0 == $1 }
            }
        if fits { rest = rest.dropFirst(count) }
        return fits
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}

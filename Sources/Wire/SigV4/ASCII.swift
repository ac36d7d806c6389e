// SPDX-License-Identifier: Apache-2.0

/// Classes of ASCII bytes that the SigV4 grammar is made of, and work on byte views that allocates nothing.
enum ASCII {
    static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
    static func isUpper(_ byte: UInt8) -> Bool { byte >= 0x41 && byte <= 0x5A }
    static func isLower(_ byte: UInt8) -> Bool { byte >= 0x61 && byte <= 0x7A }
    static func isAlphanumeric(_ byte: UInt8) -> Bool { isDigit(byte) || isLower(byte) || isUpper(byte) }

    /// `[a-z0-9-]`: regions and services.
    static func isScopeCharacter(_ byte: UInt8) -> Bool { isLower(byte) || isDigit(byte) || byte == 0x2D }

    /// White space that canonical header values are trimmed of and collapsed on: blank, tab, and the line breaks of
    /// folded headers.
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }

    /// Unreserved characters of RFC 3986 section 2.3, which SigV4 never encodes.
    static func isUnreserved(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || byte == 0x2D || byte == 0x2E || byte == 0x5F || byte == 0x7E
    }

    /// Token characters of RFC 9110 section 5.6.2: methods and header names.
    static func isToken(_ byte: UInt8) -> Bool {
        if isAlphanumeric(byte) { return true }
        switch byte {
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E...0x60, 0x7C, 0x7E: return true
        default: return false
        }
    }

    static func lowercased(_ byte: UInt8) -> UInt8 { isUpper(byte) ? byte | 0x20 : byte }

    /// The value of a hexadecimal digit of either case.
    static func hexValue(_ byte: UInt8) -> UInt8? {
        if isDigit(byte) { return byte - 0x30 }
        let lower = byte | 0x20
        return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : nil
    }

    static func lowerHexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
    static func upperHexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }

    /// The part of `bytes` without white space at either end.
    static func trimmedRange(_ bytes: Span<UInt8>) -> Range<Int> {
        var start = 0
        var end = bytes.count
        while start < end, isSpace(bytes[start]) { start += 1 }
        while end > start, isSpace(bytes[end - 1]) { end -= 1 }
        return start..<end
    }

    static func equal(_ bytes: Span<UInt8>, _ range: Range<Int>, _ other: Span<UInt8>, _ otherRange: Range<Int>) -> Bool
    {
        guard range.count == otherRange.count else { return false }
        let distance = otherRange.lowerBound - range.lowerBound
        for index in range where bytes[index] != other[index + distance] { return false }
        return true
    }

    static func equal(_ bytes: Span<UInt8>, _ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { expected in
            for offset in 0..<expected.count where bytes[range.lowerBound + offset] != expected[offset] {
                return false
            }
            return true
        }
    }

    /// Whether a header name as it came in is `lowercaseName`.
    static func isHeader(_ name: String, _ lowercaseName: StaticString) -> Bool {
        guard name.utf8.count == lowercaseName.utf8CodeUnitCount else { return false }
        let bytes = name.utf8Span.span
        return lowercaseName.withUTF8Buffer { expected in
            for index in 0..<expected.count where lowercased(bytes[index]) != expected[index] { return false }
            return true
        }
    }

    /// Whether a header name as it came in is the lower-case name that stands at `range` of `bytes`.
    static func isHeader(_ name: String, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard name.utf8.count == range.count else { return false }
        let nameBytes = name.utf8Span.span
        for offset in 0..<nameBytes.count where lowercased(nameBytes[offset]) != bytes[range.lowerBound + offset] {
            return false
        }
        return true
    }

    /// A `String` of bytes known to be ASCII.
    static func string(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        String(unsafeUninitializedCapacity: range.count) { target in
            for (offset, index) in range.enumerated() { target[offset] = bytes[index] & 0x7F }
            return range.count
        }
    }
}

extension [UInt8] {
    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { append(contentsOf: $0) }
    }

    mutating func append(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        bytes.extracting(range).withUnsafeBufferPointer { append(contentsOf: $0) }
    }

    mutating func appendLowerHex(_ bytes: UnsafeRawBufferPointer) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: bytes.count * 2) { digits in
            for index in 0..<bytes.count {
                digits[2 * index] = ASCII.lowerHexDigit(bytes[index] >> 4)
                digits[2 * index + 1] = ASCII.lowerHexDigit(bytes[index] & 0x0F)
            }
            append(contentsOf: digits)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// An answer of HTTP/1.1 that came whole, with its length, in one piece: as nearly all do. Whatever else comes is left to
/// `AnswerReader`. Nothing is copied, so that the generator takes little of a processor that it shares.
package struct QuickAnswer: Equatable {
    package var status: Int
    /// The server ends the connection with it.
    package var closes: Bool
    /// Where the body is in the bytes.
    package var body: Range<Int>

    private static let begin: StaticString = "HTTP/1.1 "

    /// `nil` where it is not of that form, or not whole, or something follows.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 16, Self.matches(bytes, 0, Self.begin), bytes[12] == 0x20 || bytes[12] == 0x0D else {
            return nil
        }
        status = 0
        for index in 9..<12 {
            guard Self.isDigit(bytes[index]) else { return nil }
            status = status * 10 + Int(bytes[index] - 0x30)
        }
        // Those that have no body, and those before the answer.
        guard status >= 200, status != 204, status != 304 else { return nil }
        guard var line = Self.next(bytes, 0) else { return nil }
        var length: Int?
        closes = false
        while let end = Self.next(bytes, line) {
            let count = end - 2 - line
            if count == 0 {
                guard let length, end <= bytes.count, bytes.count - end == length else { return nil }
                body = end..<bytes.count
                return
            }
            switch bytes[line] | 0x20 {
            case UInt8(ascii: "c"):
                if Self.matches(bytes, line, "content-length:") {
                    guard length == nil, let value = Self.number(bytes, line + 15, end - 2) else { return nil }
                    length = value
                } else if Self.matches(bytes, line, "connection:") {
                    // A list of several words is for the other reader.
                    guard let word = Self.word(bytes, line + 11, end - 2) else { return nil }
                    closes = Self.matches(bytes, word, "close") && end - 2 - word == 5
                    guard closes || Self.matches(bytes, word, "keep-alive") else { return nil }
                }
            case UInt8(ascii: "t"):
                if Self.matches(bytes, line, "transfer-encoding:") { return nil }
            default: break
            }
            line = end
        }
        return nil
    }

    /// Where the line after this one begins: behind CR LF.
    private static func next(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> Int? {
        var index = start
        while index + 1 < bytes.count {
            if bytes[index] == 0x0A { return nil }
            if bytes[index] == 0x0D { return bytes[index + 1] == 0x0A ? index + 2 : nil }
            index += 1
        }
        return nil
    }

    /// Without regard to the case of letters; `text` is in lower case but for `HTTP`.
    private static func matches(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ text: StaticString) -> Bool {
        guard bytes.count - start >= text.utf8CodeUnitCount else { return false }
        for index in 0..<text.utf8CodeUnitCount {
            let (byte, expected) = (bytes[start + index], text.utf8Start[index])
            if byte != expected, !((0x41...0x5A).contains(byte) && byte | 0x20 == expected) { return false }
        }
        return true
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Int? {
        var index = start
        while index < end, bytes[index] == 0x20 { index += 1 }
        return index < end ? index : nil
    }

    /// At most a million.
    private static func number(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Int? {
        guard let first = word(bytes, start, end), end - first <= 7 else { return nil }
        var number = 0
        for index in first..<end {
            guard isDigit(bytes[index]) else { return nil }
            number = number * 10 + Int(bytes[index] - 0x30)
        }
        return number <= 1_048_576 ? number : nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}

/// Whether a body holds these bytes.
func holds(_ body: UnsafeRawBufferPointer, _ bytes: [UInt8]) -> Bool {
    guard let first = bytes.first else { return true }
    guard body.count >= bytes.count else { return false }
    return bytes.withUnsafeBytes { wanted in
        (0...body.count - wanted.count).contains { start in
            body[start] == first
                && UnsafeRawBufferPointer(rebasing: body[start..<start + wanted.count]).elementsEqual(wanted)
        }
    }
}

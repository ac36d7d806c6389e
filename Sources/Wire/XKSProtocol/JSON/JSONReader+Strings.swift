// SPDX-License-Identifier: Apache-2.0

/// Where a string stands in the text, without its quotes. Its escapes and its UTF-8 have been checked.
struct JSONStringToken {
    let start: Int
    let end: Int
    let hasEscapes: Bool

    /// Bytes of the string as it stands in the text.
    var count: Int { end - start }
}

extension JSONReader {
    /// Steps over a string, from quote to quote, and checks it.
    mutating func scanString() throws(XKSError) -> JSONStringToken {
        guard take(UInt8(ascii: "\"")) else { throw fault("must be a string") }
        let start = position
        var hasEscapes = false
        while true {
            skipPlainText()
            guard let byte = peek() else { throw malformed("a string does not end") }
            switch byte {
            case UInt8(ascii: "\""):
                position &+= 1
                return JSONStringToken(start: start, end: position - 1, hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                position = try escape(at: position).end
            case 0x80...:
                position = try endOfMultibyteCharacter(at: position)
            case ..<0x20:
                throw malformed("a string holds a control character that is not escaped")
            default:
                position &+= 1
            }
        }
    }

    /// Steps over bytes that need no attention, eight at a time; what it stops at need not be one that does.
    private mutating func skipPlainText() {
        while bytes.count - position >= 8 {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            let special = Self.specialBytes(of: word)
            guard special == 0 else {
                position &+= special.trailingZeroBitCount / 8
                extraVisits += 8
                return
            }
            position &+= 8
        }
    }

    /// Has the top bit set in the lowest byte of `word` that is a control character, a quote, a backslash or not ASCII,
    /// and in no byte below that one. What stands above it may be wrong: a borrow runs upwards.
    private static func specialBytes(of word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5c)
        let control = (word &- (ones &* 0x20)) & ~word
        let zeroQuote = (quote &- ones) & ~quote
        let zeroBackslash = (backslash &- ones) & ~backslash
        return (control | zeroQuote | zeroBackslash | word) & tops
    }

    /// Reads the escape whose backslash is at `index`: the character it stands for and the index after it.
    private func escape(at index: Int) throws(XKSError) -> (character: Unicode.Scalar, end: Int) {
        guard index + 1 < bytes.count else { throw malformed("a string does not end") }
        switch bytes[index + 1] {
        case UInt8(ascii: "\""): return ("\"", index + 2)
        case UInt8(ascii: "\\"): return ("\\", index + 2)
        case UInt8(ascii: "/"): return ("/", index + 2)
        case UInt8(ascii: "b"): return ("\u{8}", index + 2)
        case UInt8(ascii: "f"): return ("\u{c}", index + 2)
        case UInt8(ascii: "n"): return ("\n", index + 2)
        case UInt8(ascii: "r"): return ("\r", index + 2)
        case UInt8(ascii: "t"): return ("\t", index + 2)
        case UInt8(ascii: "u"): return try unicodeEscape(at: index)
        default: throw malformed("a string holds an unknown escape")
        }
    }

    private func unicodeEscape(at index: Int) throws(XKSError) -> (character: Unicode.Scalar, end: Int) {
        let unit = try codeUnit(at: index)
        guard unit != 0 else { throw malformed("a string holds NUL") }
        if let character = Unicode.Scalar(unit) { return (character, index + 6) }
        // A surrogate: the high one of a pair, or a lone one (RFC 8259 section 8.2).
        guard (0xd800...0xdbff).contains(unit), index + 7 < bytes.count, bytes[index + 6] == UInt8(ascii: "\\"),
            bytes[index + 7] == UInt8(ascii: "u")
        else { throw malformed("a string holds a lone surrogate") }
        let low = try codeUnit(at: index + 6)
        guard (0xdc00...0xdfff).contains(low),
            let character = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xd800) << 10 + (UInt32(low) - 0xdc00))
        else { throw malformed("a string holds a lone surrogate") }
        return (character, index + 12)
    }

    /// The four hexadecimal digits after the backslash at `index` and the `u`.
    private func codeUnit(at index: Int) throws(XKSError) -> UInt16 {
        guard bytes.count - index >= 6 else { throw malformed("a string does not end") }
        var unit: UInt16 = 0
        for digit in bytes[(index + 2)..<(index + 6)] {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): unit = unit << 4 | UInt16(digit &- UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): unit = unit << 4 | UInt16(digit &- UInt8(ascii: "a") &+ 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): unit = unit << 4 | UInt16(digit &- UInt8(ascii: "A") &+ 10)
            default: throw malformed("a string holds an unknown escape")
            }
        }
        return unit
    }

    /// Checks the character of several bytes that begins at `index` (Unicode 15.0, table 3-7) and says where it ends.
    private func endOfMultibyteCharacter(at index: Int) throws(XKSError) -> Int {
        let second: ClosedRange<UInt8>
        let length: Int
        switch bytes[index] {
        case 0xc2...0xdf: (second, length) = (0x80...0xbf, 2)
        case 0xe0: (second, length) = (0xa0...0xbf, 3)
        case 0xed: (second, length) = (0x80...0x9f, 3)
        case 0xe1...0xef: (second, length) = (0x80...0xbf, 3)
        case 0xf0: (second, length) = (0x90...0xbf, 4)
        case 0xf1...0xf3: (second, length) = (0x80...0xbf, 4)
        case 0xf4: (second, length) = (0x80...0x8f, 4)
        default: throw malformed("a string is not UTF-8")
        }
        guard bytes.count - index >= length, second.contains(bytes[index + 1]),
            bytes[(index + 2)..<(index + length)].allSatisfy({ (0x80...0xbf).contains($0) })
        else { throw malformed("a string is not UTF-8") }
        return index + length
    }
}

// MARK: - Decoding

extension JSONReader {
    /// Writes the string, its escapes decoded, into `target`, which must have room for `token.count` bytes: decoding
    /// never lengthens. Returns the number of bytes written.
    mutating func decode(_ token: JSONStringToken, into target: UnsafeMutableRawBufferPointer) -> Int {
        extraVisits += token.count
        var source = token.start
        var written = 0
        while source < token.end, written < target.count {
            guard bytes[source] == UInt8(ascii: "\\") else {
                target[written] = bytes[source]
                (source, written) = (source + 1, written + 1)
                continue
            }
            // `scanString` has been here: the escape is good.
            guard let (character, end) = try? escape(at: source) else { return written }
            for byte in UTF8.encode(character) ?? .init() where written < target.count {
                target[written] = byte
                written += 1
            }
            source = end
        }
        return written
    }

    /// The string with its escapes decoded. Not for secrets: nothing overwrites the array.
    mutating func decoded(_ token: JSONStringToken) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: token.count) { buffer, count in
            count = decode(token, into: UnsafeMutableRawBufferPointer(buffer))
        }
    }
}

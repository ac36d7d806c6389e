// SPDX-License-Identifier: Apache-2.0

// The tokens of a TOML text: strings, white space, comments, single bytes.

extension TOMLScanner {
    mutating func string(multiLine: Bool) throws(TOMLObjection) {
        guard let quote = peek() else { throw malformed("a string is expected here") }
        let isTriple = peek(1) == quote && peek(2) == quote
        guard multiLine || !isTriple else { throw malformed("a key cannot span lines") }
        index += isTriple ? 3 : 1
        while let byte = peek() {
            switch byte {
            case quote where !isTriple:
                index += 1
                return
            case quote where peek(1) == quote && peek(2) == quote:
                index += 3
                // Up to two quotes may stand right before the closing three (TOML 1.0, "String").
                for _ in 0..<2 where peek() == quote { index += 1 }
                return
            case UInt8(ascii: "\r"):
                try carriageReturn()
            case UInt8(ascii: "\\") where quote == UInt8(ascii: "\""):
                try escape()
            case UInt8(ascii: "\n"):
                guard isTriple else { throw malformed("the string is not closed on its line") }
                newLine()
            default:
                guard Self.isText(byte) else { throw malformed("a control character cannot stand here") }
                index += 1
            }
        }
        throw malformed("a string is not closed")
    }

    mutating func escape() throws(TOMLObjection) {
        let digits =
            switch peek(1) {
            case UInt8(ascii: "u"): 4
            case UInt8(ascii: "U"): 8
            default: 0
            }
        if digits > 0, (2..<2 + digits).allSatisfy({ peek($0) == UInt8(ascii: "0") }) {
            throw stop(.nulEscape)
        }
        index += 1
        // The escaped byte goes with its backslash, unless it belongs to a line's end, which has to be counted.
        if let escaped = peek(), Self.isText(escaped) { index += 1 }
    }

    mutating func skipSpaces() {
        while let byte = peek(), byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") { index += 1 }
    }

    mutating func skipBlankLines() throws(TOMLObjection) {
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"): index += 1
            case UInt8(ascii: "\r"): try carriageReturn()
            case UInt8(ascii: "\n"):
                newLine()
            case UInt8(ascii: "#"): try comment()
            default: return
            }
        }
    }

    mutating func comment() throws(TOMLObjection) {
        while let byte = peek(), byte != UInt8(ascii: "\n") {
            if byte == UInt8(ascii: "\r") { return try carriageReturn() }
            guard Self.isText(byte) else { throw malformed("a control character cannot stand here") }
            index += 1
        }
    }

    /// A carriage return is the beginning of a line's end, and nothing else.
    mutating func carriageReturn() throws(TOMLObjection) {
        guard peek(1) == UInt8(ascii: "\n") else { throw malformed("a carriage return without a line feed") }
        index += 1
    }

    mutating func newLine() {
        index += 1
        line += 1
        lineStart = index
    }

    mutating func endOfLine() throws(TOMLObjection) {
        skipSpaces()
        if peek() == UInt8(ascii: "#") { try comment() }
        guard let byte = peek() else { return }
        if byte == UInt8(ascii: "\r") { return try carriageReturn() }
        guard byte == UInt8(ascii: "\n") else { throw malformed("the end of the line is expected here") }
    }

    mutating func count() throws(TOMLObjection) {
        entries += 1
        guard entries <= TOMLLimits.entries else { throw stop(.tooMany) }
    }

    func peek(_ ahead: Int = 0) -> UInt8? {
        index + ahead < bytes.count ? bytes[index + ahead] : nil
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        index += 1
        return true
    }

    mutating func expect(_ byte: UInt8) throws(TOMLObjection) {
        guard take(byte) else {
            throw malformed("\(Character(Unicode.Scalar(byte))) is expected here")
        }
    }

    static func join(_ path: String, _ key: String) -> String {
        path.isEmpty ? key : "\(path).\(key)"
    }

    static func isBareKey(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    static func beginsScalar(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "t"),
            UInt8(ascii: "f"), UInt8(ascii: "i"), UInt8(ascii: "n"):
            true
        default: false
        }
    }

    static func isScalar(_ byte: UInt8) -> Bool {
        isBareKey(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":")
    }

    /// Everything but control characters; a tab is text.
    static func isText(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte != 0x7F || byte == UInt8(ascii: "\t")
    }
}

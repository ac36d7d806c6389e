// SPDX-License-Identifier: Apache-2.0

/// A JSON value (RFC 8259) with the place where it begins, so that errors can name it.
struct JSONNode {
    struct Member {
        let name: String
        /// Of the name's quote, in bytes from the beginning of the text.
        let offset: Int
        let node: JSONNode
    }

    indirect enum Value {
        case object([Member])
        case array([JSONNode])
        case string(String)
        /// As it is written.
        case number(String)
        case bool(Bool)
        case null
    }

    let value: Value
    let offset: Int

    /// For messages: "must be a string, and is \(kind)".
    var kind: String {
        switch value {
        case .object: "an object"
        case .array: "a list"
        case .string: "a string"
        case .number: "a number"
        case .bool: "true or false"
        case .null: "null"
        }
    }
}

/// Where and why a text is no JSON.
struct JSONFault: Error {
    let offset: Int
    let message: String
    let mend: String
}

/// Reads a whole text as one JSON value, strictly: well-formed UTF-8, no member twice in an object, no comments, nesting
/// of at most `PolicyLimits.depth`. Takes time linear in the text, but for the names of one object, which are sorted.
struct JSONTreeReader {
    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(JSONFault) -> JSONNode {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            throw fault("begins with a byte order mark", "save it as UTF-8 without one")
        }
        let node = try value()
        skipWhitespace()
        guard position == bytes.count else { throw fault("has something after its end", "remove it") }
        return node
    }

    /// Line and column, both from 1, of an offset.
    static func position(of offset: Int, in bytes: [UInt8]) -> (line: Int, column: Int) {
        var line = 1
        var start = 0
        for index in 0..<min(offset, bytes.count) where bytes[index] == UInt8(ascii: "\n") {
            line += 1
            start = index + 1
        }
        return (line, min(offset, bytes.count) - start + 1)
    }

    private mutating func value() throws(JSONFault) -> JSONNode {
        skipWhitespace()
        let offset = position
        guard let byte = peek else { throw fault("ends where a value was expected", "give it whole") }
        switch byte {
        case UInt8(ascii: "{"): return JSONNode(value: .object(try object()), offset: offset)
        case UInt8(ascii: "["): return JSONNode(value: .array(try array()), offset: offset)
        case UInt8(ascii: "\""): return JSONNode(value: .string(try string()), offset: offset)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return JSONNode(value: .number(try number()), offset: offset)
        case UInt8(ascii: "t") where take("true"): return JSONNode(value: .bool(true), offset: offset)
        case UInt8(ascii: "f") where take("false"): return JSONNode(value: .bool(false), offset: offset)
        case UInt8(ascii: "n") where take("null"): return JSONNode(value: .null, offset: offset)
        case UInt8(ascii: "/"), UInt8(ascii: "#"): throw fault("has a comment", "remove it; JSON knows none")
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            throw fault("has no value here", "remove the comma before, or add one")
        default: throw fault("has no JSON value here", "write text in double quotes")
        }
    }

    private mutating func object() throws(JSONFault) -> [JSONNode.Member] {
        try descend()
        defer { depth -= 1 }
        var members: [JSONNode.Member] = []
        position += 1
        skipWhitespace()
        if take("}") { return members }
        repeat {
            skipWhitespace()
            let offset = position
            guard peek == UInt8(ascii: "\"") else { throw fault("has no name in quotes here", "write \"name\": value") }
            let name = try string()
            skipWhitespace()
            guard take(":") else { throw fault("has no colon after a name", "write \"\(Shown.cut(name))\": value") }
            members.append(JSONNode.Member(name: name, offset: offset, node: try value()))
            skipWhitespace()
        } while take(",")
        guard take("}") else { throw fault("has neither comma nor } after a member", "add it") }
        try refuseTwins(members)
        return members
    }

    /// Names are compared as bytes: Strings would be by canonical equivalence.
    private func refuseTwins(_ members: [JSONNode.Member]) throws(JSONFault) {
        guard members.count > 1 else { return }
        let sorted = members.sorted { left, right in
            let (first, second) = (Array(left.name.utf8), Array(right.name.utf8))
            return first == second ? left.offset < right.offset : first.lexicographicallyPrecedes(second)
        }
        for (one, next) in zip(sorted, sorted.dropFirst()) where one.name.utf8.elementsEqual(next.name.utf8) {
            throw JSONFault(
                offset: next.offset, message: "has \"\(Shown.cut(next.name))\" twice in one object",
                mend: "join them: of two the first would be without effect")
        }
    }

    private mutating func array() throws(JSONFault) -> [JSONNode] {
        try descend()
        defer { depth -= 1 }
        var nodes: [JSONNode] = []
        position += 1
        skipWhitespace()
        if take("]") { return nodes }
        repeat {
            nodes.append(try value())
            skipWhitespace()
        } while take(",")
        guard take("]") else { throw fault("has neither comma nor ] after a value", "add it") }
        return nodes
    }

    private mutating func descend() throws(JSONFault) {
        depth += 1
        guard depth <= PolicyLimits.depth else {
            throw fault("is nested deeper than \(PolicyLimits.depth)", "a policy needs six levels; remove the rest")
        }
    }

    private mutating func number() throws(JSONFault) -> String {
        let start = position
        _ = take("-")
        let leading = position
        skipDigits()
        guard position > leading, position == leading + 1 || bytes[leading] != UInt8(ascii: "0") else {
            throw fault("has a number with no digits or a leading zero", "write it plainly")
        }
        if take(".") {
            let fraction = position
            skipDigits()
            guard position > fraction else { throw fault("has a number without digits after the point", "add one") }
        }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            let exponent = position
            skipDigits()
            guard position > exponent else { throw fault("has a number without digits after the e", "add one") }
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func skipDigits() {
        while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard bytes.count - position >= count else { return false }
        for index in 0..<count where bytes[position + index] != word.utf8Start[index] { return false }
        position += count
        return true
    }

    private mutating func skipWhitespace() {
        while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
    }

    private func fault(_ message: String, _ mend: String) -> JSONFault {
        JSONFault(offset: position, message: message, mend: mend)
    }
}

// MARK: - Strings

extension JSONTreeReader {
    private mutating func string() throws(JSONFault) -> String {
        let start = position
        position += 1
        var content: [UInt8] = []
        while let byte = peek {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: content, as: UTF8.self) else {
                    throw JSONFault(offset: start, message: "has a string that is not UTF-8", mend: "save it as UTF-8")
                }
                return text
            case UInt8(ascii: "\\"): content.append(contentsOf: try escape())
            case ..<0x20:
                position -= 1
                throw fault("has a line break or control character in a string", "close the string, or write \\n")
            default: content.append(byte)
            }
        }
        throw JSONFault(offset: start, message: "has a string without end", mend: "close it")
    }

    /// What stands for the escape whose backslash has been taken.
    private mutating func escape() throws(JSONFault) -> [UInt8] {
        guard let byte = peek else { throw fault("has a string without end", "close it") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"):
            guard let scalar = try unicodeEscape() else {
                throw fault("has an escape \\u that is no character", "write the character itself")
            }
            return Array(String(Character(scalar)).utf8)
        default: throw fault("has an escape that JSON does not know", "write \\\\ for a backslash")
        }
    }

    private mutating func unicodeEscape() throws(JSONFault) -> Unicode.Scalar? {
        let high = try codeUnit()
        guard (0xD800...0xDBFF).contains(high) else { return Unicode.Scalar(high) }
        guard take("\\u") else { return nil }
        let low = try codeUnit()
        guard (0xDC00...0xDFFF).contains(low) else { return nil }
        return Unicode.Scalar(0x10000 + (UInt32(high) - 0xD800) << 10 + (UInt32(low) - 0xDC00))
    }

    private mutating func codeUnit() throws(JSONFault) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw fault("has an escape \\u without four hexadecimal digits", "write the character itself")
            }
            unit = unit << 4 | UInt16(digit)
            position += 1
        }
        return unit
    }
}

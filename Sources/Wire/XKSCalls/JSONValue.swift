// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import XKSProtocol

/// A JSON document (RFC 8259) as somebody else wrote it: fields in order, also those that stand twice.
package indirect enum JSONValue: Sendable, Equatable {
    package struct Field: Sendable, Equatable {
        package var name: String
        package var value: JSONValue
    }

    case object([Field])
    case array([JSONValue])
    case string(String)
    /// As it stands there.
    case number(String)
    case boolean(Bool)
    case null

    /// Levels of objects and arrays.
    package static let deepest = 32

    /// `nil` where the bytes are not one JSON document.
    package init?(_ bytes: [UInt8]) {
        var parser = Parser(bytes: bytes)
        guard let value = parser.document() else { return nil }
        self = value
    }

    /// The first field of a name; `nil` where this is no object or has none.
    package subscript(name: String) -> JSONValue? {
        guard case .object(let fields) = self else { return nil }
        return fields.first { $0.name == name }?.value
    }

    package var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    package var elements: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    /// What a string in base64 stands for; `nil` where it is none (RFC 4648, section 4, with padding).
    package var bytes: [UInt8]? {
        guard var text else { return nil }
        return text.withUTF8 { Base64.decode(UnsafeRawBufferPointer($0)) }?.withUnsafeBytes { Array($0) }
    }

    /// A whole number, without fraction or exponent.
    package var integer: Int? {
        guard case .number(let text) = self else { return nil }
        return Int(text)
    }

    /// Names of fields that stand twice in this object or in one within it.
    package var repeatedNames: [String] {
        switch self {
        case .object(let fields):
            var seen: Set<String> = []
            let own = fields.filter { !seen.insert($0.name).inserted }.map(\.name)
            return own + fields.flatMap(\.value.repeatedNames)
        case .array(let elements): return elements.flatMap(\.repeatedNames)
        default: return []
        }
    }
}

private struct Parser {
    let bytes: [UInt8]
    var position = 0
    var depth = 0

    mutating func document() -> JSONValue? {
        guard let value = value() else { return nil }
        skip()
        return position == bytes.count ? value : nil
    }

    private mutating func skip() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func take(word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        let expected = UnsafeBufferPointer(start: word.utf8Start, count: length)
        guard bytes[position...].prefix(length).elementsEqual(expected) else { return false }
        position += length
        return true
    }

    private mutating func value() -> JSONValue? {
        skip()
        guard position < bytes.count else { return nil }
        switch bytes[position] {
        case UInt8(ascii: "{"): return nested { $0.object() }
        case UInt8(ascii: "["): return nested { $0.array() }
        case UInt8(ascii: "\""): return string().map(JSONValue.string)
        case UInt8(ascii: "t"): return take(word: "true") ? .boolean(true) : nil
        case UInt8(ascii: "f"): return take(word: "false") ? .boolean(false) : nil
        case UInt8(ascii: "n"): return take(word: "null") ? .null : nil
        default: return number()
        }
    }

    private mutating func nested(_ body: (inout Parser) -> JSONValue?) -> JSONValue? {
        guard depth < JSONValue.deepest else { return nil }
        position += 1
        depth += 1
        defer { depth -= 1 }
        return body(&self)
    }

    private mutating func object() -> JSONValue? {
        var fields: [JSONValue.Field] = []
        skip()
        if take(UInt8(ascii: "}")) { return .object([]) }
        repeat {
            skip()
            guard let name = string() else { return nil }
            skip()
            guard take(UInt8(ascii: ":")), let value = value() else { return nil }
            fields.append(JSONValue.Field(name: name, value: value))
            skip()
        } while take(UInt8(ascii: ","))
        return take(UInt8(ascii: "}")) ? .object(fields) : nil
    }

    private mutating func array() -> JSONValue? {
        var elements: [JSONValue] = []
        skip()
        if take(UInt8(ascii: "]")) { return .array([]) }
        repeat {
            guard let value = value() else { return nil }
            elements.append(value)
            skip()
        } while take(UInt8(ascii: ","))
        return take(UInt8(ascii: "]")) ? .array(elements) : nil
    }

    private mutating func string() -> String? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        var units: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: units, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let scalar = escape() else { return nil }
                units.append(contentsOf: String(Character(scalar)).utf8)
            case 0..<0x20: return nil
            default: units.append(byte)
            }
        }
        return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
        guard position < bytes.count else { return nil }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            guard let first = unit() else { return nil }
            guard (0xD800...0xDBFF).contains(first) else { return Unicode.Scalar(first) }
            guard take(word: "\\u"), let second = unit(), (0xDC00...0xDFFF).contains(second) else { return nil }
            return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        default: return nil
        }
    }

    private mutating func unit() -> UInt32? {
        guard bytes.count - position >= 4, let text = String(validating: bytes[position..<position + 4], as: UTF8.self)
        else { return nil }
        position += 4
        guard text.utf8.allSatisfy({ $0 != 0x2B && $0 != 0x2D }) else { return nil }
        return UInt32(text, radix: 16)
    }

    /// `-? (0 | [1-9][0-9]*) (\.[0-9]+)? ([eE][+-]?[0-9]+)?`
    private mutating func number() -> JSONValue? {
        let start = position
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) {
            guard digits() > 0 else { return nil }
        }
        if take(UInt8(ascii: ".")) {
            guard digits() > 0 else { return nil }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard digits() > 0 else { return nil }
        }
        return .number(String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private mutating func digits() -> Int {
        let start = position
        while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
        return position - start
    }
}

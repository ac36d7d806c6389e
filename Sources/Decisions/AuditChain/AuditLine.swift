// SPDX-License-Identifier: Apache-2.0

/// A line of an audit log, taken apart as far as its place in the chain.
package struct AuditLine {
    /// The whole line, without its line feed.
    package let bytes: ArraySlice<UInt8>
    package let kind: AuditRecordKind?
    package let seq: UInt64
    /// 64 hexadecimal digits, as it states.
    package let hash: String
    /// `nil` where it is not signed.
    package let signature: String?
    /// Where the text ends that is hashed, and the one that is signed.
    private let hashedEnd: Int
    private let signedEnd: Int

    /// `nil` for what is no line of a chain.
    package init?(_ bytes: ArraySlice<UInt8>) {
        let tail = Array(",\"hash\":\"".utf8)
        let hashedEnd = bytes.endIndex - tail.count - 66
        guard bytes.starts(with: Self.head), hashedEnd > bytes.startIndex,
            bytes[hashedEnd..<hashedEnd + tail.count].elementsEqual(tail),
            bytes[(bytes.endIndex - 66)..<(bytes.endIndex - 2)].allSatisfy(Hexadecimal.isDigit),
            bytes[(bytes.endIndex - 2)...].elementsEqual("\"}".utf8),
            let place = Self.last(Array(",\"seq\":".utf8), in: bytes[..<hashedEnd])
        else { return nil }
        let rest = bytes[(place + 7)..<hashedEnd]
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        guard let seq = UInt64(String(decoding: digits, as: UTF8.self)), seq > 0 else { return nil }
        let signed = rest[digits.endIndex...]
        var signature: String?
        if !signed.isEmpty {
            let name = Array(",\"signature\":\"".utf8)
            guard signed.starts(with: name), signed.last == UInt8(ascii: "\"") else { return nil }
            let value = signed.dropFirst(name.count).dropLast()
            guard value.allSatisfy(Hexadecimal.isDigit) else { return nil }
            signature = String(decoding: value, as: UTF8.self)
        }
        self.bytes = bytes
        self.seq = seq
        self.signature = signature
        self.hashedEnd = hashedEnd
        signedEnd = digits.endIndex
        hash = String(decoding: bytes[(bytes.endIndex - 66)..<(bytes.endIndex - 2)], as: UTF8.self)
        kind = AuditRecordKind(
            rawValue: String(
                decoding: bytes.dropFirst(Self.head.count).prefix(16).prefix { $0 != UInt8(ascii: "\"") },
                as: UTF8.self))
    }

    private static let head = Array("{\"kind\":\"".utf8)

    /// Whether it follows the record of that hash, by its text.
    package func follows(_ previous: String) -> Bool {
        bytes[..<hashedEnd].withUnsafeBytes { ChainLink.hash(of: $0, after: previous) } == hash
    }

    /// What its signature is over, where it follows the record of that hash.
    package func signedText(after previous: String) -> [UInt8] {
        ChainLink.signedText(Array(bytes[..<signedEnd]), after: previous)
    }

    // MARK: Members

    package func has(_ field: AuditField) -> Bool { start(of: field) != nil }

    /// A member that is text; `nil` where it is absent or something else.
    package func text(_ field: AuditField) -> String? {
        guard let start = start(of: field) else { return nil }
        var reader = RecordReader(bytes, at: start)
        return reader.string()
    }

    /// A member that is a number.
    package func number(_ field: AuditField) -> Int64? {
        guard let start = start(of: field) else { return nil }
        return Int64(
            String(decoding: bytes[start...].prefix { $0 == 0x2D || (0x30...0x39).contains($0) }, as: UTF8.self))
    }

    /// A member that is a list of texts.
    package func texts(_ field: AuditField) -> [String]? {
        guard let start = start(of: field) else { return nil }
        var reader = RecordReader(bytes, at: start)
        return reader.strings()
    }

    /// A member that is a list of lists of texts.
    package func lists(_ field: AuditField) -> [[String]]? {
        guard let start = start(of: field) else { return nil }
        var reader = RecordReader(bytes, at: start)
        return reader.lists()
    }

    private func start(of field: AuditField) -> Int? {
        let name = Array(",\"\(field.rawValue)\":".utf8)
        return Self.first(name, in: bytes[..<hashedEnd]).map { $0 + name.count }
    }

    static func first(_ wanted: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        bytes.withUnsafeBufferPointer { buffer -> Int? in
            guard let first = wanted.first, buffer.count >= wanted.count else { return nil }
            var index = 0
            let end = buffer.count - wanted.count
            while index <= end {
                if buffer[index] == first, (1..<wanted.count).allSatisfy({ buffer[index + $0] == wanted[$0] }) {
                    return bytes.startIndex + index
                }
                index += 1
            }
            return nil
        }
    }

    private static func last(_ wanted: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        var index = bytes.endIndex - wanted.count
        while index >= bytes.startIndex {
            if bytes[index..<index + wanted.count].elementsEqual(wanted) { return index }
            index -= 1
        }
        return nil
    }
}

/// Reads values of records as `RecordText` writes them.
private struct RecordReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>, at position: Int) {
        self.bytes = bytes
        self.position = position
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.endIndex, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    mutating func string() -> String? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        var text: [UInt8] = []
        while position < bytes.endIndex {
            let byte = bytes[position]
            position += 1
            if byte == UInt8(ascii: "\"") { return String(decoding: text, as: UTF8.self) }
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte)
                continue
            }
            guard position < bytes.endIndex else { return nil }
            let mark = bytes[position]
            position += 1
            guard mark == UInt8(ascii: "u") else {
                text.append(mark)
                continue
            }
            let digits = bytes[position...].prefix(4)
            guard digits.count == 4, let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16),
                let scalar = Unicode.Scalar(value)
            else { return nil }
            position += 4
            text.append(contentsOf: UTF8.encode(scalar) ?? .init())
        }
        return nil
    }

    mutating func strings() -> [String]? { list { $0.string() } }

    mutating func lists() -> [[String]]? { list { $0.strings() } }

    private mutating func list<Element>(_ element: (inout RecordReader) -> Element?) -> [Element]? {
        guard take(UInt8(ascii: "[")) else { return nil }
        var elements: [Element] = []
        if take(UInt8(ascii: "]")) { return elements }
        while let next = element(&self) {
            elements.append(next)
            if take(UInt8(ascii: "]")) { return elements }
            guard take(UInt8(ascii: ",")) else { return nil }
        }
        return nil
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The text of a record without its place in the chain: a JSON object that has not been closed. `ChainLink` closes it.
///
/// Names of members are of this program alone, and no member's value is an object: so `,"name":` stands in a record where
/// that member begins, and nowhere else (within a string the quotes would be escaped), and a line is searched as bytes.
package struct RecordText: Sendable {
    package private(set) var bytes: [UInt8] = []

    /// - Parameter node: name of the node that writes it.
    package init(_ kind: AuditRecordKind, at time: AuditTime, node: String, capacity: Int = 512) {
        bytes.reserveCapacity(capacity)
        append("{\"kind\":\"")
        append(kind.rawValue)
        append("\",\"time\":\"")
        time.append(to: &bytes)
        append("\"")
        add(.node, node)
    }

    /// A record as a journal has kept it; `nil` for what is none.
    package init?(journaled bytes: ArraySlice<UInt8>) {
        let end = ",\"seq\":1,\"hash\":\"\(ChainLink.origin)\"}"
        let line = Array(bytes) + Array(end.utf8)
        guard let record = AuditLine(line[...]), record.kind != nil, record.signature == nil else { return nil }
        self.bytes = Array(bytes)
    }

    package mutating func add(_ field: AuditField, _ value: String) {
        begin(field)
        append(quoted: value)
    }

    package mutating func add(_ field: AuditField, _ value: String?) {
        if let value { add(field, value) }
    }

    package mutating func add(_ field: AuditField, _ value: some FixedWidthInteger) {
        begin(field)
        append(String(value))
    }

    /// Adds it where it is true.
    package mutating func add(_ field: AuditField, ifTrue value: Bool) {
        guard value else { return }
        begin(field)
        append("true")
    }

    package mutating func add(_ field: AuditField, _ values: [String]) {
        begin(field)
        append(values)
    }

    /// Adds a list of lists.
    package mutating func add(_ field: AuditField, _ lists: [[String]]) {
        begin(field)
        append("[")
        for (index, list) in lists.enumerated() {
            if index > 0 { append(",") }
            append(list)
        }
        append("]")
    }

    // MARK: -

    private mutating func begin(_ field: AuditField) {
        append(",\"")
        append(field.rawValue)
        append("\":")
    }

    private mutating func append(_ list: [String]) {
        append("[")
        for (index, value) in list.enumerated() {
            if index > 0 { append(",") }
            append(quoted: value)
        }
        append("]")
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func append(quoted text: String) {
        bytes.append(UInt8(ascii: "\""))
        let isCopied = text.utf8.withContiguousStorageIfAvailable { text in
            guard Self.isPlain(text) else { return false }
            bytes.append(contentsOf: text)
            return true
        }
        if isCopied != true {
            for scalar in text.unicodeScalars { append(escaping: scalar) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Whether all is printable ASCII that stands for itself within quotes. Without a branch for each byte: nearly all is.
    private static func isPlain(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var others: UInt8 = 0
        for byte in text {
            others |= (byte &- 0x20 > 0x5E ? 1 : 0) | (byte == 0x22 ? 1 : 0) | (byte == 0x5C ? 1 : 0)
        }
        return others == 0
    }

    /// Also what a terminal obeys, and what makes a line read otherwise than it is written: records are shown to people.
    private mutating func append(escaping scalar: Unicode.Scalar) {
        switch scalar.value {
        case 0x22, 0x5C:
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(UInt8(truncatingIfNeeded: scalar.value))
        case 0..<0x20, 0x7F...0x9F, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069:
            append("\\u")
            for shift in [12, 8, 4, 0] {
                bytes.append(Hexadecimal.digit(UInt8(truncatingIfNeeded: scalar.value >> UInt32(shift)) & 15))
            }
        default: bytes.append(contentsOf: UTF8.encode(scalar) ?? .init())
        }
    }
}

enum Hexadecimal {
    static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "a") &+ (value &- 10)
    }

    static func append(_ source: some Sequence<UInt8>, to bytes: inout [UInt8]) {
        for byte in source {
            bytes.append(digit(byte >> 4))
            bytes.append(digit(byte & 15))
        }
    }

    static func isDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }
}

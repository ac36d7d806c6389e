// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// Writes JSON text straight into the bytes that are sent. What it is given decides whether the text is well-formed.
struct JSONWriter {
    /// What was written so far.
    let text: SecretBytes

    /// - Parameter capacity: Expected size of the text, bytes; a good guess saves copying.
    init(capacity: Int) {
        text = SecretBytes(capacity: capacity)
    }

    /// Writes `literal` as it stands.
    func write(_ literal: StaticString) {
        text.append(copying: UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    func write(_ number: Int) {
        text.append(contentsOf: String(number).utf8)
    }

    /// Writes the first `longest` characters (Unicode scalars) of `string` in quotes, with the escapes of RFC 8259
    /// section 7.
    func write(quoted string: String, longest: Int = .max) {
        text.append(UInt8(ascii: "\""))
        for scalar in string.unicodeScalars.prefix(longest) { write(escaped: scalar) }
        text.append(UInt8(ascii: "\""))
    }

    /// Writes `bytes` as Base64 in quotes.
    func write(base64 bytes: UnsafeRawBufferPointer) {
        text.append(UInt8(ascii: "\""))
        text.append(atMost: Base64.encodedCount(of: bytes.count)) { Base64.encode(bytes, into: $0) }
        text.append(UInt8(ascii: "\""))
    }

    private func write(escaped scalar: Unicode.Scalar) {
        switch scalar {
        case "\"": write("\\\"")
        case "\\": write("\\\\")
        case "\u{0}"..."\u{1f}", "\u{7f}":
            write("\\u00")
            text.append(Self.hexDigit(UInt8(truncatingIfNeeded: scalar.value >> 4)))
            text.append(Self.hexDigit(UInt8(truncatingIfNeeded: scalar.value & 0xf)))
        default:
            text.append(contentsOf: UTF8.encode(scalar) ?? .init())
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "a") &+ value &- 10
    }
}

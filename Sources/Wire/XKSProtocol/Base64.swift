// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// Base64 with the standard alphabet (RFC 4648 section 4), strictly: padded, canonical (section 3.5: unused bits are
/// zero), nothing else in between. So each byte string has one text, and each text that is accepted means one byte
/// string.
package enum Base64 {
    /// Number of characters for `count` bytes.
    package static func encodedCount(of count: Int) -> Int {
        (count / 3 + (count % 3 == 0 ? 0 : 1)) * 4
    }

    /// Number of bytes that `text` stands for, if it is well-formed; `nil` when its length shows that it is not.
    package static func decodedCount(of text: UnsafeRawBufferPointer) -> Int? {
        guard text.count % 4 == 0 else { return nil }
        return text.count / 4 * 3 - paddingCount(of: text)
    }

    /// Decodes all of `text` into the first `decodedCount(of:)` bytes of `target`.
    /// - Returns: Whether `text` is well-formed and `target` large enough. If not, `target` may hold some of it.
    package static func decode(_ text: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Bool {
        guard let count = decodedCount(of: text), count <= target.count else { return false }
        guard count > 0 else { return text.isEmpty }
        let padding = paddingCount(of: text)
        let groups = text.count / 4 - (padding == 0 ? 0 : 1)
        return values.withUnsafeBufferPointer { values in
            var seen: UInt8 = 0
            for group in 0..<groups {
                let source = group &* 4
                let first = values[Int(text[source])]
                let second = values[Int(text[source &+ 1])]
                let third = values[Int(text[source &+ 2])]
                let fourth = values[Int(text[source &+ 3])]
                seen |= first | second | third | fourth
                let destination = group &* 3
                target[destination] = first << 2 | second >> 4
                target[destination &+ 1] = second << 4 | third >> 2
                target[destination &+ 2] = third << 6 | fourth
            }
            guard padding > 0 else { return seen & invalid == 0 }
            let source = groups &* 4
            let first = values[Int(text[source])]
            let second = values[Int(text[source &+ 1])]
            let third = padding == 1 ? values[Int(text[source &+ 2])] : 0
            let unused = padding == 1 ? third << 6 : second << 4
            target[groups &* 3] = first << 2 | second >> 4
            if padding == 1 { target[groups &* 3 &+ 1] = second << 4 | third >> 2 }
            return (seen | first | second | third) & invalid == 0 && unused == 0
        }
    }

    /// Encodes all of `bytes` into the first `encodedCount(of:)` bytes of `target`.
    /// - Returns: The number of characters written; 0 when `target` is too small.
    @discardableResult
    package static func encode(_ bytes: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int {
        let count = encodedCount(of: bytes.count)
        guard count <= target.count else { return 0 }
        alphabet.withUTF8Buffer { alphabet in
            let groups = bytes.count / 3
            for group in 0..<groups {
                let source = group &* 3
                let first = bytes[source]
                let second = bytes[source &+ 1]
                let third = bytes[source &+ 2]
                let destination = group &* 4
                target[destination] = alphabet[Int(first >> 2)]
                target[destination &+ 1] = alphabet[Int((first << 4 | second >> 4) & 0x3f)]
                target[destination &+ 2] = alphabet[Int((second << 2 | third >> 6) & 0x3f)]
                target[destination &+ 3] = alphabet[Int(third & 0x3f)]
            }
            let left = bytes.count &- groups &* 3
            guard left > 0 else { return }
            let first = bytes[groups &* 3]
            let second = left == 2 ? bytes[groups &* 3 &+ 1] : 0
            let destination = groups &* 4
            target[destination] = alphabet[Int(first >> 2)]
            target[destination &+ 1] = alphabet[Int((first << 4 | second >> 4) & 0x3f)]
            target[destination &+ 2] = left == 2 ? alphabet[Int(second << 2 & 0x3f)] : UInt8(ascii: "=")
            target[destination &+ 3] = UInt8(ascii: "=")
        }
        return count
    }

    /// The text of `bytes`.
    package static func encode(_ bytes: UnsafeRawBufferPointer) -> SecretBytes {
        let count = encodedCount(of: bytes.count)
        let text = SecretBytes(capacity: count)
        text.append(atMost: count) { encode(bytes, into: $0) }
        return text
    }

    /// The bytes that `text` stands for; `nil` when it is not well-formed.
    package static func decode(_ text: UnsafeRawBufferPointer) -> SecretBytes? {
        guard let count = decodedCount(of: text) else { return nil }
        let bytes = SecretBytes(capacity: count)
        var isWellFormed = false
        bytes.append(atMost: count) {
            isWellFormed = decode(text, into: $0)
            return isWellFormed ? count : 0
        }
        return isWellFormed ? bytes : nil
    }

    private static func paddingCount(of text: UnsafeRawBufferPointer) -> Int {
        guard text.count >= 4, text[text.count &- 1] == UInt8(ascii: "=") else { return 0 }
        return text[text.count &- 2] == UInt8(ascii: "=") ? 2 : 1
    }

    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    /// Marks in `values` a byte that is not in the alphabet.
    private static let invalid: UInt8 = 0xc0

    /// The value of each byte as a character of the alphabet.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: invalid, count: 256)
        alphabet.withUTF8Buffer { alphabet in
            for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        }
        return values
    }()
}

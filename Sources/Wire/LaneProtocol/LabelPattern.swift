// SPDX-License-Identifier: Apache-2.0

/// A pattern for labels: `*` stands for any number of characters, `?` for exactly one.
///
/// A key that a pattern offers has its label as external key id, so only labels of that form fit, whatever the pattern:
/// 1 to 128 of `A-Z a-z 0-9 - . _`, and neither `.` nor `..` (XKS 1.0.3, URI path; RFC 3986, section 3.3).
///
/// Matching reads each byte of the label once, whatever the pattern. It follows all ways through the pattern at the
/// same time, one bit for each: bit *i* is set when the text so far can end at the pattern's *i*-th token. A pattern has
/// at most 128 bytes, so the bits fit into one machine number and nothing ever goes back.
package struct LabelPattern: Sendable, Hashable {
    /// Length of a pattern, and of a label that it matches, bytes.
    package static let lengths = 1...128

    package let text: String
    /// For each ASCII code the tokens that accept it.
    private let accepting: [UInt128]
    /// Tokens followed by a star: they stay reached on any character.
    private let loops: UInt128
    private let startsWithStar: Bool
    /// The last token; `nil` for a pattern of stars alone.
    private let last: UInt128?

    /// `nil` for a text that is empty or too long, or that holds a byte which no external key id has.
    package init?(_ text: String) {
        guard Self.lengths.contains(text.utf8.count),
            text.utf8.allSatisfy({ $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") || Self.isAllowed($0) })
        else { return nil }
        var accepting = [UInt128](repeating: 0, count: 128)
        var loops: UInt128 = 0
        var startsWithStar = false
        var last: UInt128?
        for byte in text.utf8 {
            if byte == UInt8(ascii: "*") {
                if let last { loops |= last } else { startsWithStar = true }
                continue
            }
            let token = last.map { $0 << 1 } ?? 1
            if byte == UInt8(ascii: "?") {
                for code in accepting.indices { accepting[code] |= token }
            } else {
                accepting[Int(byte & 0x7F)] |= token
            }
            last = token
        }
        self.text = text
        self.accepting = accepting
        self.loops = loops
        self.startsWithStar = startsWithStar
        self.last = last
    }

    package static func == (one: LabelPattern, other: LabelPattern) -> Bool {
        one.text == other.text
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(text) }

    /// Whether the whole label fits the pattern. On the way of requests.
    package func matches(_ label: String) -> Bool {
        var label = label
        return label.withUTF8 { matches($0) }
    }

    private func matches(_ label: UnsafeBufferPointer<UInt8>) -> Bool { Self.isExternalKeyID(label) && fits(label) }

    /// Whether the whole label fits the pattern, and can be no external key id: the pattern does not offer it, though
    /// whoever wrote the pattern may think so.
    package func misses(_ label: String) -> Bool {
        var label = label
        return label.withUTF8 { !Self.isExternalKeyID($0) && fits($0) }
    }

    private static func isExternalKeyID(_ label: UnsafeBufferPointer<UInt8>) -> Bool {
        lengths.contains(label.count) && label.allSatisfy(isAllowed) && !isDots(label)
    }

    private func fits(_ label: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let last else { return true }
        var reached: UInt128 = 0
        var atStart: UInt128 = 1
        for byte in label {
            // Of what is no ASCII only `?` and `*` take a byte, as of the code 0.
            let advanced = (reached << 1 | atStart) & accepting[byte < 0x80 ? Int(byte) : 0]
            reached = advanced | (reached & loops)
            if !startsWithStar { atStart = 0 }
        }
        return reached & last != 0
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func isDots(_ label: UnsafeBufferPointer<UInt8>) -> Bool {
        label.count <= 2 && label.allSatisfy { $0 == UInt8(ascii: ".") }
    }
}

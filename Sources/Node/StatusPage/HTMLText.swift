// SPDX-License-Identifier: Apache-2.0
import Mustache

/// Text from outside (names, labels, reasons, serial numbers) as text of HTML, in elements and in quoted attributes.
///
/// Scalar by scalar: to Swift a quotation mark with a combining accent behind it is one other character, to a browser it is
/// a quotation mark. Whatever controls terminals, or the direction of text, is shown as U+FFFD: it is no part of a name, and
/// makes one name look like another.
struct HTMLText: MustacheContentType {
    /// As templates name it: `{{% CONTENT_TYPE:CLAVIGER}}`. A template cannot be read before it is registered.
    static func register() { MustacheContentTypes.register(HTMLText(), named: "CLAVIGER") }

    /// Longest text that is shown, scalars. Names have 64, reasons some hundred, a line of a chart some two thousand.
    static let longest = 4_000

    func escapeText(_ text: String) -> String { Self.escaped(text) }

    static func escaped(_ text: String) -> String {
        var escaped = String.UnicodeScalarView()
        for (position, scalar) in text.unicodeScalars.enumerated() {
            guard position < longest else {
                escaped.append("…")
                break
            }
            switch scalar {
            case "&": escaped.append(contentsOf: "&amp;".unicodeScalars)
            case "<": escaped.append(contentsOf: "&lt;".unicodeScalars)
            case ">": escaped.append(contentsOf: "&gt;".unicodeScalars)
            case "\"": escaped.append(contentsOf: "&quot;".unicodeScalars)
            case "'": escaped.append(contentsOf: "&#39;".unicodeScalars)
            case _ where isControl(scalar): escaped.append("\u{FFFD}")
            default: escaped.append(scalar)
            }
        }
        return String(escaped)
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        // C0, C1; zero width, direction marks and overrides; line separators; byte order mark; tags; non-characters.
        case 0x00...0x1F, 0x7F...0x9F, 0x061C, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF,
            0xFFF9...0xFFFB,
            0xE0000...0xE0FFF:
            true
        default: scalar.value & 0xFFFE == 0xFFFE
        }
    }
}

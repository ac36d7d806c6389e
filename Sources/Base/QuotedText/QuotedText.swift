// SPDX-License-Identifier: Apache-2.0

extension String {
    /// The text in quotes: a string of JSON (RFC 8259, section 7) and a basic string of TOML (1.0, "String"), which write
    /// quotes, backslashes and control characters in the same way.
    package var quoted: String {
        var result = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\u{0}"..."\u{1F}", "\u{7F}":
                result += (scalar.value < 16 ? "\\u000" : "\\u00") + String(scalar.value, radix: 16)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How values are shown in messages.
enum Shown {
    /// At most 60 characters of it, control characters escaped.
    static func cut(_ text: String) -> String {
        let shown = text.unicodeScalars.prefix(60).map { scalar in
            scalar.value < 0x20 || scalar.value == 0x7F ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }.joined()
        return text.unicodeScalars.count > 60 ? shown + "…" : shown
    }

    static func quoted(_ text: String) -> String { "\"\(cut(text))\"" }

    /// Up to three of them.
    static func list(_ texts: [String]) -> String {
        let shown = texts.prefix(3).map(quoted).joined(separator: ", ")
        return texts.count > 3 ? "\(shown) and \(texts.count - 3) more" : shown
    }
}

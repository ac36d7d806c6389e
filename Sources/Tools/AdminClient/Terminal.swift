// SPDX-License-Identifier: Apache-2.0

/// Text as a terminal shows it. Labels and reasons come from tokens and vendors' libraries: what they hold must not
/// move the cursor, nor turn the direction of writing.
package enum Terminal {
    /// A text of several lines, each as `plain`.
    package static func shown(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { plain(String($0)) }.joined(separator: "\n")
    }

    /// The text in one line, with everything that is not shown written as `\u{…}`.
    package static func plain(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { line, scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                line += "\\u{" + String(scalar.value, radix: 16) + "}"
            default: line.unicodeScalars.append(scalar)
            }
        }
    }

    /// Columns that a plain text takes: none for marks that stand over others; two for whatever might be wide.
    static func width(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { $0 + width($1) }
    }

    /// The text, shortened to at most `limit` columns (1 or more) with an ellipsis.
    static func shortened(_ text: String, to limit: Int) -> String {
        guard width(text) > limit else { return text }
        var short = ""
        var room = limit - 1
        for scalar in text.unicodeScalars {
            room -= width(scalar)
            if room < 0 { break }
            short.unicodeScalars.append(scalar)
        }
        return short + "…"
    }

    static func left(_ text: String, _ columns: Int) -> String {
        text + String(repeating: " ", count: max(columns - width(text), 0))
    }

    static func right(_ text: String, _ columns: Int) -> String {
        String(repeating: " ", count: max(columns - width(text), 0)) + text
    }

    /// The text in lines of at most `columns`, broken at blanks where there are any; the second and further ones begin
    /// with `indent` blanks.
    static func wrapped(_ text: String, columns: Int, indent: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ").map(String.init) {
            let extended = line.isEmpty ? word : line + " " + word
            if width(extended) <= columns || line.isEmpty {
                line = extended
            } else {
                lines.append(shortened(line, to: columns))
                line = String(repeating: " ", count: indent) + word
            }
        }
        lines.append(shortened(line, to: columns))
        return lines
    }

    private static func width(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: 0
        default: scalar.value < 0x1100 || (0x2000..<0x2E80).contains(scalar.value) ? 1 : 2
        }
    }
}

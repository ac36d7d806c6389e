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

    /// The text, shortened to at most `limit` columns (1 or more) with an ellipsis in its middle: names differ at their ends
    /// more often than there.
    static func shortened(_ text: String, to limit: Int) -> String {
        guard width(text) > limit else { return text }
        return shortened(text, head: limit - 1 - (limit - 1) / 2, tail: (limit - 1) / 2)
    }

    /// The texts, each shortened to at most `limit` columns, so that those that differ stay different: with the ellipsis at
    /// the place where that is so, or else with numbers at their ends.
    static func distinct(_ texts: [String], to limit: Int) -> [String] {
        guard texts.contains(where: { width($0) > limit }) else { return texts }
        let different = Set(texts)
        let room = limit - 1
        for tail in (0...room).sorted(by: { abs($0 - room / 2) < abs($1 - room / 2) }) {
            let short = Dictionary(
                uniqueKeysWithValues: different.map {
                    ($0, width($0) > limit ? shortened($0, head: room - tail, tail: tail) : $0)
                })
            if Set(short.values).count == different.count { return texts.map { short[$0] ?? $0 } }
        }
        return numbered(texts, to: limit)
    }

    private static func numbered(_ texts: [String], to limit: Int) -> [String] {
        var known: [String: String] = [:]
        var taken = Set(texts.filter { width($0) <= limit })
        for text in texts where known[text] == nil && width(text) > limit {
            var number = 1
            var short = shortened(text, to: limit)
            while !taken.insert(short).inserted {
                number += 1
                let end = "#\(number)"
                short = shortened(text, to: max(limit - end.count, 1)) + end
            }
            known[text] = short
        }
        return texts.map { known[$0] ?? $0 }
    }

    private static func shortened(_ text: String, head: Int, tail: Int) -> String {
        prefix(text.unicodeScalars, head) + "…" + prefix(text.unicodeScalars.reversed(), tail, isReversed: true)
    }

    /// As many of the scalars as fit into so many columns.
    private static func prefix(
        _ scalars: some Sequence<Unicode.Scalar>, _ columns: Int, isReversed: Bool = false
    ) -> String {
        var room = columns
        var taken: [Unicode.Scalar] = []
        for scalar in scalars {
            room -= width(scalar)
            if room < 0 { break }
            taken.append(scalar)
        }
        if isReversed { taken.reverse() }
        return taken.reduce(into: "") { $0.unicodeScalars.append($1) }
    }

    static func left(_ text: String, _ columns: Int) -> String {
        text + String(repeating: " ", count: max(columns - width(text), 0))
    }

    static func right(_ text: String, _ columns: Int) -> String {
        String(repeating: " ", count: max(columns - width(text), 0)) + text
    }

    /// The text in lines of at most `columns`, broken at blanks where there are any; the second and further ones begin
    /// with `indent` blanks. Without a number of columns it is one line.
    static func wrapped(_ text: String, columns: Int?, indent: Int) -> [String] {
        guard let columns else { return [text] }
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

// SPDX-License-Identifier: Apache-2.0

/// What a text for people is written on: how wide it is, and which characters it shows. Decided here for every command.
package struct Page: Sendable, Equatable {
    /// Columns of a line; `nil`: as many as the text takes. What goes to a program or a file is neither cut nor broken.
    package var columns: Int?
    /// Only ASCII is shown; anything else is written as `\u{…}`.
    package var isASCII: Bool

    /// Where a terminal does not know its width.
    static let standardColumns = 80
    /// What is narrower is taken for this wide: a table needs as much.
    static let fewestColumns = 60

    package init(columns: Int?, isASCII: Bool = false) {
        self.columns = columns.map { max($0, Self.fewestColumns) }
        self.isASCII = isASCII
    }

    /// - Parameters:
    ///   - isTerminal: what the text is written to.
    ///   - terminalColumns: the width that the terminal tells (TIOCGWINSZ); 0 where it tells none.
    ///   - environment: values of environment variables.
    package static func of(
        isTerminal: Bool, terminalColumns: Int, environment: (String) -> String?
    ) -> Page {
        let isASCII = !showsUnicode(environment)
        guard isTerminal else { return Page(columns: nil, isASCII: isASCII) }
        let told = terminalColumns > 0 ? terminalColumns : environment("COLUMNS").flatMap { Int($0) } ?? 0
        return Page(columns: told > 0 ? told : standardColumns, isASCII: isASCII)
    }

    /// Whether the locale's characters are UTF-8: by the first of LC_ALL, LC_CTYPE and LANG that is set and not empty
    /// (POSIX.1-2017, 8.2).
    package static func showsUnicode(_ environment: (String) -> String?) -> Bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap(environment).first { !$0.isEmpty } ?? ""
        let name = locale.lowercased()
        return name.hasSuffix(".utf-8") || name.hasSuffix(".utf8") || name.contains(".utf-8@")
            || name.contains(".utf8@")
    }

    // MARK: Text

    /// The text in one line, with everything that the page does not show written as `\u{…}`.
    func plain(_ text: String) -> String {
        let plain = Terminal.plain(text)
        return isASCII ? Self.ascii(plain) : plain
    }

    /// A sentence of which nothing moves a cursor, in lines that fit.
    package func text(_ sentence: String) -> String { finished(paragraph(plain(sentence)).joined(separator: "\n")) }

    /// A sentence as one of a list, in lines that fit.
    package func entry(_ sentence: String) -> String {
        finished(item("- " + plain(sentence), margin: 2, indent: 2).joined(separator: "\n"))
    }

    /// A sentence in lines that fit.
    func paragraph(_ text: String) -> [String] { item(text, margin: 0, indent: 2) }

    /// A text in lines that fit: with `margin` blanks before all of them, and `indent` more before all but the first.
    func item(_ text: String, margin: Int, indent: Int) -> [String] {
        Terminal.wrapped(text, columns: columns.map { $0 - margin }, indent: indent)
            .map { String(repeating: " ", count: margin) + $0 }
    }

    /// Names within sentences, short enough to leave room for these, and as different as they are.
    func names(_ plain: [String]) -> [String] {
        guard let columns else { return plain }
        return Terminal.distinct(plain, to: max(columns / 4, 16))
    }

    /// A whole text that is laid out, with everything that the page does not show written as `\u{…}`, but for ellipses, which
    /// are of this program's making.
    package func finished(_ text: String) -> String {
        isASCII ? Self.ascii(text.replacing("…", with: "~")) : text
    }

    private static func ascii(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { line, scalar in
            if scalar.isASCII {
                line.unicodeScalars.append(scalar)
            } else {
                line += "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusVocabulary

/// The matrix key × HSM, a letter for each cell.
enum KeyMatrix {
    /// - Parameter hsms: names in the order of the HSM table, whose numbers are the columns' heads.
    static func lines(_ keys: [KeyStatus], hsms: [String], on page: Page) -> [String] {
        guard !keys.isEmpty else { return [] }
        // Those that somebody must look at come first; the rest keeps its order.
        let ordered = keys.filter { !$0.isWhole } + keys.filter(\.isWhole)
        let shown = Array(ordered.prefix(StatusTable.keysShown))
        // HSMs beside one another leave the labels some half of the page; more get a table of their own below.
        let labelColumns = page.columns.map { $0 / 2 - 10 }
        let plain = shown.map { page.plain($0.label) }
        let labels = labelColumns.map { Terminal.distinct(plain, to: $0) } ?? plain
        let hsmsInARow = page.columns.map { ($0 - 4 - (labelColumns ?? 0)) / 4 } ?? max(hsms.count, 1)
        let width = max(labels.map(Terminal.width).max() ?? 0, 3)
        var lines: [String] = []
        for start in stride(from: 0, to: max(hsms.count, 1), by: hsmsInARow) {
            let columns = Array(hsms.indices.dropFirst(start).prefix(hsmsInARow))
            lines.append(columns.reduce(Terminal.left("key", width + 2)) { $0 + Terminal.right("\($1 + 1)", 4) })
            for (key, label) in zip(shown, labels) {
                lines.append(
                    columns.reduce(Terminal.left(label, width + 2)) { line, column in
                        line + Terminal.right(letter(key.cells[hsms[column]]), 4)
                    })
            }
        }
        if keys.count > shown.count { lines.append("… and \(keys.count - shown.count) more: --json shows all") }
        lines += legendLines(page)
        for key in shown {
            if key.mayDoNothing == true {
                lines += page.paragraph("\(page.plain(key.label)): \(KeyStatus.nothingAllowed)")
            }
            for complaint in key.complaints ?? [] {
                lines += page.paragraph("\(page.plain(key.label)): \(page.plain(complaint))")
            }
            guard let reason = key.disputed else { continue }
            lines += page.paragraph(
                "disputed, refused everywhere: \(page.plain(key.label)): \(page.plain(reason))")
        }
        return lines
    }

    private static let legend = [
        "P proven", ". not yet proven", "D different key", "A absent", "U unprovable", "- not to serve it",
    ]

    /// No letter stands on another line than its meaning.
    private static func legendLines(_ page: Page) -> [String] {
        legend.reduce(into: [String]()) { lines, meaning in
            let extended = lines.last.map { $0 + "  " + meaning } ?? meaning
            if let last = lines.indices.last, Terminal.width(extended) <= page.columns ?? .max {
                lines[last] = extended
            } else {
                lines.append(meaning)
            }
        }
    }

    private static func letter(_ verdict: KeyState?) -> String {
        switch verdict {
        case .proven: "P"
        case .unproven: "."
        case .different: "D"
        case .absent: "A"
        case .unprovable: "U"
        case nil: "-"
        }
    }
}

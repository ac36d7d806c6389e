// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusVocabulary

/// The matrix key × HSM, a letter for each cell.
enum KeyMatrix {
    private static let labelColumns = 40
    /// HSMs beside one another; more get a table of their own below.
    private static let hsmsInARow = (StatusTable.columns - 4 - labelColumns) / 4

    /// - Parameter hsms: names in the order of the HSM table, whose numbers are the columns' heads.
    static func lines(_ keys: [KeyStatus], hsms: [String]) -> [String] {
        guard !keys.isEmpty else { return [] }
        // Those that somebody must look at come first; the rest keeps its order.
        let ordered = keys.filter { !$0.isWhole } + keys.filter(\.isWhole)
        let shown = Array(ordered.prefix(StatusTable.keysShown))
        let labels = shown.map { Terminal.shortened(Terminal.plain($0.label), to: labelColumns) }
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
        lines.append(legend)
        for key in shown {
            for complaint in key.complaints ?? [] {
                lines += Terminal.wrapped(
                    "\(Terminal.plain(key.label)): \(Terminal.plain(complaint))", columns: StatusTable.columns,
                    indent: 2)
            }
            guard let reason = key.disputed else { continue }
            let text = "disputed, refused everywhere: \(Terminal.plain(key.label)): \(Terminal.plain(reason))"
            lines += Terminal.wrapped(text, columns: StatusTable.columns, indent: 2)
        }
        return lines
    }

    private static let legend = "P proven  . not yet proven  D different key  A absent  U unprovable  - not to serve it"

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

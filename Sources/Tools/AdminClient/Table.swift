// SPDX-License-Identifier: Apache-2.0

/// A table for people, made to fit the page: pure. What is too wide loses first its padding, then its long heads, then the
/// middle of its names; then whole columns, which are named below it.
struct Table {
    struct Column {
        var head: String
        /// In place of the head where there is little room.
        var short: String?
        var isRight: Bool
        /// As wide as this where there is room, so that pictures of different moments are alike.
        var padded: Int
        /// A column of names may be as narrow as this; `nil`: its cells are never shortened.
        var least: Int?
        /// What is left out first, 1; `nil`: never.
        var rank: Int?

        /// Names, and other words.
        static func left(
            _ head: String, short: String? = nil, padded: Int = 0, least: Int? = nil, rank: Int? = nil
        ) -> Column {
            Column(head: head, short: short, isRight: false, padded: padded, least: least, rank: rank)
        }

        /// Numbers.
        static func right(_ head: String, short: String? = nil, padded: Int = 0, rank: Int? = nil) -> Column {
            Column(head: head, short: short, isRight: true, padded: padded, least: nil, rank: rank)
        }
    }

    struct Row {
        /// One for each column, plain.
        var cells: [String]
        /// Sentences below the row, plain.
        var notes: [String] = []
    }

    private static let gap = 2
    private static let noteIndent = 6

    var columns: [Column]
    var rows: [Row] = []

    func lines(on page: Page) -> [String] {
        var shown = Array(columns.indices)
        var heads = columns.map(\.head)
        var widths = columns.indices.map { max(natural($0, heads), columns[$0].padded) }
        if let room = page.columns {
            if total(shown, widths) > room { widths = columns.indices.map { natural($0, heads) } }
            if total(shown, widths) > room {
                heads = columns.map { $0.short ?? $0.head }
                widths = columns.indices.map { natural($0, heads) }
            }
            let least = columns.indices.map { min(widths[$0], columns[$0].least ?? widths[$0]) }
            while total(shown, least) > room, let next = leastImportant(of: shown) { shown.removeAll { $0 == next } }
            shrink(&widths, to: room, least: least, shown)
        }
        let cells = columns.indices.map { column in
            let cells = rows.map { $0.cells[column] }
            return columns[column].least == nil ? cells : Terminal.distinct(cells, to: widths[column])
        }
        var lines = [line(shown, widths) { heads[$0] }]
        for (number, row) in rows.enumerated() {
            lines.append(line(shown, widths) { cells[$0][number] })
            for note in row.notes {
                lines += page.item(note, margin: Self.noteIndent, indent: 2)
            }
        }
        let left = columns.indices.filter { !shown.contains($0) }.map { columns[$0].head }
        guard !left.isEmpty else { return lines }
        return lines + page.paragraph("no room for: \(left.joined(separator: ", ")); --json has all")
    }

    /// Of what its cells and this head take.
    private func natural(_ column: Int, _ heads: [String]) -> Int {
        max(Terminal.width(heads[column]), rows.map { Terminal.width($0.cells[column]) }.max() ?? 0)
    }

    private func total(_ shown: [Int], _ widths: [Int]) -> Int {
        shown.reduce(0) { $0 + widths[$1] } + Self.gap * max(shown.count - 1, 0)
    }

    private func leastImportant(of shown: [Int]) -> Int? {
        shown.filter { columns[$0].rank != nil }.min { (columns[$0].rank ?? 0) < (columns[$1].rank ?? 0) }
    }

    /// Takes columns from the widest names until all fit.
    private func shrink(_ widths: inout [Int], to room: Int, least: [Int], _ shown: [Int]) {
        while total(shown, widths) > room {
            guard let widest = shown.filter({ widths[$0] > least[$0] }).max(by: { widths[$0] < widths[$1] }) else {
                return
            }
            widths[widest] -= 1
        }
    }

    private func line(_ shown: [Int], _ widths: [Int], _ text: (Int) -> String) -> String {
        let cells = shown.map { column in
            columns[column].isRight
                ? Terminal.right(text(column), widths[column]) : Terminal.left(text(column), widths[column])
        }
        let line = cells.joined(separator: String(repeating: " ", count: Self.gap))
        guard let end = line.lastIndex(where: { $0 != " " }) else { return "" }
        return String(line[...end])
    }
}

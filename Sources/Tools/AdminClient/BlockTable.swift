// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// The blocks that are in force, as text for people: pure functions of values. No line is longer than
/// `StatusTable.columns`.
package enum BlockTable {
    /// Digits of an id that are shown; `claviger unblock --id` takes as many.
    static let idColumns = 12

    /// - Parameter nowUnixSeconds: what the time to an end is counted from.
    package static func text(_ listing: BlockListing, nowUnixSeconds: Int64) -> String {
        (unknownLines(listing) + lines(listing.blocks, nowUnixSeconds)).joined(separator: "\n")
    }

    private static func unknownLines(_ listing: BlockListing) -> [String] {
        guard let reason = listing.unknown else { return [] }
        return StatusTable.paragraph(
            "EVERY REQUEST IS REFUSED by this node: \(BlockListing.mend(Terminal.plain(reason)))")
    }

    private static func lines(_ blocks: [BlockView], _ now: Int64) -> [String] {
        guard !blocks.isEmpty else { return ["no block is in force"] }
        let head = blocks.count == 1 ? "1 block is in force" : "\(blocks.count) blocks are in force"
        return blocks.reduce(into: [head]) { lines, block in
            lines += indented(Terminal.plain(block.target), by: 2)
            lines += indented(Terminal.plain(block.reason), by: 6)
            var line = "since \(StatusTable.time(block.madeAtUnixSeconds)), by \(Terminal.plain(block.madeBy)), "
            line += block.expiresAtUnixSeconds.map { "ends in \(remaining(now, until: $0))" } ?? "until it is lifted"
            lines += indented(line + "; id \(Terminal.plain(String(block.id.prefix(idColumns))))", by: 6)
        }
    }

    private static func indented(_ text: String, by indent: Int) -> [String] {
        Terminal.wrapped(text, columns: StatusTable.columns - indent, indent: 2)
            .map { String(repeating: " ", count: indent) + $0 }
    }

    private static func remaining(_ now: Int64, until end: Int64) -> String { StatusTable.age(end, since: now) }
}

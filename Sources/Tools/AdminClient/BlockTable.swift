// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// The blocks that are in force, as text for people: pure functions of values. No line is wider than
/// the page.
package enum BlockTable {
    /// Digits of an id that are shown; `claviger unblock --id` takes as many.
    static let idColumns = 12

    /// - Parameter nowUnixSeconds: what the time to an end is counted from.
    package static func text(_ listing: BlockListing, nowUnixSeconds: Int64, on page: Page) -> String {
        page.finished(
            (unknownLines(listing, page) + lines(listing.blocks, nowUnixSeconds, page)).joined(separator: "\n"))
    }

    private static func unknownLines(_ listing: BlockListing, _ page: Page) -> [String] {
        guard let reason = listing.unknown else { return [] }
        return page.paragraph(
            "EVERY REQUEST IS REFUSED by this node: \(BlockListing.mend(page.plain(reason)))")
    }

    private static func lines(_ blocks: [BlockView], _ now: Int64, _ page: Page) -> [String] {
        guard !blocks.isEmpty else { return ["no block is in force"] }
        let head = blocks.count == 1 ? "1 block is in force" : "\(blocks.count) blocks are in force"
        return blocks.reduce(into: [head]) { lines, block in
            lines += page.item(page.plain(block.target), margin: 2, indent: 2)
            lines += page.item(page.plain(block.reason), margin: 6, indent: 2)
            var line = "since \(StatusTable.time(block.madeAtUnixSeconds)), by \(page.plain(block.madeBy)), "
            line += block.expiresAtUnixSeconds.map { "ends in \(remaining(now, until: $0))" } ?? "until it is lifted"
            lines += page.item(line + "; id \(page.plain(String(block.id.prefix(idColumns))))", margin: 6, indent: 2)
        }
    }

    private static func remaining(_ now: Int64, until end: Int64) -> String { StatusTable.age(end, since: now) }
}

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// A cluster as text for people: pure functions of values. No line is wider than the page.
package enum ClusterTable {
    /// Nodes that are shown, those with trouble first; JSON has all.
    static let nodesShown = 60
    /// Lines in a list of HSMs.
    static let hsmsShown = 40

    /// - Parameter nowUnixSeconds: what ages are counted to.
    package static func text(_ health: ClusterHealth, nowUnixSeconds: Int64, on page: Page) -> String {
        let sections = [
            heading(health, page), nodeLines(health, nowUnixSeconds, page), hsmLines(health.nodes, page),
            reasonLines(health, page), certificateLines(health.nodes, nowUnixSeconds, page),
            keyLines(health.nodes, page), blockLines(health.blocks, nowUnixSeconds, page),
        ]
        return page.finished(
            sections.filter { !$0.isEmpty }.map { $0.joined(separator: "\n") }.joined(separator: "\n\n"))
    }

    // MARK: Heading and reasons

    private static func heading(_ health: ClusterHealth, _ page: Page) -> [String] {
        let live = health.nodes.count(where: \.isLive)
        let node = Terminal.plain(health.node)
        let scope =
            health.isClustered
            ? "as \(node) sees it: \(live) of \(health.nodes.count) nodes live"
            : "\(node) stands alone, without [cluster]"
        return page.paragraph("cluster: \(health.verdict.rawValue), \(scope)")
    }

    private static func reasonLines(_ health: ClusterHealth, _ page: Page) -> [String] {
        if let conditions = health.conditions {
            return ConditionLines.lines(conditions, on: page) + droppedLines(health, page)
        }
        // A node of an earlier version.
        let reasons = health.reasons.flatMap { item("- ", $0, page) }
        let notes = health.notes.flatMap { item("", "note: \($0)", page) }
        return (reasons.isEmpty ? [] : ["what is wrong, the gravest first"] + reasons) + notes
            + droppedLines(health, page)
    }

    /// The first end of all: who renews certificates looks for it.
    private static func certificateLines(_ nodes: [ClusterNode], _ now: Int64, _ page: Page) -> [String] {
        let ends = nodes.filter(\.isLive).compactMap { node in node.certificateEnd.map { (node.name, $0) } }
        guard let (name, end) = ends.min(by: { $0.1 < $1.1 }) else { return [] }
        let (left, overflow) = end.subtractingReportingOverflow(now)
        let days = left / 86_400
        let when = overflow || left < 0 ? "has ended" : days == 1 ? "ends in 1 day" : "ends in \(days) days"
        return page.paragraph("certificates: the first of all, of node \(page.plain(name)), \(when)")
    }

    private static func droppedLines(_ health: ClusterHealth, _ page: Page) -> [String] {
        guard !health.dropped.isEmpty else { return [] }
        let counts = health.dropped.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        return item("", "dropped by \(health.node)'s cluster listener: " + counts.joined(separator: ", "), page)
    }

    private static func item(_ mark: String, _ text: String, _ page: Page) -> [String] {
        page.item(mark + page.plain(text), margin: 2, indent: 2)
    }

    // MARK: Nodes

    private static func nodeLines(_ health: ClusterHealth, _ now: Int64, _ page: Page) -> [String] {
        // This node stays first; then those that somebody must look at.
        let others = health.nodes.dropFirst()
        let ordered = health.nodes.prefix(1) + others.filter { !isWell($0) } + others.filter(isWell)
        let shown = ordered.prefix(nodesShown)
        var table = Table(columns: [
            .left("node", least: 10), .left("site", padded: 10, least: 6), .left("state", padded: 7),
            .right("since", padded: 5), .right("RTT ms", short: "RTT", padded: 6, rank: 2),
            .left("version", padded: 8, least: 7, rank: 1), .right("HSMs", padded: 5),
            .right("in flight", short: "busy", padded: 9, rank: 3), .left("differs in", short: "differs", least: 8),
        ])
        table.rows = shown.map { row($0, now, page) }
        var lines = table.lines(on: page)
        if ordered.count > shown.count {
            lines.append("… and \(ordered.count - shown.count) more: --json shows all")
        }
        return lines
    }

    private static func row(_ node: ClusterNode, _ now: Int64, _ page: Page) -> Table.Row {
        let usable = node.hsms.count { $0.state == .active && !$0.drained }
        return Table.Row(cells: [
            page.plain(node.name), page.plain(node.site), state(node),
            StatusTable.age(now, since: node.sinceUnixSeconds),
            node.roundTripMicroseconds.map { StatusTable.milliseconds(UInt64($0)) } ?? "-",
            page.plain(node.version.isEmpty ? "-" : node.version), "\(usable)/\(node.hsms.count)",
            "\(min(node.inFlight, 999_999_999))", differences(node, page),
        ])
    }

    /// In seven columns.
    private static func state(_ node: ClusterNode) -> String {
        if node.isLive && node.draining { return "ending" }
        return node.liveness == .unconfirmed ? "unconf." : node.liveness.rawValue
    }

    /// What the node says differently from this one, in few letters.
    private static func differences(_ node: ClusterNode, _ page: Page) -> String {
        let short = ["configuration": "conf", "canaries": "can", "blocks": "blk", "refused": "rfd"]
        let text = node.drift.map { short[$0] ?? page.plain($0) }.joined(separator: ",")
        return text.isEmpty ? "-" : text
    }

    private static func isWell(_ node: ClusterNode) -> Bool {
        node.liveness == .alive && !node.draining && node.drift.isEmpty && node.keysUnserved == 0
            && node.twinAddress == nil && node.restored == nil
            && node.hsms.allSatisfy { $0.state == .active && !$0.drained }
    }

    // MARK: HSMs and keys

    private static func hsmLines(_ nodes: [ClusterNode], _ page: Page) -> [String] {
        // What a dead node said of its HSMs is no news.
        let troubled = nodes.filter(\.isLive).flatMap { node in
            node.hsms.filter { $0.state != .active || $0.drained }.map { (node.name, $0) }
        }
        guard !troubled.isEmpty else { return [] }
        let sorted = troubled.filter { !$0.1.canServe } + troubled.filter { $0.1.canServe }
        var lines = ["HSMs that are not active, or drained"]
        for (node, hsm) in sorted.prefix(hsmsShown) {
            let facts = [("serial ", hsm.serial), ("", hsm.model)].filter { !$0.1.isEmpty }.map { $0.0 + $0.1 }
            let what = facts.isEmpty ? "" : " (\(facts.joined(separator: ", ")))"
            lines += item(
                "", "\(node): \(hsm.name)\(what): \(hsm.state.rawValue)\(hsm.drained ? ", drained" : "")", page)
        }
        if sorted.count > hsmsShown { lines.append("  … and \(sorted.count - hsmsShown) more: --json shows all") }
        return lines
    }

    private static func keyLines(_ nodes: [ClusterNode], _ page: Page) -> [String] {
        let troubled = nodes.filter { $0.isLive && !$0.unservedKeys.isEmpty }
        guard !troubled.isEmpty else { return [] }
        return troubled.prefix(hsmsShown).reduce(into: ["keys that a node offers and cannot serve"]) { lines, node in
            let labels = node.unservedKeys.prefix(8).joined(separator: ", ")
            let rest = node.keysUnserved - min(node.unservedKeys.count, 8)
            lines += item("", "\(node.name): \(labels)\(rest > 0 ? " and \(rest) more" : "")", page)
        }
    }

    // MARK: Blocks

    private static func blockLines(_ blocks: BlockListing, _ now: Int64, _ page: Page) -> [String] {
        guard !blocks.blocks.isEmpty || blocks.unknown != nil else { return [] }
        return [BlockTable.text(blocks, nowUnixSeconds: now, on: page)]
    }
}

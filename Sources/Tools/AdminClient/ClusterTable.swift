// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// A cluster as text for people: pure functions of values. No line is longer than `StatusTable.columns`.
package enum ClusterTable {
    /// Nodes that are shown, those with trouble first; JSON has all.
    static let nodesShown = 60
    /// Lines in a list of HSMs.
    static let hsmsShown = 40
    private static let nameColumns = 20
    private static let siteColumns = 10
    private static let versionColumns = 8

    /// - Parameter nowUnixSeconds: what ages are counted to.
    package static func text(_ health: ClusterHealth, nowUnixSeconds: Int64) -> String {
        let sections = [
            heading(health), nodeLines(health, nowUnixSeconds), hsmLines(health.nodes), reasonLines(health),
            keyLines(health.nodes), blockLines(health.blocks, nowUnixSeconds),
        ]
        return sections.filter { !$0.isEmpty }.map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
    }

    // MARK: Heading and reasons

    private static func heading(_ health: ClusterHealth) -> [String] {
        let live = health.nodes.count(where: \.isLive)
        let node = Terminal.plain(health.node)
        let scope =
            health.isClustered
            ? "as \(node) sees it: \(live) of \(health.nodes.count) nodes live"
            : "\(node) stands alone, without [cluster]"
        return StatusTable.paragraph("cluster: \(health.verdict.rawValue), \(scope)")
    }

    private static func reasonLines(_ health: ClusterHealth) -> [String] {
        let reasons = health.reasons.flatMap { item("- ", $0) }
        let notes = health.notes.flatMap { item("", "note: \($0)") }
        return (reasons.isEmpty ? [] : ["what is wrong, the gravest first"] + reasons) + notes + droppedLines(health)
    }

    private static func droppedLines(_ health: ClusterHealth) -> [String] {
        guard !health.dropped.isEmpty else { return [] }
        let counts = health.dropped.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        return item("", "dropped by \(health.node)'s cluster listener: " + counts.joined(separator: ", "))
    }

    private static func item(_ mark: String, _ text: String) -> [String] {
        Terminal.wrapped(mark + Terminal.plain(text), columns: StatusTable.columns - 2, indent: 2).map { "  " + $0 }
    }

    // MARK: Nodes

    private static func nodeLines(_ health: ClusterHealth, _ now: Int64) -> [String] {
        // This node stays first; then those that somebody must look at.
        let others = health.nodes.dropFirst()
        let ordered = health.nodes.prefix(1) + others.filter { !isWell($0) } + others.filter(isWell)
        let shown = ordered.prefix(nodesShown)
        let width = max(shown.map { Terminal.width(name($0)) }.max() ?? 0, 4)
        let head =
            Terminal.left("node", width) + "  " + Terminal.left("site", siteColumns) + "  state    since  RTT ms  "
            + Terminal.left("version", versionColumns) + "   HSMs  in flight  differs in"
        var lines = shown.reduce(into: [head]) { $0.append(line($1, width, now)) }
        if ordered.count > shown.count {
            lines.append("… and \(ordered.count - shown.count) more: --json shows all")
        }
        return lines
    }

    private static func line(_ node: ClusterNode, _ width: Int, _ now: Int64) -> String {
        let usable = node.hsms.count { $0.state == .active && !$0.drained }
        let cells = [
            Terminal.left(name(node), width),
            Terminal.left(Terminal.shortened(Terminal.plain(node.site), to: siteColumns), siteColumns),
            Terminal.left(state(node), 7),
            Terminal.right(StatusTable.age(now, since: node.sinceUnixSeconds), 5),
            Terminal.right(node.roundTripMicroseconds.map { StatusTable.milliseconds(UInt64($0)) } ?? "-", 6),
            Terminal.left(
                Terminal.shortened(Terminal.plain(node.version.isEmpty ? "-" : node.version), to: versionColumns),
                versionColumns),
            Terminal.right("\(usable)/\(node.hsms.count)", 5), Terminal.right("\(min(node.inFlight, 999_999_999))", 9),
            differences(node),
        ]
        return cells.joined(separator: "  ")
    }

    /// In seven columns.
    private static func state(_ node: ClusterNode) -> String {
        if node.isLive && node.draining { return "ending" }
        return node.liveness == .unconfirmed ? "unconf." : node.liveness.rawValue
    }

    private static func name(_ node: ClusterNode) -> String {
        Terminal.shortened(Terminal.plain(node.name), to: nameColumns)
    }

    /// What the node says differently from this one, shortened to twelve columns.
    private static func differences(_ node: ClusterNode) -> String {
        let short = ["configuration": "conf", "canaries": "can", "blocks": "blk", "refused": "rfd"]
        let text = node.drift.map { short[$0] ?? Terminal.plain($0) }.joined(separator: ",")
        return text.isEmpty ? "-" : Terminal.shortened(text, to: 12)
    }

    private static func isWell(_ node: ClusterNode) -> Bool {
        node.liveness == .alive && !node.draining && node.drift.isEmpty && node.keysUnserved == 0
            && node.twinAddress == nil && node.restored == nil
            && node.hsms.allSatisfy { $0.state == .active && !$0.drained }
    }

    // MARK: HSMs and keys

    private static func hsmLines(_ nodes: [ClusterNode]) -> [String] {
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
            lines += item("", "\(node): \(hsm.name)\(what): \(hsm.state.rawValue)\(hsm.drained ? ", drained" : "")")
        }
        if sorted.count > hsmsShown { lines.append("  … and \(sorted.count - hsmsShown) more: --json shows all") }
        return lines
    }

    private static func keyLines(_ nodes: [ClusterNode]) -> [String] {
        let troubled = nodes.filter { $0.isLive && !$0.unservedKeys.isEmpty }
        guard !troubled.isEmpty else { return [] }
        return troubled.prefix(hsmsShown).reduce(into: ["keys that a node offers and cannot serve"]) { lines, node in
            let labels = node.unservedKeys.prefix(8).joined(separator: ", ")
            let rest = node.keysUnserved - min(node.unservedKeys.count, 8)
            lines += item("", "\(node.name): \(labels)\(rest > 0 ? " and \(rest) more" : "")")
        }
    }

    // MARK: Blocks

    private static func blockLines(_ blocks: BlockListing, _ now: Int64) -> [String] {
        guard !blocks.blocks.isEmpty || blocks.unknown != nil else { return [] }
        return [BlockTable.text(blocks, nowUnixSeconds: now)]
    }
}

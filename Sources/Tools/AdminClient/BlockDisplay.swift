// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// Shows how an order reaches the nodes, a line for each as it comes to be known: a pure machine that is fed what the
/// node says each time it is asked.
package struct BlockDisplay: Sendable {
    /// What became of an order.
    package enum Outcome: Sendable, Equatable {
        /// Every node of the cluster has it on its disk.
        case everywhere
        /// It is done here; these nodes have not confirmed it.
        case unconfirmed([String])
        /// This node does not have it on its disk, or not yet: it may be gone after a restart.
        case notDurable
    }

    /// Most lines about nodes, and most names in the summary: what matters must not drown.
    static let mostLines = 40
    static let mostNames = 20

    private let page: Page
    private let isDurable: Bool
    private var shown: [String: BlockProgress.Node.State] = [:]
    private var latest: BlockProgress?
    private var written = 0
    private var leftOut = 0

    package init(_ receipt: BlockReceipt, on page: Page) {
        isDurable = receipt.durable
        self.page = page
    }

    /// Whether nothing more will come.
    package var isFinished: Bool { latest?.isFinished ?? false }

    /// The lines that are new, none while nothing is. A node that is waited for has none before the end; beyond
    /// `mostLines` they are counted.
    package mutating func lines(_ progress: BlockProgress) -> [String] {
        latest = progress
        return zip(progress.nodes, names(progress.nodes)).reduce(into: []) { lines, row in
            let (node, name) = row
            // An unreachable node is tried again as long as the order lasts: it is named when that is over.
            let isNews = node.state != .waiting && node.state != .unreachable
            guard isNews || progress.isFinished, shown[node.node] != node.state else { return }
            shown[node.node] = node.state
            lines += bounded(node, name)
        }
    }

    private mutating func bounded(_ node: BlockProgress.Node, _ name: String) -> [String] {
        guard written < Self.mostLines else {
            leftOut += 1
            return []
        }
        written += 1
        return lines(node, name).map(page.finished)
    }

    /// What is left to be said at the end: the nodes that no line has reported yet, and the result.
    package mutating func lastLines() -> [String] {
        let nodes = latest?.nodes ?? []
        var rest: [String] = []
        for (node, name) in zip(nodes, names(nodes)) where shown[node.node] == nil { rest += bounded(node, name) }
        if leftOut > 0 { rest.append("  … and \(leftOut) more lines: claviger cluster status shows all nodes") }
        return (rest + page.paragraph(summary(nodes))).map(page.finished)
    }

    package var outcome: Outcome {
        guard let nodes = latest?.nodes, let here = nodes.first else {
            return isDurable ? .unconfirmed([]) : .notDurable
        }
        // The disk may have taken longer than the answer.
        guard isDurable || here.state == .confirmed else { return .notDurable }
        let missing = nodes.filter { $0.state != .confirmed }.map(\.node)
        return missing.isEmpty ? .everywhere : .unconfirmed(missing)
    }

    // MARK: Words

    /// What is said before an order is given that not every node enforces as it is meant; none where all do.
    package static func warning(_ outlook: BlockOutlook, on page: Page) -> [String] {
        guard !outlook.unable.isEmpty else { return [] }
        let shown = outlook.unable.prefix(mostNames).map {
            "\(page.plain($0.node)) (\(page.plain($0.version)))"
        }
        let rest = outlook.unable.count > mostNames ? " and \(outlook.unable.count - mostNames) more" : ""
        let coarser = outlook.coarser.map { " What they would: \(page.plain($0))." } ?? ""
        return page.paragraph(
            "NOT ENFORCED AS IT IS MEANT by nodes of an earlier version: \(shown.joined(separator: ", "))\(rest). They block "
                + "from now on, and end it by their own clocks, too early where those are wrong. The order is given all the "
                + "same." + coarser)
    }

    /// Where every node that reports what a block hits says: nothing.
    private func nothing(_ nodes: [BlockProgress.Node]) -> String {
        let reported = nodes.compactMap(\.hits)
        guard nodes.count > 1, !reported.isEmpty, reported.allSatisfy({ $0.keyStores == 0 }) else { return "" }
        return " IT HITS NOTHING ON ANY NODE that has answered: look at how it is written."
    }

    private func summary(_ nodes: [BlockProgress.Node]) -> String {
        switch outcome {
        case .everywhere:
            return nodes.count == 1
                ? "The only node has it on disk." : "All \(nodes.count) nodes have it on disk." + nothing(nodes)
        case .notDurable where nodes.first?.state == .effective:
            let others = nodes.dropFirst().count { $0.state != .waiting && $0.state != .unreachable }
            return "It is done here, and NOT ON THIS NODE'S DISK YET: a restart before it is would lose it here. "
                + "\(others) of \(nodes.count - 1) other nodes have it. Give the order again to see it confirmed, or "
                + "look after the disk."
        case .notDurable:
            return "This node could not write it: it holds until the node ends. Mend the store (claviger status says "
                + "what ails it) and say it again."
        case .unconfirmed(let missing):
            guard !missing.isEmpty else { return "It is done here; whether other nodes have it is not known." }
            let rest = missing.count > Self.mostNames ? " and \(missing.count - Self.mostNames) more" : ""
            let names = missing.prefix(Self.mostNames).map(page.plain).joined(separator: ", ") + rest
            return "\(nodes.count - missing.count) of \(nodes.count) nodes have it on disk. NOT CONFIRMED: \(names). "
                + "A node that cannot be reached gets it as soon as it can; until then it goes by what it knew before. "
                + "claviger cluster status shows where it stands." + nothing(nodes)
        }
    }

    private func lines(_ node: BlockProgress.Node, _ name: String) -> [String] {
        let time = node.afterMilliseconds.map { "\(max($0, 0)) ms" } ?? ""
        let words =
            switch node.state {
            case .confirmed: "confirmed"
            case .effective: "done there, not on its disk yet"
            case .ineffective: "has it, and does NOT go by it"
            case .unwritten: "holds it, and could not write it"
            case .waiting: "has not answered yet"
            case .unreachable: "cannot be reached"
            }
        var line = "  " + name + "  " + Terminal.right(time, 8) + "  " + words
        if let hits = node.hits { line += ", \(self.words(hits))" }
        if let detail = node.detail, !detail.isEmpty { line += ": \(page.plain(detail))" }
        return hanging(line, indent: 14 + Terminal.width(name))
    }

    private func words(_ hits: BlockProgress.Hits) -> String {
        guard hits.keyStores > 0 else { return "hits NOTHING there" }
        return "hits \(hits.keys) \(hits.keys == 1 ? "key" : "keys") of \(hits.keyStores) "
            + (hits.keyStores == 1 ? "key store" : "key stores")
    }

    /// Wrapped, but for the blanks that the line begins and is filled with.
    private func hanging(_ line: String, indent: Int) -> [String] {
        guard let columns = page.columns, Terminal.width(line) > columns else { return [line] }
        let head = String(line.prefix(indent))
        let rest = Terminal.wrapped(String(line.dropFirst(indent)), columns: max(columns - indent, 20), indent: 2)
        return rest.enumerated().map {
            $0.offset == 0 ? head + $0.element : String(repeating: " ", count: indent) + $0.element
        }
    }

    /// All of one width.
    private func names(_ nodes: [BlockProgress.Node]) -> [String] {
        let names = page.names(nodes.map { page.plain($0.node) })
        let width = names.map(Terminal.width).max() ?? 0
        return names.map { Terminal.left($0, width) }
    }
}

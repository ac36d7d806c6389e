// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// The listeners of a node, and whom they turned away, for people: pure. Parts of the node's status; no line is longer
/// than that.
enum ListenerTable {
    /// Addresses and reasons that are shown, those of the last times first; JSON has all.
    static let refusalsShown = 10

    /// Nothing for a node that does not say it.
    static func connections(_ limits: LimitsStatus?) -> [String] {
        guard let limits, !limits.listeners.isEmpty else { return [] }
        let names = limits.listeners.map { Terminal.shortened(Terminal.plain($0.listener), to: 12) }
        let width = max(names.map(Terminal.width).max() ?? 0, "listener".count)
        let head =
            Terminal.left("listener", width)
            + "  connections  at most  authenticated  silent  closed for room  turned away"
        return zip(limits.listeners, names).reduce(into: [head]) { lines, row in
            let (listener, name) = row
            lines.append(
                Terminal.left(name, width) + "  " + Terminal.right("\(listener.connections)", 11)
                    + "  " + Terminal.right("\(listener.maxConnections)", 7)
                    + "  " + Terminal.right("\(listener.authenticated)", 13)
                    + "  " + Terminal.right("\(listener.silent)", 6)
                    + "  " + Terminal.right("\(listener.evicted)", 15)
                    + "  " + Terminal.right("\(listener.refused)", 11))
        }
    }

    /// Nothing where nobody was turned away.
    static func refusals(_ refusals: [RefusalStatus]?, nowUnixSeconds: Int64) -> [String] {
        guard let refusals, !refusals.isEmpty else { return [] }
        let latest = refusals.sorted { ($0.last, $0.count) > ($1.last, $1.count) }
        var lines = latest.prefix(refusalsShown).reduce(into: ["turned away since the start"]) { lines, refusal in
            let address = refusal.address.map(Terminal.plain) ?? "other addresses"
            var line = "\(Terminal.plain(refusal.listener)), \(address): \(Terminal.plain(refusal.kind)), "
            line += refusal.count == 1 ? "once" : "\(refusal.count) times"
            line += ", last \(StatusTable.age(nowUnixSeconds, since: refusal.last)) ago"
            if let detail = refusal.detail, !detail.isEmpty { line += " (\(Terminal.plain(detail)))" }
            if !refusal.cause.isEmpty { line += ": \(Terminal.plain(refusal.cause))" }
            lines += Terminal.wrapped(line, columns: StatusTable.columns - 2, indent: 4).map { "  " + $0 }
        }
        if refusals.count > refusalsShown {
            lines.append("  and \(refusals.count - refusalsShown) more: `claviger status --json`")
        }
        return lines
    }
}

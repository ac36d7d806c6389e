// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// The listeners of a node, and whom they turned away, for people: pure. Parts of the node's status.
enum ListenerTable {
    /// Addresses and reasons that are shown, those of the last times first; JSON has all.
    static let refusalsShown = 10

    /// Nothing for a node that does not say it.
    static func connections(_ limits: LimitsStatus?, on page: Page) -> [String] {
        guard let limits, !limits.listeners.isEmpty else { return [] }
        var table = Table(columns: [
            .left("listener", least: 8), .right("connections", short: "open"), .right("at most"),
            .right("authenticated", short: "authent.", rank: 2), .right("silent", rank: 1),
            .right("closed for room", short: "closed", rank: 3), .right("turned away", short: "refused"),
        ])
        table.rows = limits.listeners.map { listener in
            Table.Row(cells: [
                page.plain(listener.listener), "\(listener.connections)", "\(listener.maxConnections)",
                "\(listener.authenticated)", "\(listener.silent)", "\(listener.evicted)", "\(listener.refused)",
            ])
        }
        return table.lines(on: page)
    }

    /// Nothing where no quota has refused anything.
    static func quotas(_ quotas: [QuotaStatus]?, on page: Page) -> [String] {
        let refusing = (quotas ?? []).filter { $0.refusedByStore > 0 || $0.refusedByPrincipal > 0 }
        guard !refusing.isEmpty else { return [] }
        return refusing.reduce(into: ["requests over a quota"]) { lines, quota in
            let name = quota.keyStore.isEmpty ? "the key store without path_prefix" : page.plain(quota.keyStore)
            let last = quota.principalsRefused == 1 ? "1 principal" : "\(quota.principalsRefused) principals"
            lines += page.item(
                "\(name): \(quota.refusedByStore) over requests_per_second, \(quota.refusedByPrincipal) over "
                    + "principal_requests_per_second; in the last minute of \(last)",
                margin: 2, indent: 4)
        }
    }

    /// Nothing where nobody was turned away.
    static func refusals(_ refusals: [RefusalStatus]?, nowUnixSeconds: Int64, on page: Page) -> [String] {
        guard let refusals, !refusals.isEmpty else { return [] }
        let latest = refusals.sorted { ($0.last, $0.count) > ($1.last, $1.count) }
        var lines = latest.prefix(refusalsShown).reduce(into: ["turned away since the start"]) { lines, refusal in
            let address = refusal.address.map(page.plain) ?? "other addresses"
            var line = "\(page.plain(refusal.listener)), \(address): \(page.plain(refusal.kind)), "
            line += refusal.count == 1 ? "once" : "\(refusal.count) times"
            line += ", last \(StatusTable.age(nowUnixSeconds, since: refusal.last)) ago"
            if let detail = refusal.detail, !detail.isEmpty { line += " (\(page.plain(detail)))" }
            if !refusal.cause.isEmpty { line += ": \(page.plain(refusal.cause))" }
            lines += page.item(line, margin: 2, indent: 4)
        }
        if refusals.count > refusalsShown {
            lines.append("  and \(refusals.count - refusalsShown) more: `claviger status --json`")
        }
        return lines
    }
}

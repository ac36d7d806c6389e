// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// Credentials of key stores, for people: pure.
package enum CredentialTable {
    package static func text(_ credentials: [CredentialStatus], nowUnixSeconds: Int64, on page: Page) -> String {
        page.finished(lines(credentials, nowUnixSeconds, page).joined(separator: "\n"))
    }

    /// A part of the node's status: of key stores that have several credentials, as while one is replaced by another.
    static func several(_ credentials: [CredentialStatus]?, nowUnixSeconds: Int64, on page: Page) -> [String] {
        let all = credentials ?? []
        let counts = all.reduce(into: [String: Int]()) { $0[$1.keyStore, default: 0] += 1 }
        let shown = all.filter { counts[$0.keyStore, default: 0] > 1 }
        guard !shown.isEmpty else { return [] }
        return ["key stores with several credentials"] + lines(shown, nowUnixSeconds, page)
    }

    private static func lines(_ credentials: [CredentialStatus], _ now: Int64, _ page: Page) -> [String] {
        var table = Table(columns: [
            .left("key store", least: 8), .left("access key id", least: 12),
            .right("known for", short: "known", rank: 1),
            .right("last used"), .left("at", least: 6, rank: 2),
        ])
        table.rows = credentials.map { credential in
            Table.Row(cells: [
                credential.keyStore.isEmpty ? "(empty path prefix)" : page.plain(credential.keyStore),
                page.plain(credential.accessKeyId),
                credential.firstSeenUnixSeconds.map { StatusTable.age(now, since: $0) } ?? "-",
                credential.lastUsedUnixSeconds.map { lastUse(now, $0) } ?? "never",
                credential.lastUsedAt.map(page.plain) ?? "-",
            ])
        }
        return table.lines(on: page)
    }

    /// Uses are known to the minute.
    private static func lastUse(_ now: Int64, _ lastUsed: Int64) -> String {
        now - lastUsed < 120 ? "just now" : "\(StatusTable.age(now, since: lastUsed)) ago"
    }
}

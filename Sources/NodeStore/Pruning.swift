// SPDX-License-Identifier: Apache-2.0
import GRDB

/// What is too old to be kept. Canaries, drained HSMs, nodes, and blocks without an expiry have no age.
enum Pruning {
    /// Blocks that expired so long ago go, with their lifts: whoever brings one back brings back an expired one.
    static let daysAfterExpiry = 90

    static func run(_ db: Database, keptDays: Int, nowUnixSeconds: Int) throws {
        let oldest = nowUnixSeconds - max(1, min(keptDays, 36_500)) * 86_400
        try db.execute(sql: "DELETE FROM transition WHERE at_unix_milliseconds < ?", arguments: [oldest * 1_000])
        try db.execute(sql: "DELETE FROM hsm WHERE updated_unix_seconds < ?", arguments: [oldest])
        try db.execute(sql: "DELETE FROM key WHERE checked_unix_seconds < ?", arguments: [oldest])
        let expired = nowUnixSeconds - daysAfterExpiry * 86_400
        try BlockListRow.change(db) { _ in
            try db.execute(
                sql: """
                    DELETE FROM block_lift WHERE id IN (SELECT id FROM block WHERE expires_unix_seconds < :expired);
                    DELETE FROM block WHERE expires_unix_seconds < :expired
                    """, arguments: ["expired": expired])
        }
    }
}

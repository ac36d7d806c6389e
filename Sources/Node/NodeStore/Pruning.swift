// SPDX-License-Identifier: Apache-2.0
import GRDB

/// What is too old to be kept. Canaries, drained HSMs and nodes have no age; of blocks the list itself says what goes.
enum Pruning {
    static func run(_ db: Database, keptDays: Int, nowUnixSeconds: Int) throws {
        let oldest = nowUnixSeconds - max(1, min(keptDays, 36_500)) * 86_400
        try db.execute(sql: "DELETE FROM transition WHERE at_unix_milliseconds < ?", arguments: [oldest * 1_000])
        try db.execute(sql: "DELETE FROM hsm WHERE updated_unix_seconds < ?", arguments: [oldest])
        try db.execute(sql: "DELETE FROM key WHERE checked_unix_seconds < ?", arguments: [oldest])
        // Of blocks that a version deleted which does not know of this table.
        try db.execute(sql: "DELETE FROM block_term WHERE id NOT IN (SELECT id FROM block)")
    }
}

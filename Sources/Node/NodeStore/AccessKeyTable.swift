// SPDX-License-Identifier: Apache-2.0
import GRDB

/// What is known of an access key; nothing of its secret.
package struct StoredAccessKey: Sendable, Equatable, Codable {
    package var accessKeyID: String
    /// When a configuration of this node first had it; `nil` where none had.
    package var firstSeenUnixSeconds: Int?
    /// When a node of the cluster last took a request that it signed, to the minute, and which; `nil` where none did.
    package var lastUsedUnixSeconds: Int?
    package var lastUsedAt: String?

    package init(
        accessKeyID: String, firstSeenUnixSeconds: Int? = nil, lastUsedUnixSeconds: Int? = nil,
        lastUsedAt: String? = nil
    ) {
        self.accessKeyID = accessKeyID
        self.firstSeenUnixSeconds = firstSeenUnixSeconds
        self.lastUsedUnixSeconds = lastUsedUnixSeconds
        self.lastUsedAt = lastUsedAt
    }

    enum CodingKeys: String, CodingKey {
        case accessKeyID = "access_key_id"
        case firstSeenUnixSeconds = "first_seen_unix_seconds"
        case lastUsedUnixSeconds = "last_used_unix_seconds"
        case lastUsedAt = "last_used_at"
    }
}

extension StoredAccessKey: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "access_key"

    /// Two processes may note beside one another: the earlier first sight and the later use stay.
    func note(in db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO access_key (access_key_id, first_seen_unix_seconds, last_used_unix_seconds, last_used_at)
                VALUES (?, ?, ?, ?)
                ON CONFLICT (access_key_id) DO UPDATE SET
                    first_seen_unix_seconds = COALESCE(
                        MIN(first_seen_unix_seconds, excluded.first_seen_unix_seconds),
                        first_seen_unix_seconds, excluded.first_seen_unix_seconds),
                    last_used_at = CASE
                        WHEN excluded.last_used_unix_seconds > COALESCE(last_used_unix_seconds, 0)
                        THEN excluded.last_used_at ELSE last_used_at END,
                    last_used_unix_seconds = COALESCE(
                        MAX(last_used_unix_seconds, excluded.last_used_unix_seconds),
                        last_used_unix_seconds, excluded.last_used_unix_seconds)
                """, arguments: [accessKeyID, firstSeenUnixSeconds, lastUsedUnixSeconds, lastUsedAt])
    }
}

extension Schema {
    @Sendable
    static func accessKeys(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE access_key (
                    access_key_id TEXT PRIMARY KEY NOT NULL, first_seen_unix_seconds INTEGER,
                    last_used_unix_seconds INTEGER, last_used_at TEXT
                ) STRICT, WITHOUT ROWID
                """)
    }
}

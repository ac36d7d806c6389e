// SPDX-License-Identifier: Apache-2.0
import GRDB

/// How often another node has encrypted under a key, by what it told.
package struct StoredUsesElsewhere: Sendable, Equatable, Codable {
    package var node: String
    package var label: String
    /// Of its counts before it lost them.
    package var encryptsBefore: Int
    package var encrypts: Int

    package init(node: String, label: String, encryptsBefore: Int, encrypts: Int) {
        self.node = node
        self.label = label
        self.encryptsBefore = encryptsBefore
        self.encrypts = encrypts
    }

    enum CodingKeys: String, CodingKey {
        case node, label, encrypts
        case encryptsBefore = "encrypts_before"
    }

    /// Labels by their bytes.
    struct Name: Hashable, Sendable {
        var node: String
        var label: [UInt8]
    }

    var name: Name { Name(node: node, label: Array(label.utf8)) }
}

extension StoredUsesElsewhere: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "key_use_elsewhere"
    package static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .replace, update: .replace)
}

extension Schema {
    @Sendable
    static func usesElsewhere(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE key_use_elsewhere (
                    node TEXT NOT NULL, label TEXT NOT NULL,
                    encrypts_before INTEGER NOT NULL, encrypts INTEGER NOT NULL,
                    PRIMARY KEY (node, label)
                ) STRICT, WITHOUT ROWID
                """)
    }
}

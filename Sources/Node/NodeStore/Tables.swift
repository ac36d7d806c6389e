// SPDX-License-Identifier: Apache-2.0
import GRDB

// How the values stand in the tables. The columns are the values' coding keys.

private let replacing = PersistenceConflictPolicy(insert: .replace, update: .replace)

extension StoredHSM: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "hsm"
    package static let persistenceConflictPolicy = replacing
}

extension StoredTransition: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "transition"
    /// Written again after a loss of the file, by every process that remembers it: one row all the same.
    package static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .ignore, update: .ignore)

    /// The last `limit`, oldest first.
    static func latest(_ db: Database, limit: Int) throws -> [StoredTransition] {
        try fetchAll(
            db, sql: "SELECT * FROM transition ORDER BY at_unix_milliseconds DESC LIMIT ?", arguments: [max(0, limit)]
        ).reversed()
    }
}

extension StoredKey: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "key"
    package static let persistenceConflictPolicy = replacing
}

extension StoredNode: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "node"
    package static let persistenceConflictPolicy = replacing

    /// As it is, but for an incarnation that another process has raised further. Who knows nothing but an incarnation
    /// (`StoreMemory.setIncarnation`) leaves the rest as another process has reported it.
    func write(_ db: Database) throws {
        var row = self
        if let stored = try StoredNode.fetchOne(db, sql: "SELECT * FROM node WHERE id = ?", arguments: [id]) {
            if pid == 0 { row = stored }
            row.incarnation = max(incarnation, stored.incarnation)
        }
        try row.insert(db)
    }
}

extension StoredPeer: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "peer"
    package static let persistenceConflictPolicy = replacing
}

/// An HSM that an operator has drained.
struct DrainedRow: Sendable, Equatable, Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "drained"
    static let persistenceConflictPolicy = replacing

    var hsm: String
    var sinceUnixSeconds: Int

    enum CodingKeys: String, CodingKey {
        case hsm
        case sinceUnixSeconds = "since_unix_seconds"
    }
}

extension StoreBatch {
    /// Writes everything in it, inside the caller's transaction.
    func write(to db: Database, nowUnixSeconds: Int) throws {
        for hsm in hsms { try hsm.insert(db) }
        for transition in transitions { try transition.insert(db) }
        for key in keys { try key.insert(db) }
        for node in nodes { try node.write(db) }
        for canary in proof.kept.values {
            try canary.insert(db)
            try CanaryHistoryRow(canary).insert(db)
        }
        for label in proof.dropped {
            try db.execute(sql: "DELETE FROM canary WHERE label = ?", arguments: [label])
            try db.execute(sql: "DELETE FROM canary_history WHERE label = ?", arguments: [label])
        }
        for order in proof.forgets { try order.insert(db) }
        if let runningSeconds = proof.ranSeconds { try RunningTime.raise(db, to: runningSeconds) }
        for row in drained { try row.insert(db) }
        for hsm in undrained {
            try db.execute(sql: "DELETE FROM drained WHERE hsm = ?", arguments: [hsm])
        }
        for uses in keyUses { try uses.add(to: db) }
        for accessKey in accessKeys { try accessKey.note(in: db) }
        try AuditHeadTable.write(auditHeads, to: db)
        for uses in usesElsewhere { try uses.insert(db) }
        for peer in peers { try peer.insert(db) }
        for name in removedPeers {
            try db.execute(sql: "DELETE FROM peer WHERE name = ?", arguments: [name])
        }
        for change in peerChanges { try change.insert(db) }
        for order in nodeForgets { try order.insert(db) }
        for name in removedNodeForgets {
            try db.execute(sql: "DELETE FROM node_forget WHERE name = ?", arguments: [name])
        }
        // One page that every transaction writes: an empty batch, too, shows whether the file can be written.
        try db.execute(sql: "UPDATE store SET written_unix_seconds = ?", arguments: [nowUnixSeconds])
    }
}

/// What is too old to be kept. Canaries, drained HSMs and nodes have no age; of blocks the list itself says what goes.
enum Pruning {
    static func run(_ db: Database, keptDays: Int, nowUnixSeconds: Int) throws {
        let oldest = nowUnixSeconds - max(1, min(keptDays, 36_500)) * 86_400
        try db.execute(sql: "DELETE FROM transition WHERE at_unix_milliseconds < ?", arguments: [oldest * 1_000])
        try db.execute(sql: "DELETE FROM hsm WHERE updated_unix_seconds < ?", arguments: [oldest])
        try db.execute(sql: "DELETE FROM key WHERE checked_unix_seconds < ?", arguments: [oldest])
        try AuditHeadTable.prune(db, nowUnixSeconds: nowUnixSeconds)
        // Of blocks that a version deleted which does not know of this table.
        try db.execute(sql: "DELETE FROM block_term WHERE id NOT IN (SELECT id FROM block)")
    }
}

// SPDX-License-Identifier: Apache-2.0
import AccessControl
import GRDB

/// The tables. docs/internals/store.md explains them.
///
/// A migration only adds: during an upgrade, the process of the version before works on with the same file.
enum Schema {
    static var migrator: DatabaseMigrator { migrator(beginning: .known) }

    /// - Parameter beginning: what is known of a block list that starts empty in this file.
    static func migrator(beginning: BlockKnowledge) -> DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 HSMs, keys and lanes", foreignKeyChecks: .immediate, migrate: first)
        migrator.registerMigration("2 blocks and peers", foreignKeyChecks: .immediate) { db in
            try second(db, beginning)
        }
        migrator.registerMigration("3 histories of canaries", foreignKeyChecks: .immediate, migrate: keyTables)
        migrator.registerMigration("4 durations and changes of blocks", foreignKeyChecks: .immediate, migrate: fourth)
        migrator.registerMigration("5 uses of keys", foreignKeyChecks: .immediate, migrate: keyUses)
        migrator.registerMigration("6 forgotten nodes", foreignKeyChecks: .immediate, migrate: peerTables)
        migrator.registerMigration("7 uses of access keys", foreignKeyChecks: .immediate, migrate: accessKeys)
        migrator.registerMigration(
            "8 heads of audit logs", foreignKeyChecks: .immediate, migrate: AuditHeadTable.create)
        migrator.registerMigration("9 uses of keys elsewhere", foreignKeyChecks: .immediate, migrate: usesElsewhere)
        return migrator
    }

    @Sendable
    private static func first(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE store (
                    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
                    id TEXT NOT NULL,
                    written_unix_seconds INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE hsm (
                    name TEXT PRIMARY KEY NOT NULL,
                    module TEXT NOT NULL, token_label TEXT NOT NULL, serial TEXT NOT NULL,
                    vendor TEXT NOT NULL, model TEXT NOT NULL, firmware TEXT NOT NULL,
                    session_limit INTEGER,
                    state TEXT NOT NULL, reason TEXT NOT NULL, since_unix_seconds INTEGER NOT NULL,
                    p50_microseconds INTEGER NOT NULL, p95_microseconds INTEGER NOT NULL,
                    p99_microseconds INTEGER NOT NULL, failures INTEGER NOT NULL,
                    lanes_open INTEGER NOT NULL, lanes_busy INTEGER NOT NULL, lanes_overdue INTEGER NOT NULL,
                    worker_pid INTEGER,
                    updated_unix_seconds INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE transition (
                    at_unix_milliseconds INTEGER NOT NULL, hsm TEXT NOT NULL,
                    from_state TEXT NOT NULL, to_state TEXT NOT NULL, reason TEXT NOT NULL,
                    PRIMARY KEY (at_unix_milliseconds, hsm, from_state, to_state)
                ) STRICT, WITHOUT ROWID;

                CREATE TABLE key (
                    label TEXT NOT NULL, hsm TEXT NOT NULL,
                    verdict TEXT NOT NULL, detail TEXT NOT NULL, usage TEXT NOT NULL,
                    checked_unix_seconds INTEGER NOT NULL,
                    encrypts INTEGER NOT NULL, decrypts INTEGER NOT NULL,
                    PRIMARY KEY (label, hsm)
                ) STRICT, WITHOUT ROWID;

                CREATE TABLE canary (
                    label TEXT PRIMARY KEY NOT NULL,
                    iv BLOB NOT NULL, ciphertext BLOB NOT NULL, digest BLOB NOT NULL,
                    hsm TEXT NOT NULL, made_unix_seconds INTEGER NOT NULL,
                    trusted_by_operator INTEGER NOT NULL, dispute TEXT, checksum INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE drained (
                    hsm TEXT PRIMARY KEY NOT NULL, since_unix_seconds INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE node (
                    id TEXT PRIMARY KEY NOT NULL, incarnation INTEGER NOT NULL,
                    pid INTEGER NOT NULL, process_start INTEGER NOT NULL,
                    started_unix_seconds INTEGER NOT NULL, version TEXT NOT NULL
                ) STRICT;

                CREATE TABLE lane_limit (
                    token TEXT PRIMARY KEY NOT NULL, sessions INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE lane_ledger (
                    token TEXT NOT NULL, pid INTEGER NOT NULL, process_start INTEGER NOT NULL,
                    wanted INTEGER NOT NULL, floor INTEGER NOT NULL,
                    granted INTEGER NOT NULL, holding INTEGER NOT NULL,
                    PRIMARY KEY (token, pid, process_start)
                ) STRICT, WITHOUT ROWID;
                """)
        // The file's own name, so that a node notices when it has lost one file and works on another.
        try db.execute(
            sql: "INSERT INTO store (only_row, id, written_unix_seconds) VALUES (1, lower(hex(randomblob(16))), 0)")
    }

    private static func second(_ db: Database, _ beginning: BlockKnowledge) throws {
        try db.execute(
            sql: """
                CREATE TABLE peer (
                    name TEXT PRIMARY KEY NOT NULL,
                    address TEXT NOT NULL, site TEXT NOT NULL, incarnation INTEGER NOT NULL,
                    last_seen_unix_seconds INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE block (
                    id TEXT PRIMARY KEY NOT NULL,
                    target_kind TEXT NOT NULL, target_value TEXT NOT NULL, reason TEXT NOT NULL,
                    made_by TEXT NOT NULL, made_unix_seconds INTEGER NOT NULL, expires_unix_seconds INTEGER,
                    checksum INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE block_lift (
                    id TEXT PRIMARY KEY NOT NULL,
                    lifted_by TEXT NOT NULL, lifted_unix_seconds INTEGER NOT NULL, checksum INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE block_list (
                    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
                    unknown_reason TEXT, blocks INTEGER NOT NULL, lifts INTEGER NOT NULL, checksum INTEGER NOT NULL
                ) STRICT;
                """)
        try BlockListRow(unknownReason: beginning.doubt, blocks: 0, lifts: 0).insert(db)
    }

    @Sendable
    private static func fourth(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE block_term (
                    id TEXT PRIMARY KEY NOT NULL,
                    first_seen_unix_seconds INTEGER NOT NULL, ends_unix_seconds INTEGER NOT NULL,
                    checksum INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE block_count (
                    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
                    changes INTEGER NOT NULL, checksum INTEGER NOT NULL
                ) STRICT;
                """)
        try BlockTables(db).begin()
    }

    /// Everything the file says, but for the lane ledger. Throws what makes the file unusable.
    static func contents(of db: Database, transitions: Int) throws -> StoreContents {
        StoreContents(rows: try rows(of: db, transitions: transitions), blocks: try BlockTables(db).contents())
    }

    /// As above, without the block list.
    static func rows(of db: Database, transitions: Int) throws -> StoreRows {
        let id = try String.fetchOne(db, sql: "SELECT id FROM store WHERE only_row = 1")
        guard let id, !id.isEmpty else { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "it has no name") }
        return StoreRows(
            id: id,
            hsms: try StoredHSM.fetchAll(db, sql: "SELECT * FROM hsm"),
            keys: try StoredKey.fetchAll(db, sql: "SELECT * FROM key"),
            canaries: try StoreContents.canaries(of: db),
            drained: try DrainedRow.fetchAll(db, sql: "SELECT * FROM drained"),
            nodes: try StoredNode.fetchAll(db, sql: "SELECT * FROM node"),
            transitions: try StoredTransition.latest(db, limit: transitions),
            peers: try StoredPeer.fetchAll(db, sql: "SELECT * FROM peer"),
            forgets: try StoredForget.fetchAll(db, sql: "SELECT * FROM key_forget"),
            runningSeconds: try RunningTime.seconds(db),
            keyUses: try StoredKeyUses.fetchAll(db, sql: "SELECT * FROM key_use"),
            peerChanges: try StoredPeerChanges.fetchAll(db, sql: "SELECT * FROM peer_change"),
            nodeForgets: try StoredNodeForget.fetchAll(db, sql: "SELECT * FROM node_forget"),
            accessKeys: try StoredAccessKey.fetchAll(db, sql: "SELECT * FROM access_key"),
            usesElsewhere: try StoredUsesElsewhere.fetchAll(db, sql: "SELECT * FROM key_use_elsewhere"))
    }
}

/// What a file held when it was opened.
struct StoreContents {
    var rows: StoreRows
    var blocks: (file: BlockFile, head: BlockHead)
}

/// All of it but the block list.
struct StoreRows: Sendable {
    var id: String
    var hsms: [StoredHSM]
    var keys: [StoredKey]
    var canaries: [StoredCanary]
    var drained: [DrainedRow]
    var nodes: [StoredNode]
    /// Oldest first.
    var transitions: [StoredTransition]
    var peers: [StoredPeer]
    var forgets: [StoredForget]
    var runningSeconds: Int
    var keyUses: [StoredKeyUses]
    var peerChanges: [StoredPeerChanges]
    var nodeForgets: [StoredNodeForget]
    var accessKeys: [StoredAccessKey]
    var usesElsewhere: [StoredUsesElsewhere]
}

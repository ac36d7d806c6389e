// SPDX-License-Identifier: Apache-2.0
import GRDB

// How the block list stands in the tables. Each row bears a checksum, and `block_list` says how many there are: a list
// that lacks one is as bad as none, and is found out.

private let replacing = PersistenceConflictPolicy(insert: .replace, update: .replace)

extension StoredBlock: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "block"
    package static let persistenceConflictPolicy = replacing

    package init(row: Row) throws {
        self.init(
            id: try row.decode(forColumn: "id"),
            targetKind: try row.decode(forColumn: "target_kind"),
            targetValue: try row.decode(forColumn: "target_value"),
            reason: try row.decode(forColumn: "reason"),
            madeBy: try row.decode(forColumn: "made_by"),
            madeUnixSeconds: try row.decode(forColumn: "made_unix_seconds"),
            expiresUnixSeconds: try row.decode(forColumn: "expires_unix_seconds"))
        try checksum.check(row, "a block")
    }

    package func encode(to container: inout PersistenceContainer) {
        container["id"] = id
        container["target_kind"] = targetKind
        container["target_value"] = targetValue
        container["reason"] = reason
        container["made_by"] = madeBy
        container["made_unix_seconds"] = madeUnixSeconds
        container["expires_unix_seconds"] = expiresUnixSeconds
        container["checksum"] = checksum.value
    }

    private var checksum: RowChecksum {
        var sum = RowChecksum()
        for field in [id, targetKind, targetValue, reason, madeBy] { sum.add(field) }
        sum.add(madeUnixSeconds)
        sum.add(expiresUnixSeconds)
        return sum
    }
}

extension StoredBlockLift: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "block_lift"
    package static let persistenceConflictPolicy = replacing

    package init(row: Row) throws {
        self.init(
            id: try row.decode(forColumn: "id"), liftedBy: try row.decode(forColumn: "lifted_by"),
            liftedUnixSeconds: try row.decode(forColumn: "lifted_unix_seconds"))
        try checksum.check(row, "a lift")
    }

    package func encode(to container: inout PersistenceContainer) {
        container["id"] = id
        container["lifted_by"] = liftedBy
        container["lifted_unix_seconds"] = liftedUnixSeconds
        container["checksum"] = checksum.value
    }

    private var checksum: RowChecksum {
        var sum = RowChecksum()
        sum.add(id)
        sum.add(liftedBy)
        sum.add(liftedUnixSeconds)
        return sum
    }
}

/// The one row of `block_list`: whether the list is known, and how long it is.
struct BlockListRow: Equatable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "block_list"
    static let persistenceConflictPolicy = replacing

    var unknownReason: String?
    var blocks: Int
    var lifts: Int

    init(unknownReason: String?, blocks: Int, lifts: Int) {
        self.unknownReason = unknownReason
        self.blocks = blocks
        self.lifts = lifts
    }

    init(row: Row) throws {
        self.init(
            unknownReason: try row.decode(forColumn: "unknown_reason"), blocks: try row.decode(forColumn: "blocks"),
            lifts: try row.decode(forColumn: "lifts"))
        try checksum.check(row, "the block list's head")
    }

    func encode(to container: inout PersistenceContainer) {
        container["only_row"] = 1
        container["unknown_reason"] = unknownReason
        container["blocks"] = blocks
        container["lifts"] = lifts
        container["checksum"] = checksum.value
    }

    private var checksum: RowChecksum {
        var sum = RowChecksum()
        sum.add(unknownReason)
        sum.add(blocks)
        sum.add(lifts)
        return sum
    }

    /// Changes the list's tables, and writes down how long it is then. Throws what sets the file aside when the list was
    /// not whole before: its new length would hide that.
    static func change(_ db: Database, _ body: (inout BlockListRow) throws -> Void) throws {
        let before = try head(db)
        guard try lengths(db) == (before.blocks, before.lifts) else { throw notWhole }
        var row = before
        try body(&row)
        (row.blocks, row.lifts) = try lengths(db)
        if row != before { try row.insert(db) }
    }

    private static func lengths(_ db: Database) throws -> (Int, Int) {
        (try StoredBlock.fetchCount(db), try StoredBlockLift.fetchCount(db))
    }

    private static let notWhole = DatabaseError(
        resultCode: .SQLITE_CORRUPT, message: "the block list is not as long as its head says")

    /// The list. Throws what sets the file aside when it is not whole.
    static func contents(of db: Database) throws -> StoredBlockList {
        let head = try head(db)
        let blocks = try StoredBlock.fetchAll(db, sql: "SELECT * FROM block")
        let lifts = try StoredBlockLift.fetchAll(db, sql: "SELECT * FROM block_lift")
        guard blocks.count == head.blocks, lifts.count == head.lifts else { throw notWhole }
        return StoredBlockList(
            blocks: blocks, lifts: lifts, condition: head.unknownReason.map { .unknown(reason: $0) } ?? .known)
    }

    private static func head(_ db: Database) throws -> BlockListRow {
        guard let row = try fetchOne(db, sql: "SELECT * FROM block_list WHERE only_row = 1") else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the block list has no head")
        }
        return row
    }
}

// SPDX-License-Identifier: Apache-2.0
import AccessControl
import GRDB

// How the block list stands in the tables. Each row bears a checksum, and `block_list` says how many there are: a list
// that lacks one is as bad as none, and is found out.

private let replacing = PersistenceConflictPolicy(insert: .replace, update: .replace)

/// A block. Its fields are not looked at here: a row that cannot be a block makes the list unknown, not the file corrupt.
private struct BlockRow: FetchableRecord, PersistableRecord {
    static let databaseTableName = "block"
    static let persistenceConflictPolicy = replacing

    var id: String
    var targetKind: String
    var targetValue: String
    var reason: String
    var madeBy: String
    var madeUnixSeconds: Int
    var expiresUnixSeconds: Int?

    init(_ block: Block) {
        id = block.id
        targetKind = block.target.kind
        targetValue = block.target.value
        reason = block.reason
        madeBy = block.madeBy
        madeUnixSeconds = Int(clamping: block.madeAt)
        expiresUnixSeconds = block.expiresAt.map { Int(clamping: $0) }
    }

    init(row: Row) throws {
        id = try row.decode(forColumn: "id")
        targetKind = try row.decode(forColumn: "target_kind")
        targetValue = try row.decode(forColumn: "target_value")
        reason = try row.decode(forColumn: "reason")
        madeBy = try row.decode(forColumn: "made_by")
        madeUnixSeconds = try row.decode(forColumn: "made_unix_seconds")
        expiresUnixSeconds = try row.decode(forColumn: "expires_unix_seconds")
        try checksum.check(row, "a block")
    }

    func encode(to container: inout PersistenceContainer) {
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

    func block() throws(BlockError) -> Block {
        let block = Block(
            id: id, target: try BlockTarget(kind: targetKind, value: targetValue), reason: reason,
            madeAt: Int64(madeUnixSeconds), expiresAt: expiresUnixSeconds.map(Int64.init), madeBy: madeBy)
        try block.validate()
        return block
    }
}

private struct LiftRow: FetchableRecord, PersistableRecord {
    static let databaseTableName = "block_lift"
    static let persistenceConflictPolicy = replacing

    var lift: BlockLift

    init(_ lift: BlockLift) { self.lift = lift }

    init(row: Row) throws {
        lift = BlockLift(
            id: try row.decode(forColumn: "id"), liftedAt: try row.decode(forColumn: "lifted_unix_seconds"),
            liftedBy: try row.decode(forColumn: "lifted_by"))
        try checksum.check(row, "a lift")
    }

    func encode(to container: inout PersistenceContainer) {
        container["id"] = lift.id
        container["lifted_by"] = lift.liftedBy
        container["lifted_unix_seconds"] = lift.liftedAt
        container["checksum"] = checksum.value
    }

    private var checksum: RowChecksum {
        var sum = RowChecksum()
        sum.add(lift.id)
        sum.add(lift.liftedBy)
        sum.add(Int(clamping: lift.liftedAt))
        return sum
    }
}

/// When a block with a duration ends on this node. A version that does not know of it leaves the row out.
private struct TermRow: FetchableRecord, PersistableRecord {
    static let databaseTableName = "block_term"
    static let persistenceConflictPolicy = replacing

    var id: String
    var term: BlockTerm

    init(id: String, term: BlockTerm) {
        self.id = id
        self.term = term
    }

    init(row: Row) throws {
        id = try row.decode(forColumn: "id")
        term = BlockTerm(
            firstSeen: try row.decode(forColumn: "first_seen_unix_seconds"),
            endsAt: try row.decode(forColumn: "ends_unix_seconds"))
        try checksum.check(row, "the end of a block")
    }

    func encode(to container: inout PersistenceContainer) {
        container["id"] = id
        container["first_seen_unix_seconds"] = term.firstSeen
        container["ends_unix_seconds"] = term.endsAt
        container["checksum"] = checksum.value
    }

    private var checksum: RowChecksum {
        var sum = RowChecksum()
        sum.add(id)
        sum.add(Int(clamping: term.firstSeen))
        sum.add(Int(clamping: term.endsAt))
        return sum
    }
}

/// The one row of `block_list`: whether the list is known, and how long it is.
struct BlockListRow: Equatable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "block_list"
    static let persistenceConflictPolicy = replacing

    /// Why the list is not known. A node that never had one says so by `BlockKnowledge.newcomer`, which a version that
    /// does not know of such nodes takes for any other reason: it refuses, too.
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

    fileprivate var knowledge: BlockKnowledge {
        switch unknownReason {
        case nil: .known
        case BlockKnowledge.newcomer: .none
        case .some(let reason): .unknown(reason)
        }
    }
}

/// The one row of `block_count`: how many durable changes the list has seen.
private struct CountRow: FetchableRecord, PersistableRecord {
    static let databaseTableName = "block_count"
    static let persistenceConflictPolicy = replacing

    var changes: Int

    init(changes: Int) { self.changes = changes }

    init(row: Row) throws {
        changes = try row.decode(forColumn: "changes")
        try checksum.check(row, "the count of changes")
    }

    func encode(to container: inout PersistenceContainer) {
        container["only_row"] = 1
        container["changes"] = changes
        container["checksum"] = checksum.value
    }

    private var checksum: RowChecksum {
        var sum = RowChecksum()
        sum.add(changes)
        return sum
    }
}

/// Whether the list in the file may be another than before.
struct BlockHead: Equatable {
    fileprivate var list: BlockListRow
    fileprivate var changes: Int
}

/// The tables of the block list, inside one transaction.
struct BlockTables {
    private let db: Database

    init(_ db: Database) { self.db = db }

    /// From now on the list's changes are counted.
    func begin() throws { try CountRow(changes: 0).insert(db) }

    /// Throws what sets the file aside when the list has no head.
    func head() throws -> BlockHead {
        guard let row = try BlockListRow.fetchOne(db, sql: "SELECT * FROM block_list WHERE only_row = 1") else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the block list has no head")
        }
        guard let count = try CountRow.fetchOne(db, sql: "SELECT * FROM block_count WHERE only_row = 1") else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the block list has no count")
        }
        return BlockHead(list: row, changes: count.changes)
    }

    /// The list. Throws what sets the file aside when it is not whole. A row that cannot be an order makes it unknown.
    func contents() throws -> (file: BlockFile, head: BlockHead) {
        let head = try head()
        let rows = try BlockRow.fetchAll(db, sql: "SELECT * FROM block")
        let lifts = try LiftRow.fetchAll(db, sql: "SELECT * FROM block_lift").map(\.lift)
        guard rows.count == head.list.blocks, lifts.count == head.list.lifts else { throw Self.notWhole }
        let terms = try TermRow.fetchAll(db, sql: "SELECT * FROM block_term")
        var blocks: [Block] = []
        var damage: String?
        for row in rows {
            do throws(BlockError) { blocks.append(try row.block()) } catch {
                damage = "the store holds a block that cannot be read: \(error)"
            }
        }
        for lift in lifts {
            do throws(BlockError) { try lift.validate() } catch {
                damage = "the store holds a lift that cannot be read: \(error)"
            }
        }
        var knowledge = head.list.knowledge
        if let damage, knowledge == .known { knowledge = .unknown(damage) }
        let list = BlockList(
            blocks: blocks, lifts: lifts.filter { (try? $0.validate()) != nil },
            terms: Dictionary(terms.map { ($0.id, $0.term) }, uniquingKeysWith: { first, _ in first }),
            knowledge: knowledge)
        return (BlockFile(list: list, changes: UInt64(clamping: head.changes)), head)
    }

    /// Writes what the file lacks, and how long the list is then. Throws what sets the file aside when the list was not
    /// whole before: its new length would hide that.
    ///
    /// - Returns: the changes counted now.
    func write(_ batch: BlockRegister.Batch) throws -> (changes: UInt64, head: BlockHead) {
        let before = try head()
        guard try lengths() == (before.list.blocks, before.list.lifts) else { throw Self.notWhole }
        for entry in batch.kept {
            try BlockRow(entry.block).insert(db)
            if let lift = entry.lift { try LiftRow(lift).insert(db) }
            if let term = batch.terms[entry.block.id] { try TermRow(id: entry.block.id, term: term).insert(db) }
        }
        for id in batch.forgotten {
            for table in ["block", "block_lift", "block_term"] {
                try db.execute(sql: "DELETE FROM \(table) WHERE id = ?", arguments: [id])
            }
        }
        var row = before.list
        (row.blocks, row.lifts) = try lengths()
        if let knowledge = batch.knowledge { row.unknownReason = knowledge.doubt }
        if row != before.list { try row.insert(db) }
        let count = CountRow(changes: Int(clamping: batch.count(after: UInt64(clamping: before.changes))))
        try count.insert(db)
        return (UInt64(clamping: count.changes), BlockHead(list: row, changes: count.changes))
    }

    private func lengths() throws -> (Int, Int) {
        (try BlockRow.fetchCount(db), try LiftRow.fetchCount(db))
    }

    private static let notWhole = DatabaseError(
        resultCode: .SQLITE_CORRUPT, message: "the block list is not as long as its head says")
}

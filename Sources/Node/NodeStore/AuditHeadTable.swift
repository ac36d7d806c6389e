// SPDX-License-Identifier: Apache-2.0
import GRDB

/// The end of a node's audit log at some time, as that node has signed it. Times are Unix seconds.
package struct StoredAuditHead: Sendable, Equatable {
    package var node: String
    package var chain: Int
    package var run: Int
    package var seq: Int
    package var hash: String
    /// By the clock of the node that signed.
    package var signedUnixSeconds: Int
    /// By the clock of this one.
    package var keptUnixSeconds: Int
    package var signature: String
    /// Whose key it is, as JSON.
    package var signer: String
    /// It does not fit what was known before.
    package var contradicts: Bool

    package init(
        node: String, chain: Int, run: Int, seq: Int, hash: String, signedUnixSeconds: Int, keptUnixSeconds: Int,
        signature: String, signer: String, contradicts: Bool = false
    ) {
        self.node = node
        self.chain = chain
        self.run = run
        self.seq = seq
        self.hash = hash
        self.signedUnixSeconds = signedUnixSeconds
        self.keptUnixSeconds = keptUnixSeconds
        self.signature = signature
        self.signer = signer
        self.contradicts = contradicts
    }
}

/// A head that is kept no longer: a later one of its run stands for it.
package struct ReplacedAuditHead: Sendable, Equatable {
    package var node: String
    package var chain: Int
    package var seq: Int

    package init(node: String, chain: Int, seq: Int) {
        self.node = node
        self.chain = chain
        self.seq = seq
    }
}

/// Heads that the file lacks. What the file has is not kept in memory: there are thousands.
struct AuditHeadMemory: Sendable {
    /// Most that wait while the file cannot be written; older ones are let go.
    private static let most = 10_000
    private var new: [StoredAuditHead] = []
    private var replaced: [ReplacedAuditHead] = []

    struct Batch: Sendable {
        var new: [StoredAuditHead] = []
        var replaced: [ReplacedAuditHead] = []
        var isEmpty: Bool { new.isEmpty && replaced.isEmpty }
    }

    mutating func add(_ head: StoredAuditHead, replacing old: ReplacedAuditHead?) {
        new.append(head)
        if let old {
            new.removeAll { $0.node == old.node && $0.chain == old.chain && $0.seq == old.seq && !$0.contradicts }
            replaced.append(old)
        }
        if new.count > Self.most { new.removeFirst(new.count - Self.most) }
        if replaced.count > Self.most { replaced.removeFirst(replaced.count - Self.most) }
    }

    mutating func take() -> Batch {
        defer { (new, replaced) = ([], []) }
        return Batch(new: new, replaced: replaced)
    }

    mutating func giveBack(_ batch: Batch) {
        new = batch.new + new
        replaced = batch.replaced + replaced
    }
}

enum AuditHeadTable {
    /// How long heads are kept, and how long all of them; later one an hour of each run, seconds.
    private static let kept = 400 * 86_400
    private static let keptWhole = 86_400

    @Sendable
    static func create(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE audit_signer (id INTEGER PRIMARY KEY, content TEXT NOT NULL UNIQUE) STRICT;

                CREATE TABLE audit_head (
                    node TEXT NOT NULL, chain INTEGER NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL,
                    run INTEGER NOT NULL, signed_unix_seconds INTEGER NOT NULL, kept_unix_seconds INTEGER NOT NULL,
                    signature TEXT NOT NULL, signer INTEGER NOT NULL REFERENCES audit_signer (id),
                    contradicts INTEGER NOT NULL,
                    PRIMARY KEY (node, chain, seq, hash)
                ) STRICT, WITHOUT ROWID;
                """)
    }

    static func write(_ batch: AuditHeadMemory.Batch, to db: Database) throws {
        for head in batch.new {
            try db.execute(sql: "INSERT OR IGNORE INTO audit_signer (content) VALUES (?)", arguments: [head.signer])
            try db.execute(
                sql: """
                    INSERT OR IGNORE INTO audit_head
                    SELECT ?, ?, ?, ?, ?, ?, ?, ?, id, ? FROM audit_signer WHERE content = ?
                    """,
                arguments: [
                    head.node, head.chain, head.seq, head.hash, head.run, head.signedUnixSeconds, head.keptUnixSeconds,
                    head.signature, head.contradicts, head.signer,
                ])
        }
        for old in batch.replaced {
            try db.execute(
                sql: "DELETE FROM audit_head WHERE node = ? AND chain = ? AND seq = ? AND contradicts = 0",
                arguments: [old.node, old.chain, old.seq])
        }
    }

    /// The last ones of each chain, in the order of nodes, chains and numbers.
    ///
    /// - Parameters:
    ///   - node: `nil` for all.
    ///   - limit: of each chain.
    static func read(_ db: Database, node: String?, limit: Int) throws -> [StoredAuditHead] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT * FROM (
                    SELECT audit_head.*, content,
                        row_number() OVER (PARTITION BY node, chain ORDER BY seq DESC, kept_unix_seconds DESC) AS place
                    FROM audit_head JOIN audit_signer ON audit_signer.id = audit_head.signer
                    WHERE ? IS NULL OR node = ?
                ) WHERE place <= ? ORDER BY node, chain, seq, kept_unix_seconds
                """, arguments: [node, node, limit])
        return rows.map { row in
            StoredAuditHead(
                node: row["node"], chain: row["chain"], run: row["run"], seq: row["seq"], hash: row["hash"],
                signedUnixSeconds: row["signed_unix_seconds"], keptUnixSeconds: row["kept_unix_seconds"],
                signature: row["signature"], signer: row["content"], contradicts: row["contradicts"])
        }
    }

    /// The newest of a chain stays whatever its age.
    static func prune(_ db: Database, nowUnixSeconds now: Int) throws {
        let isNotNewest =
            "EXISTS (SELECT 1 FROM audit_head AS other WHERE other.node = audit_head.node AND other.chain = audit_head.chain "
            + "AND other.seq > audit_head.seq AND other.contradicts = 0"
        try db.execute(
            sql: "DELETE FROM audit_head WHERE kept_unix_seconds < ? AND \(isNotNewest))", arguments: [now - kept])
        try db.execute(
            sql: """
                DELETE FROM audit_head WHERE kept_unix_seconds < ? AND contradicts = 0 AND \(isNotNewest)
                AND other.run = audit_head.run
                AND other.kept_unix_seconds / 3600 = audit_head.kept_unix_seconds / 3600)
                """, arguments: [now - keptWhole])
        try db.execute(sql: "DELETE FROM audit_signer WHERE id NOT IN (SELECT signer FROM audit_head)")
    }
}

extension NodeStore {
    /// Written within a second.
    ///
    /// - Parameter old: one that is kept no longer.
    package func record(auditHead head: StoredAuditHead, replacing old: ReplacedAuditHead? = nil) {
        remember(urgently: false) { $0.record(head, replacing: old) }
    }

    /// The last heads of each chain that the file has, in the order of nodes, chains and numbers; empty while it cannot be
    /// read. Blocks, for a second at most.
    ///
    /// - Parameters:
    ///   - node: whose; `nil` for all.
    ///   - limit: of each chain.
    package func auditHeads(of node: String?, limit: Int) -> [StoredAuditHead] {
        onQueue { [self] in
            flush(durable: false, evenIfEmpty: false)
            return attempt { () throws(StoreError) in
                try self.writer.read { try AuditHeadTable.read($0, node: node, limit: limit) }
            }
        }.flatMap { $0 } ?? []
    }
}

extension StoreReader {
    /// The last heads of each chain that the file has, in the order of nodes, chains and numbers.
    package func auditHeads(of node: String?, limit: Int) throws(StoreError) -> [StoredAuditHead] {
        try read { try AuditHeadTable.read($0, node: node, limit: limit) }
    }
}

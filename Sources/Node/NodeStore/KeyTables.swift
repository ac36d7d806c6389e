// SPDX-License-Identifier: Apache-2.0
import Foundation
import GRDB

// What is kept of keys beside the canaries themselves, in tables of their own: a process of the version before works on
// with the same file. Rows that decide something bear a checksum (`RowChecksum`).

extension Schema {
    @Sendable
    static func keyTables(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE canary_history (
                    label TEXT PRIMARY KEY NOT NULL, digest BLOB NOT NULL,
                    provers TEXT NOT NULL, replaces BLOB NOT NULL, rivals BLOB NOT NULL,
                    serving_since_seconds INTEGER, is_unconfirmed INTEGER NOT NULL, was_contested INTEGER NOT NULL,
                    outlived_unix_seconds INTEGER, checksum INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE key_forget (
                    label TEXT NOT NULL, canaries BLOB NOT NULL,
                    given_unix_seconds INTEGER NOT NULL, author TEXT NOT NULL, checksum INTEGER NOT NULL,
                    PRIMARY KEY (label, canaries, given_unix_seconds, author)
                ) STRICT, WITHOUT ROWID;

                CREATE TABLE running_time (
                    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), seconds INTEGER NOT NULL
                ) STRICT;
                """)
    }
}

/// What has become of a canary.
package struct StoredCanaryHistory: Sendable, Equatable {
    /// Serial numbers of the HSMs that have opened it.
    package var provers: [String] = []
    /// Ids of the orders that it replaces, 32 bytes each.
    package var replaces: [[UInt8]] = []
    /// Ids of the orders that contradict it, 32 bytes each.
    package var rivals: [[UInt8]] = []
    /// Running time of the node at which it began to serve.
    package var servingSinceSeconds: Int?
    package var isUnconfirmed = false
    package var wasContested = false
    package var outlivedUnixSeconds: Int?

    package init() {}
}

/// An order to forget the canaries of a key.
package struct StoredForget: Sendable, Hashable {
    package var label: String
    /// Digests, 32 bytes each.
    package var canaries: [[UInt8]]
    package var givenUnixSeconds: Int
    package var author: String

    package init(label: String, canaries: [[UInt8]], givenUnixSeconds: Int, author: String) {
        self.label = label
        self.canaries = canaries
        self.givenUnixSeconds = givenUnixSeconds
        self.author = author
    }
}

/// One row of `canary_history`. It belongs to the canary of its digest: what a process of another version has put in
/// the canary's row has none.
struct CanaryHistoryRow: FetchableRecord, PersistableRecord {
    static let databaseTableName = "canary_history"
    static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .replace, update: .replace)

    var label: String
    var digest: [UInt8]
    var history: StoredCanaryHistory

    init(_ canary: StoredCanary) {
        (label, digest, history) = (canary.label, canary.digest, canary.history)
    }

    init(row: Row) throws {
        label = try row.decode(forColumn: "label")
        digest = [UInt8](try row.decode(Data.self, forColumn: "digest"))
        history = StoredCanaryHistory()
        history.provers = try Self.texts(try row.decode(forColumn: "provers"))
        history.replaces = try digests(try row.decode(Data.self, forColumn: "replaces"))
        history.rivals = try digests(try row.decode(Data.self, forColumn: "rivals"))
        history.servingSinceSeconds = try row.decode(forColumn: "serving_since_seconds")
        history.isUnconfirmed = try row.decode(Int.self, forColumn: "is_unconfirmed") != 0
        history.wasContested = try row.decode(Int.self, forColumn: "was_contested") != 0
        history.outlivedUnixSeconds = try row.decode(forColumn: "outlived_unix_seconds")
        try checksum.check(row, "what is kept of a canary")
    }

    func encode(to container: inout PersistenceContainer) throws {
        container["label"] = label
        container["digest"] = Data(digest)
        container["provers"] = String(decoding: try JSONEncoder().encode(history.provers), as: UTF8.self)
        container["replaces"] = Data(history.replaces.joined())
        container["rivals"] = Data(history.rivals.joined())
        container["serving_since_seconds"] = history.servingSinceSeconds
        container["is_unconfirmed"] = history.isUnconfirmed ? 1 : 0
        container["was_contested"] = history.wasContested ? 1 : 0
        container["outlived_unix_seconds"] = history.outlivedUnixSeconds
        container["checksum"] = checksum.value
    }

    private static func texts(_ json: String) throws -> [String] {
        try JSONDecoder().decode([String].self, from: Data(json.utf8))
    }

    private var checksum: RowChecksum {
        var sum = RowChecksum()
        sum.add(label)
        sum.add(digest)
        sum.add(history.provers.count)
        for prover in history.provers { sum.add(prover) }
        sum.add(Array(history.replaces.joined()))
        sum.add(Array(history.rivals.joined()))
        sum.add(history.servingSinceSeconds)
        sum.add(history.isUnconfirmed ? 1 : 0)
        sum.add(history.wasContested ? 1 : 0)
        sum.add(history.outlivedUnixSeconds)
        return sum
    }
}

extension StoredForget: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "key_forget"
    package static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .replace, update: .replace)

    package init(row: Row) throws {
        self.init(
            label: try row.decode(forColumn: "label"),
            canaries: try digests(try row.decode(Data.self, forColumn: "canaries")),
            givenUnixSeconds: try row.decode(forColumn: "given_unix_seconds"),
            author: try row.decode(forColumn: "author"))
        try checksum.check(row, "an order to forget a key")
    }

    package func encode(to container: inout PersistenceContainer) {
        container["label"] = label
        container["canaries"] = Data(canaries.joined())
        container["given_unix_seconds"] = givenUnixSeconds
        container["author"] = author
        container["checksum"] = checksum.value
    }

    private var checksum: RowChecksum {
        var sum = RowChecksum()
        sum.add(label)
        sum.add(Array(canaries.joined()))
        sum.add(givenUnixSeconds)
        sum.add(author)
        return sum
    }
}

/// Digests that stand one after another.
private func digests(_ data: Data) throws -> [[UInt8]] {
    guard data.count % 32 == 0 else {
        throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a list of digests has a wrong length")
    }
    let bytes = [UInt8](data)
    return stride(from: 0, to: bytes.count, by: 32).map { Array(bytes[$0..<$0 + 32]) }
}

/// How long nodes have run from this file, seconds. Two processes on one file count the time that both run once.
enum RunningTime {
    static func seconds(_ db: Database) throws -> Int {
        try Int.fetchOne(db, sql: "SELECT seconds FROM running_time WHERE only_row = 1") ?? 0
    }

    static func raise(_ db: Database, to seconds: Int) throws {
        try db.execute(
            sql: """
                INSERT INTO running_time (only_row, seconds) VALUES (1, :seconds)
                ON CONFLICT (only_row) DO UPDATE SET seconds = max(seconds, :seconds)
                """, arguments: ["seconds": seconds])
    }
}

extension StoreContents {
    /// The canaries, each with what is kept of it.
    static func canaries(of db: Database) throws -> [StoredCanary] {
        let rows = try CanaryHistoryRow.fetchAll(db, sql: "SELECT * FROM canary_history")
        let histories = Dictionary(rows, by: \.label)
        return try StoredCanary.fetchAll(db, sql: "SELECT * FROM canary").map { canary in
            var canary = canary
            if let row = histories[canary.label], row.digest == canary.digest { canary.history = row.history }
            return canary
        }
    }
}

extension NodeStore {
    /// Written at once; on the disk when a later `saved()` says so.
    package func record(forget order: StoredForget) {
        remember(urgently: true) { $0.record(order) }
    }

    /// How long the node has run in all its lives; never goes back. Written within a second.
    package func record(runningSeconds seconds: Int) {
        remember(urgently: false) { $0.record(runningSeconds: seconds) }
    }

    package func forgets() -> [StoredForget] {
        known().proof.forgets.sorted {
            ($0.label, $0.givenUnixSeconds, $0.author) < ($1.label, $1.givenUnixSeconds, $1.author)
        }
    }

    package func runningSeconds() -> Int { known().proof.ranSeconds }
}

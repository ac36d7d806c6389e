// SPDX-License-Identifier: Apache-2.0
import GRDB

/// What a process was answered that asked for sessions of a token.
package struct LaneClaim: Sendable, Equatable {
    /// Sessions that it may hold from now on. If it holds more, it is to close the rest, and to ask again.
    package var granted: Int
    /// Other living processes that share the token.
    package var others: Int
    /// The token's limit as far as any process knows it; `nil`: none known, and everybody is granted what it wants.
    package var limit: Int?
    /// False when the store fails: then what is wanted is granted without a look at the others.
    package var isRecorded: Bool

    package init(granted: Int, others: Int = 0, limit: Int?, isRecorded: Bool = true) {
        self.granted = granted
        self.others = others
        self.limit = limit
        self.isRecorded = isRecorded
    }
}

/// The ledger's table, inside one transaction.
struct LaneLedger {
    private let db: Database

    init(_ db: Database) { self.db = db }

    /// One row of the ledger.
    private struct Entry: Codable, FetchableRecord, PersistableRecord {
        static let databaseTableName = "lane_ledger"
        static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .replace, update: .replace)

        var token: String
        var pid: Int
        var start: Int
        var wanted: Int
        var floor: Int
        var granted: Int
        var holding: Int

        var process: ProcessIdentity? {
            guard let pid = Int32(exactly: pid), let start = UInt64(exactly: start) else { return nil }
            return ProcessIdentity(pid: pid, startTicks: start)
        }

        var claimant: LaneShare.Claimant {
            LaneShare.Claimant(wanted: wanted, floor: floor, granted: granted, holding: holding)
        }

        enum CodingKeys: String, CodingKey {
            case token, pid, wanted, floor, granted, holding
            case start = "process_start"
        }
    }

    func claim(
        token: String, process: ProcessIdentity, wanted: Int, floor: Int, limit: Int?, holding: Int
    ) throws -> LaneClaim {
        try reclaim(sparing: process)
        if let limit {
            try db.execute(
                sql: "INSERT OR REPLACE INTO lane_limit (token, sessions) VALUES (?, ?)",
                arguments: [token, LaneShare.bounded(limit)])
        }
        let known = try Int.fetchOne(db, sql: "SELECT sessions FROM lane_limit WHERE token = ?", arguments: [token])
        // In an order that all processes agree on: the older first.
        var entries = try Entry.fetchAll(
            db, sql: "SELECT * FROM lane_ledger WHERE token = ? ORDER BY process_start, pid", arguments: [token])
        entries.removeAll { $0.process == process }
        let others = entries.count
        let (pid, start) = (Int(process.pid), Int(clamping: process.startTicks))
        let mine = entries.firstIndex { ($0.start, $0.pid) > (start, pid) } ?? others
        entries.insert(
            Entry(
                token: token, pid: pid, start: start, wanted: LaneShare.bounded(wanted),
                floor: LaneShare.bounded(floor), granted: 0, holding: LaneShare.bounded(holding)),
            at: mine)
        entries[mine].granted = LaneShare.grant(to: mine, of: entries.map(\.claimant), limit: known)
        try entries[mine].insert(db)
        return LaneClaim(granted: entries[mine].granted, others: others, limit: known)
    }

    func release(token: String, process: ProcessIdentity) throws {
        try db.execute(
            sql: "DELETE FROM lane_ledger WHERE token = ? AND pid = ? AND process_start = ?",
            arguments: [token, Int(process.pid), Int(clamping: process.startTicks)])
    }

    /// Deletes the rows of processes that are gone; the kernel has closed what they held.
    private func reclaim(sparing process: ProcessIdentity) throws {
        let rows = try Entry.fetchAll(db, sql: "SELECT * FROM lane_ledger")
        for row in rows where row.process != process && row.process?.isAlive != true {
            try row.delete(db)
        }
    }
}

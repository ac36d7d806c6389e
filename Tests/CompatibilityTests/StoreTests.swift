// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Foundation
import GRDB
import NodeStore
import Testing

/// The state directory of node-1, as it was when the node ended.
private final class Kept {
    let directory: String
    var file: String { directory + "/claviger.sqlite" }
    var marker: String { file + ".made" }

    /// - Parameter hasMarker: without it, as of a version that had none.
    init(hasMarker: Bool = true) throws {
        directory = FileManager.default.temporaryDirectory.path + "/claviger-store-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let sql = String(decoding: try Recording.file("store/claviger.sql"), as: UTF8.self)
        // PRAGMA has an effect outside of a transaction only; the text has one of its own.
        try open().writeWithoutTransaction { try $0.execute(sql: sql) }
        if hasMarker { try Recording.file("store/claviger.sqlite.made").write(to: URL(fileURLWithPath: marker)) }
        let now = Int(Date().timeIntervalSince1970)
        // Rows of HSMs and keys go after 30 days: the recording does not grow old.
        try open().write { db in
            try db.execute(sql: "UPDATE hsm SET updated_unix_seconds = ?", arguments: [now])
            try db.execute(sql: "UPDATE key SET checked_unix_seconds = ?", arguments: [now])
            try db.execute(sql: "UPDATE transition SET at_unix_milliseconds = ?", arguments: [now * 1_000])
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func open() throws -> DatabaseQueue { try DatabaseQueue(path: file) }
}

@Suite("A store of 16631be", .timeLimit(.minutes(2)))
struct StoreTests {
    private let ids = (
        all: "048dee2722d2c81c62ce1ec70483ef02", key: "1b35a372fc5dddc27b8b4d8eed2a5998",
        principal: "66ac6e903984fa4058adcd2bee8d5fb4", keyStore: "c530dd186532f2528622d9e38035aaea"
    )

    @Test("is opened and migrated, in a cluster and without; its blocks are in force, and its list counts as known")
    func blocks() throws {
        for isClustered in [true, false] {
            let kept = try Kept()
            let store = NodeStore.open(directory: kept.directory, isClustered: isClustered)
            defer { store.close() }
            #expect(store.health == .ok)
            let list = store.blockList
            #expect(list.knowledge == .known && list.unknown == nil)
            #expect(Set(list.blocks.keys) == [ids.all, ids.key, ids.principal, ids.keyStore])
            #expect(Set(list.inForce(now: 1_795_993_400).map(\.id)) == [ids.key, ids.principal, ids.keyStore])
            #expect(list.lifts.values.map(\.liftedBy) == ["bob@node-2"] && list.lifts[ids.all] != nil)
            #expect(list.blocks[ids.key]?.target == .key("decrypt_only_key"))
            #expect(list.endsAt(id: ids.key) == 2_111_353_307 && list.endsAt(id: ids.keyStore) == nil)
            #expect(list.blocks[ids.keyStore]?.target == .keyStore("/another/store"))
            #expect(list.blocks[ids.keyStore]?.madeBy == "root@node-1")
            #expect(list.digest.hasPrefix("20a9b9"))
            let files = try FileManager.default.contentsOfDirectory(atPath: kept.directory)
            #expect(files.allSatisfy { !$0.contains("corrupt") })
        }
    }

    @Test("its canaries are kept, byte for byte, and so are states, verdicts, peers and what an operator has drained")
    func rest() throws {
        let kept = try Kept()
        let store = NodeStore.open(directory: kept.directory, isClustered: true)
        defer { store.close() }
        let canaries = Dictionary(uniqueKeysWithValues: store.canaries().map { ($0.label, $0) })
        #expect(Set(canaries.keys) == ["bar", "foo"])
        let bar = try #require(canaries["bar"])
        #expect(bar.iv == [68, 224, 125, 36, 230, 234, 130, 86, 29, 237, 232, 183])
        #expect(bar.ciphertext.count == 48 && bar.ciphertext.prefix(4) == [182, 73, 213, 49])
        #expect(bar.digest.prefix(4) == [4, 7, 242, 145] && bar.digest.count == 32)
        #expect(bar.hsm == "hsm-1" && bar.madeUnixSeconds == 1_795_993_306 && bar.trustedByOperator)
        #expect(bar.dispute == nil && bar.history == StoredCanaryHistory())
        #expect(canaries["foo"]?.trustedByOperator == false && canaries["foo"]?.madeUnixSeconds == 1_795_993_296)
        let hsm = try #require(store.hsms().first)
        #expect(hsm.name == "hsm-1" && hsm.serial == "abcf59d548fceb9e" && word(hsm.state) == "active")
        #expect(hsm.tokenLabel == "claviger-dev-hsm-1" && hsm.firmware == "2.6" && hsm.sessionLimit == nil)
        #expect(store.drained() == ["hsm-1"])
        let keys = Dictionary(uniqueKeysWithValues: store.keys().map { ($0.label, $0) })
        #expect(
            keys.count == 5 && keys["foo"].map { word($0.verdict) } == "proven"
                && keys["foo"]?.usage == "encrypt decrypt")
        #expect(keys["encrypt_only_key"].map { word($0.verdict) } == "unprovable")
        #expect(store.nodes().map(\.id) == ["node-1"] && store.nodes().first?.incarnation == 1_795_993_296)
        #expect(store.nodes().first?.version == "0.1.0")
        let peers = store.peers()
        #expect(peers.map(\.name) == ["node-2"] && peers.first?.address == "127.0.0.1:40619")
        #expect(store.transitions(limit: 5).map { word($0.to) } == ["active"])
        #expect(store.keyUses().isEmpty && store.peerChanges().isEmpty && store.forgottenNodes().isEmpty)
    }

    /// Migrations only add: a process of the version before may have the file open.
    @Test("what was migrated holds every table and row that it held, and new tables beside them")
    func migrated() async throws {
        let kept = try Kept()
        let before = try contents(kept)
        let store = NodeStore.open(directory: kept.directory, isClustered: true)
        #expect(await store.saved())
        store.close()
        let after = try contents(kept)
        for (table, rows) in before where !["store", "grdb_migrations"].contains(table) {
            #expect(after[table] == rows, "\(table)")
        }
        let migrations = try #require(after["grdb_migrations"])
        #expect(migrations.prefix(2) == ["1 HSMs, keys and lanes", "2 blocks and peers"] && migrations.count > 2)
        #expect(Set(after.keys).isStrictSuperset(of: before.keys))
        let again = NodeStore.open(directory: kept.directory, isClustered: true)
        defer { again.close() }
        #expect(again.health == .ok && again.blockList.blocks.count == 4 && again.canaries().count == 2)
        // It has begun to count the changes of its list.
        #expect(again.blockChanges != nil)
    }

    /// Otherwise files would differ by the version that made them, and what works with one would not with another.
    @Test("a new file has the tables that it has, as they are")
    func new() throws {
        let kept = try Kept()
        let directory = kept.directory + "/new"
        NodeStore.open(directory: directory).close()
        func tables(_ file: String) throws -> [String: String] {
            try DatabaseQueue(path: file).read { db in
                let rows = try Row.fetchAll(db, sql: "SELECT name, sql FROM sqlite_schema WHERE type = 'table'")
                return Dictionary(
                    uniqueKeysWithValues: rows.map { row -> (String, String) in
                        let sql: String = row["sql"]
                        return (row["name"], sql.split(whereSeparator: \.isWhitespace).joined(separator: " "))
                    })
            }
        }
        let made = try tables(directory + "/claviger.sqlite")
        for (name, sql) in try tables(kept.file) { #expect(made[name] == sql) }
    }

    @Test("a file without its marker is taken as it is; a marker without its file says that the list is lost")
    func markers() throws {
        let bare = try Kept(hasMarker: false)
        let store = NodeStore.open(directory: bare.directory, isClustered: true)
        #expect(store.blockList.knowledge == .known && store.blockList.blocks.count == 4)
        #expect(FileManager.default.fileExists(atPath: bare.marker))
        store.close()
        let lost = try Kept()
        try FileManager.default.removeItem(atPath: lost.file)
        let empty = NodeStore.open(directory: lost.directory, isClustered: true)
        defer { empty.close() }
        guard case .unknown = empty.blockList.knowledge else {
            Issue.record("\(empty.blockList.knowledge)")
            return
        }
    }

    @Test("a row that was altered in it costs what it must, and nothing is salvaged from it")
    func altered() throws {
        let kept = try Kept()
        try kept.open().write { try $0.execute(sql: "UPDATE block SET target_value = 'foo' WHERE target_kind = 'key'") }
        let store = NodeStore.open(directory: kept.directory, isClustered: true)
        defer { store.close() }
        guard case .unknown = store.blockList.knowledge else {
            Issue.record("\(store.blockList.knowledge)")
            return
        }
        #expect(store.blockList.blocks.values.allSatisfy { $0.target != .key("foo") })
    }

    /// Each row of each table as text, without what later versions have added to a table.
    private func contents(_ kept: Kept) throws -> [String: [String]] {
        try kept.open().read { db in
            var found: [String: [String]] = [:]
            let tables = try String.fetchAll(
                db, sql: "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            for table in tables {
                let rows = try Row.fetchAll(db, sql: "SELECT * FROM \"\(table)\"")
                found[table] = rows.map { row in
                    table == "grdb_migrations" ? row["identifier"] : row.map { "\($0)=\($1)" }.joined(separator: " ")
                }.sorted()
            }
            return found
        }
    }
}

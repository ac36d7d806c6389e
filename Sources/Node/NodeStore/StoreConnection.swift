// SPDX-License-Identifier: Apache-2.0
import AccessControl
import GRDB
import Glibc

/// An open, checked and migrated database.
struct StoreConnection {
    let database: DatabaseQueue
    let identity: FileIdentity

    /// What is known of the block list of a file that is made now, by the marker, by what it means that the marker is
    /// there, and by why an earlier file was set aside.
    typealias Beginning = (_ marker: BlockMarker, _ lost: String, _ corrupt: String?) -> BlockKnowledge

    /// Opens the file, or makes it. A corrupt one is set aside first. When it returns, the marker is there.
    ///
    /// - Returns: the connection, and what file and marker said.
    static func open(
        _ files: StoreFiles, _ settings: StoreSettings, beginning: Beginning
    ) throws(StoreError) -> (Self, StoreContents, BlockMarker) {
        try files.makeDirectory()
        let lock = try files.lock(milliseconds: settings.busyTimeoutMilliseconds)
        defer { close(lock) }
        let opened: (Self, StoreContents)
        let marker = try files.marker()
        let earlier = try files.identity()
        let isNew = marker == .absent && earlier == nil
        do {
            opened = try openChecked(files, settings, beginning(marker, files.lossByMarker, nil))
        } catch  where error.isCorruption {
            // First of all: were the process to end between here and the new file, this names the old one.
            if marker == .absent { try files.writeMarker(changes: 0) }
            try files.setAside(nowUnixSeconds: unixSeconds(), keep: settings.corruptFilesKept)
            opened = try openChecked(files, settings, beginning(marker, files.lossByMarker, error.description))
        } catch {
            if isNew { files.removeUnfinished() }
            throw error
        }
        if marker == .absent { try files.writeMarker(changes: 0) }
        return (opened.0, opened.1, marker)
    }

    private static func openChecked(
        _ files: StoreFiles, _ settings: StoreSettings, _ beginning: BlockKnowledge
    ) throws(StoreError) -> (Self, StoreContents) {
        try files.makeFile()
        let before = try files.identity()
        do {
            let database = try DatabaseQueue(path: files.path, configuration: configuration(settings))
            let contents = try prepare(database, files, settings, beginning)
            guard let before, try files.identity() == before else {
                throw StoreError.unusable(path: files.path, detail: "it was replaced while it was opened")
            }
            return (Self(database: database, identity: before), contents)
        } catch {
            throw StoreError(error, path: files.path)
        }
    }

    /// Checks, migrates, and reads everything.
    private static func prepare(
        _ database: DatabaseQueue, _ files: StoreFiles, _ settings: StoreSettings, _ beginning: BlockKnowledge
    ) throws -> StoreContents {
        try check(database, files)
        try database.writeWithoutTransaction { db in
            let mode = try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL")
            guard mode == "wal" else {
                throw StoreError.unusable(path: files.path, detail: "its file system does not bear a write-ahead log")
            }
            // What waits for a second may as well be lost with the power: then the file is older, but whole.
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            let pageSize = max(512, try Int.fetchOne(db, sql: "PRAGMA page_size") ?? 4_096)
            try db.execute(sql: "PRAGMA max_page_count = \(max(1, settings.maximumBytes / pageSize))")
            try db.execute(sql: "PRAGMA journal_size_limit = 8388608")
        }
        if try !database.read(Schema.migrator.hasCompletedMigrations) {
            try makeTables(database, beginning)
        }
        return try database.read { try Schema.contents(of: $0, transitions: settings.transitionsInMemory) }
    }

    /// On the disk when this returns: once the marker is there, a file without tables counts as a loss.
    private static func makeTables(_ database: DatabaseQueue, _ beginning: BlockKnowledge) throws {
        try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        try Schema.migrator(beginning: beginning).migrate(database)
        try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = NORMAL") }
    }

    /// Throws unless the file is whole, and not of a later version.
    static func check(_ database: DatabaseQueue, _ files: StoreFiles) throws {
        try database.read { db in
            let answers = try String.fetchAll(db, sql: "PRAGMA quick_check(1)")
            guard answers == ["ok"] else {
                throw StoreError.corrupt(path: files.path, detail: answers.first ?? "no answer to quick_check")
            }
            if try Schema.migrator.hasBeenSuperseded(db) { throw StoreError.newerSchema(path: files.path) }
        }
    }

    static func configuration(_ settings: StoreSettings, readOnly: Bool = false) -> Configuration {
        var configuration = Configuration()
        configuration.readonly = readOnly
        configuration.foreignKeysEnabled = false
        configuration.label = "claviger.store.sqlite"
        configuration.busyMode = .timeout(Double(settings.busyTimeoutMilliseconds) / 1_000)
        // A ROLLBACK that fails must not end the process; the store closes the connection after any error.
        configuration.allowsUnsafeTransactions = true
        // A file from elsewhere runs no functions of its schema's, and its cells are checked before they are used.
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA trusted_schema = OFF")
            try db.execute(sql: "PRAGMA cell_size_check = ON")
        }
        return configuration
    }
}

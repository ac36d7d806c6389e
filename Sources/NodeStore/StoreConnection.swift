// SPDX-License-Identifier: Apache-2.0
import GRDB
import Glibc

/// An open, checked and migrated database.
struct StoreConnection {
    let database: DatabaseQueue
    let identity: FileIdentity

    /// Opens the file, or makes it. A corrupt one is set aside first.
    ///
    /// - Returns: the connection, and what the file held.
    static func open(_ files: StoreFiles, _ settings: StoreSettings) throws(StoreError) -> (Self, StoreContents) {
        try files.makeDirectory()
        let lock = try files.lock(milliseconds: settings.busyTimeoutMilliseconds)
        defer { close(lock) }
        do {
            return try openChecked(files, settings)
        } catch  where error.isCorruption {
            try files.setAside(nowUnixSeconds: unixSeconds(), keep: settings.corruptFilesKept)
        }
        return try openChecked(files, settings)
    }

    private static func openChecked(
        _ files: StoreFiles, _ settings: StoreSettings
    ) throws(StoreError) -> (Self, StoreContents) {
        try files.makeFile()
        let before = try files.identity()
        do {
            let database = try DatabaseQueue(path: files.path, configuration: configuration(settings))
            let contents = try prepare(database, files, settings)
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
        _ database: DatabaseQueue, _ files: StoreFiles, _ settings: StoreSettings
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
            try Schema.migrator.migrate(database)
        }
        return try database.read { try Schema.contents(of: $0, transitions: settings.transitionsInMemory) }
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

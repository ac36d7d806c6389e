// SPDX-License-Identifier: Apache-2.0
import AccessControl
import GRDB
import Glibc

/// The connection, and what is done with it. Not thread-safe: `NodeStore` uses it on its queue only.
final class StoreWriter {
    let files: StoreFiles
    private let settings: StoreSettings
    private var connection: StoreConnection?
    private var version: Int?

    init(directory: String, settings: StoreSettings) {
        files = StoreFiles(directory: directory)
        self.settings = settings
    }

    /// Opens the file unless it is open; notices that it was deleted, moved or replaced.
    ///
    /// - Parameter beginning: what is known of the block list of a file that is made now.
    /// - Returns: what the file and the marker say when it was opened now, else `nil`.
    func open(beginning: StoreConnection.Beginning) throws(StoreError) -> (StoreContents, BlockMarker)? {
        if let connection {
            if try files.identity() == connection.identity { return nil }
            close()
        }
        let (opened, contents, marker) = try StoreConnection.open(files, settings, beginning: beginning)
        connection = opened
        version = nil
        return (contents, marker)
    }

    /// Whether another connection has committed anything since the last call (PRAGMA data_version); true at first.
    var hasChangedElsewhere: Bool {
        guard let database = connection?.database,
            let now = try? database.read({ try Int.fetchOne($0, sql: "PRAGMA data_version") })
        else { return false }
        defer { version = now }
        return version != now
    }

    /// After an error, the connection is not used again: what an error leaves behind, a new connection does not have.
    func close() {
        // When SQLite does not close now, it does when the last reference goes.
        try? connection?.database.close()
        connection = nil
    }

    /// Sets the open file aside, since what was read from it or written to it says that it is corrupt.
    func setAside() throws(StoreError) {
        guard let connection else { return }
        close()
        let lock = try files.lock(milliseconds: settings.busyTimeoutMilliseconds)
        defer { Glibc.close(lock) }
        // Another process may have done so already.
        guard try files.identity() == connection.identity else { return }
        try files.setAside(nowUnixSeconds: unixSeconds(), keep: settings.corruptFilesKept)
    }

    /// One transaction. With `durable` it is on the disk when this returns: with synchronous = FULL, SQLite syncs the
    /// write-ahead log after the commit, and with it every earlier commit in it.
    func write<Value>(durable: Bool, _ body: (Database) throws -> Value) throws(StoreError) -> Value {
        try perform { database in
            try database.writeWithoutTransaction { db in
                // The pragma has no effect inside a transaction.
                if durable { try db.execute(sql: "PRAGMA synchronous = FULL") }
                var value: Value?
                try db.inTransaction(.immediate) {
                    value = try body(db)
                    return .commit
                }
                if durable { try db.execute(sql: "PRAGMA synchronous = NORMAL") }
                return value
            }
        }
    }

    func read<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
        try perform { try $0.read(body) }
    }

    private func perform<Value>(_ body: (DatabaseQueue) throws -> Value?) throws(StoreError) -> Value {
        guard let database = connection?.database else {
            throw .unusable(path: files.path, detail: "it is not open")
        }
        do {
            if let value = try body(database) { return value }
            throw StoreError.unusable(path: files.path, detail: "a transaction gave nothing")
        } catch {
            throw StoreError(error, path: files.path)
        }
    }
}

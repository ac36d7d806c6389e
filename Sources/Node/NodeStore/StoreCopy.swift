// SPDX-License-Identifier: Apache-2.0
import AccessControl
import GRDB
import Glibc

/// Reads a database that SQLite cannot open where it lies: on a full disk its journals cannot be made, in a read-only
/// directory neither. The file and its write-ahead log are copied to memory, and the copy is opened.
///
/// A copy that was made while another process wrote may be torn: it is checked like any other file, and by the marker.
enum StoreCopy {
    /// Largest file, with its log, that is copied, bytes.
    private static let mostBytes = 256 << 20
    /// Where copies are made: file systems in memory, then any other.
    private static let parents = ["/dev/shm", "/run", "/tmp"]

    /// What the file holds; `nil` when there is none, or it cannot be read this way either.
    static func contents(
        of files: StoreFiles, _ settings: StoreSettings
    ) -> (contents: StoreContents, marker: BlockMarker)? {
        guard (try? files.identity()) != nil, let marker = try? files.marker() else { return nil }
        for parent in parents {
            guard let directory = makeDirectory(in: parent) else { continue }
            let copy = StoreFiles(directory: directory)
            defer { remove(copy) }
            guard copyFile(files.path, copy.path, required: true),
                copyFile(files.path + "-wal", copy.path + "-wal", required: false)
            else { continue }
            return read(copy, settings).map { ($0, marker) }
        }
        return nil
    }

    private static func read(_ files: StoreFiles, _ settings: StoreSettings) -> StoreContents? {
        guard
            let database = try? DatabaseQueue(
                path: files.path, configuration: StoreConnection.configuration(settings)),
            (try? StoreConnection.check(database, files)) != nil
        else { return nil }
        defer { try? database.close() }
        // A file of an earlier version is brought up to date, as it would be where it lies.
        guard (try? Schema.migrator(beginning: .unknown(files.lossByMarker)).migrate(database)) != nil else {
            return nil
        }
        return try? database.read { try Schema.contents(of: $0, transitions: settings.transitionsInMemory) }
    }

    private static func makeDirectory(in parent: String) -> String? {
        var template = Array("\(parent)/claviger-store-XXXXXX".utf8CString)
        return template.withUnsafeMutableBufferPointer { bytes in
            bytes.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
    }

    private static func remove(_ files: StoreFiles) {
        for suffix in ["", "-wal", "-shm", "-journal"] { unlink(files.path + suffix) }
        rmdir(files.directory)
    }

    private static func copyFile(_ from: String, _ to: String, required: Bool) -> Bool {
        let source = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard source >= 0 else { return !required && errno == ENOENT }
        defer { close(source) }
        let target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard target >= 0 else { return false }
        defer { close(target) }
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        var total = 0
        while true {
            let count = Glibc.read(source, &buffer, buffer.count)
            if count == 0 { return true }
            guard count > 0, write(target, buffer, count) == count else { return false }
            total += count
            guard total <= mostBytes else { return false }
        }
    }
}

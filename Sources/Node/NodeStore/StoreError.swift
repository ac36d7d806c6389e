// SPDX-License-Identifier: Apache-2.0
import GRDB
import Glibc
import PrivateFiles

/// Why the store cannot be used, in a sentence for an operator.
package enum StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// There is no database file.
    case notThere(path: String)
    /// A later version of the program wrote it.
    case newerSchema(path: String)
    /// An earlier version of the program wrote it, or it is not filled yet; a reader does not migrate.
    case olderSchema(path: String)
    case corrupt(path: String, detail: String)
    /// Everything else: locked, full, read-only, no permission.
    case unusable(path: String, detail: String)

    package var description: String {
        switch self {
        case .notThere(let path):
            "There is no \(path). The node makes it when it starts: is this its state directory?"
        case .newerSchema(let path):
            "\(path) was written by a newer version of claviger, and this version does not touch it. "
                + "Use the newer version, or move the file away."
        case .olderSchema(let path):
            "\(path) was written by an older version of claviger, or a node is just making it. "
                + "A node of this version brings it up to date when it starts."
        case .corrupt(let path, let detail):
            "\(path) is corrupt: \(detail). The node sets such a file aside and makes a new one."
        case .unusable(let path, let detail):
            "\(path) cannot be used: \(detail)."
        }
    }

    /// Whether a new file is the remedy.
    var isCorruption: Bool {
        if case .corrupt = self { true } else { false }
    }

    /// Translates what SQLite or GRDB threw. Only what says that the content is wrong becomes `.corrupt`: a disk that
    /// is full or fails for a time must never cost the file.
    init(_ error: any Error, path: String) {
        if let error = error as? StoreError {
            self = error
            return
        }
        guard let error = error as? DatabaseError else {
            // A row that does not decode: the file's content is not what this program writes.
            self = .corrupt(path: path, detail: "a row holds what no version writes")
            return
        }
        let words = "\(error.message ?? "no message") (SQLite code \(error.extendedResultCode.rawValue))"
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            self = .corrupt(path: path, detail: words)
        case .SQLITE_ERROR, .SQLITE_MISMATCH, .SQLITE_CONSTRAINT:
            // No such table, no such column, a value of a type that a strict table cannot hold.
            self = .corrupt(path: path, detail: "its tables are not those of claviger: \(words)")
        case .SQLITE_FULL:
            self = .unusable(path: path, detail: "the disk is full, or the file has reached its largest size: \(words)")
        case .SQLITE_CANTOPEN where Self.foreign(path) != nil, .SQLITE_READONLY where Self.foreign(path) != nil,
            .SQLITE_PERM where Self.foreign(path) != nil:
            self = .unusable(path: path, detail: Self.foreign(path) ?? words)
        case .SQLITE_READONLY, .SQLITE_PERM:
            self = .unusable(path: path, detail: "it is read-only: \(words)")
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            self = .unusable(path: path, detail: "another process keeps it locked: \(words)")
        // Journals that cannot be made, and writes that fail, are not called so by SQLite (codes 4874 and 778).
        case .SQLITE_CANTOPEN where Self.isFull(path), .SQLITE_IOERR where Self.isFull(path):
            self = .unusable(path: path, detail: "the disk is full: \(words)")
        case .SQLITE_CANTOPEN where Self.isReadOnly(path):
            self = .unusable(path: path, detail: "its file system is read-only: \(words)")
        case .SQLITE_CANTOPEN:
            self = .unusable(path: path, detail: "it cannot be opened: \(words)")
        case .SQLITE_IOERR:
            self = .unusable(path: path, detail: "reading or writing fails: \(words)")
        default:
            self = .unusable(path: path, detail: words)
        }
    }

    /// Who else's files keep this process out, and what mends it; `nil` where it is something else.
    private static func foreign(_ path: String) -> String? {
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let files = ["", "-wal", "-shm", "-journal", ".made"].map { directory + "/" + StoreFiles.name + $0 }
        return Ownership.flaw(of: [directory, path] + files, in: directory)
    }

    /// Whether a file has this path, and no directory.
    private static func isOfFile(_ path: String) -> Bool {
        (path.split(separator: "/").last ?? "").hasPrefix(StoreFiles.name)
    }

    /// What the journals of an empty database need, bytes.
    private static let leastRoom: UInt = 64 << 10

    /// Whether the file system has no room for a journal. One that does not say how large it is has room.
    private static func isFull(_ path: String) -> Bool {
        guard let facts = fileSystem(path), facts.f_blocks > 0 else { return false }
        let (room, overflow) = UInt(facts.f_bavail).multipliedReportingOverflow(by: UInt(facts.f_frsize))
        return !overflow && room < leastRoom
    }

    /// Whether it is mounted so that nothing can be written.
    private static func isReadOnly(_ path: String) -> Bool {
        // ST_RDONLY of statvfs(3), which Swift does not import.
        fileSystem(path).map { $0.f_flag & 1 != 0 } ?? false
    }

    private static func fileSystem(_ path: String) -> statvfs? {
        var facts = statvfs()
        return statvfs(path, &facts) == 0 ? facts : nil
    }

    /// A system call that failed, with errno.
    static func system(_ call: String, path: String, code: Int32 = errno) -> StoreError {
        let words = "\(call): \(String(cString: strerror(code)))"
        if code == EACCES || code == EPERM, let foreign = foreign(path) {
            return .unusable(path: path, detail: foreign)
        }
        // EISDIR, ELOOP, ENOTEMPTY, ENXIO and others say little to whoever has to mend it.
        if isOfFile(path), let obstacle = Ownership.obstacle(at: path) {
            return .unusable(path: path, detail: "\(obstacle.message): \(obstacle.mend)")
        }
        let isFull = code == ENOSPC || code == EDQUOT
        return .unusable(path: path, detail: isFull ? "the disk is full: \(words)" : words)
    }
}

// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Glibc
import PrivateFiles

/// Which file a path leads to. A file that is deleted and made anew is another one: while a connection keeps the old
/// one open, its inode number is not given again.
struct FileIdentity: Equatable, Sendable {
    var device: UInt64
    var inode: UInt64
}

/// The database's files in the state directory.
struct StoreFiles: Sendable {
    static let name = "claviger.sqlite"
    /// The file that says that there was a database, and with it a block list, and how often that has changed.
    static let markerName = name + ".made"

    let directory: String
    var path: String { directory + "/" + Self.name }
    private var markerPath: String { directory + "/" + Self.markerName }

    /// The file at `path`; `nil` when there is none. Throws when it is not a plain file, or cannot be looked at.
    func identity() throws(StoreError) -> FileIdentity? {
        guard let facts = try status() else { return nil }
        return FileIdentity(device: UInt64(facts.st_dev), inode: UInt64(facts.st_ino))
    }

    /// Makes the directory (0700) unless it is there.
    func makeDirectory() throws(StoreError) {
        if mkdir(directory, 0o700) == 0 {
            try sync(directory: directory + "/..")
        } else if errno != EEXIST {
            throw .system("make the state directory", path: directory)
        }
    }

    /// Makes an empty file (0600) unless there is one, and takes it from group and others. A new file gets no journal
    /// that an earlier one has left. SQLite gives its journal files the same mode.
    func makeFile() throws(StoreError) {
        if let facts = try status() {
            // Without effect where the file cannot be changed; then opening it says so.
            if facts.st_mode & 0o077 != 0 { chmod(path, 0o600) }
            return
        }
        for suffix in ["-wal", "-shm", "-journal"] {
            guard unlink(path + suffix) == 0 || errno == ENOENT else {
                throw .system("delete", path: path + suffix)
            }
        }
        // Never opened and closed by us once it is there: closing any descriptor of a file drops the POSIX locks that
        // SQLite holds on it in this process.
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("make", path: path) }
        close(descriptor)
        try sync(directory: directory)
    }

    /// What the marker says of the block list of this directory.
    func marker() throws(StoreError) -> BlockMarker {
        let descriptor = open(markerPath, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return .absent }
            throw .system("look for", path: markerPath)
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1_024)
        let count = read(descriptor, &bytes, bytes.count)
        // Whatever it holds, that it is there is what counts.
        guard count > 0 else { return .present(changes: nil) }
        let lines = bytes.prefix(count).split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
        let changes = lines.compactMap { line in
            line.hasPrefix(Self.changesWord) ? UInt64(line.dropFirst(Self.changesWord.count)) : nil
        }
        return .present(changes: changes.first)
    }

    private static let changesWord = "changes: "

    /// Takes away a file that could not be filled, with its journals, so that it is not taken for one.
    func removeUnfinished() {
        for suffix in ["-wal", "-shm", "-journal", ""] { unlink(path + suffix) }
    }

    /// Whether there is neither a database nor a marker, for sure: not where that cannot be looked at.
    var neverHadOne: Bool {
        var facts = stat()
        guard lstat(directory, &facts) == 0 else {
            // The directory is yet to be made.
            guard errno == ENOENT else { return false }
            let parent = directory.lastIndex(of: "/").map { String(directory[..<$0]) } ?? "."
            guard let entries = opendir(parent.isEmpty ? "/" : parent) else { return false }
            closedir(entries)
            return true
        }
        guard facts.st_mode & S_IFMT == S_IFDIR else { return false }
        // A file that was made and never filled is none.
        let isEmpty = lstat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFREG && facts.st_size == 0
        return (isEmpty || !mayBeThere(path)) && !mayBeThere(markerPath) && setAsideSeconds().isEmpty
    }

    private func mayBeThere(_ path: String) -> Bool { access(path, F_OK) == 0 || errno != ENOENT }

    /// What it means to find the marker, and no block list.
    var lossByMarker: String {
        "\(path) is missing or older than \(Self.markerName), which says that there was one with a block list"
    }

    /// What it means that the marker has counted changes that the file has not seen.
    var lossByAge: String {
        "\(path) is older than \(Self.markerName) says: it was put back to an earlier state, and may lack blocks"
    }

    /// Makes the marker, or has it count so many changes of the block list. It is on the disk when this returns.
    func writeMarker(changes: UInt64) throws(StoreError) {
        let counted: UInt64 = if case .present(let changes?) = try marker() { changes } else { 0 }
        let words =
            "\(Self.name) was made in this directory. Without it, or with an older one, the list of blocks counts as "
            + "lost, and everything is\nrefused until a peer or `claviger unblock --confirm-unknown` says what is "
            + "blocked.\n\(Self.changesWord)\(max(changes, counted))\n"
        let new = markerPath + ".new"
        let descriptor = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("make", path: new) }
        defer { close(descriptor) }
        let bytes = Array(words.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0,
            rename(new, markerPath) == 0
        else { throw .system("write", path: markerPath) }
        try sync(directory: directory)
    }

    /// Has the names in a directory outlast a loss of power.
    private func sync(directory: String) throws(StoreError) {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("open the directory", path: directory) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .system("sync the directory", path: directory) }
    }

    /// Renames the file and its journals to `claviger.sqlite.corrupt-<unix seconds>`, and keeps the last `keep` of
    /// such files.
    func setAside(nowUnixSeconds: Int, keep: Int) throws(StoreError) {
        var seconds = nowUnixSeconds
        while access(aside(seconds), F_OK) == 0 { seconds += 1 }
        guard rename(path, aside(seconds)) == 0 || errno == ENOENT else {
            throw .system("set aside", path: path)
        }
        for suffix in ["-wal", "-shm", "-journal"] { _ = rename(path + suffix, aside(seconds) + suffix) }
        for old in setAsideSeconds().sorted().dropLast(max(1, keep)) {
            for suffix in ["", "-wal", "-shm", "-journal"] { unlink(aside(old) + suffix) }
        }
    }

    /// Holds other processes off while this one makes, checks or sets aside the file. Waits for at most
    /// `milliseconds`. Close the descriptor to let go.
    func lock(milliseconds: Int) throws(StoreError) -> Int32 {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("open the state directory", path: directory) }
        var waited = 0
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR, waited < milliseconds else {
                let error = StoreError.system("lock the state directory", path: directory)
                close(descriptor)
                throw error
            }
            usleep(10_000)
            waited += 10
        }
        return descriptor
    }

    private func aside(_ seconds: Int) -> String { "\(path).corrupt-\(seconds)" }

    private func setAsideSeconds() -> [Int] {
        guard let entries = opendir(directory) else { return [] }
        defer { closedir(entries) }
        let prefix = Self.name + ".corrupt-"
        var found: [Int] = []
        while let entry = readdir(entries) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix(prefix), let seconds = Int(name.dropFirst(prefix.count)) { found.append(seconds) }
        }
        return found
    }

    private func status() throws(StoreError) -> stat? {
        var facts = stat()
        guard lstat(path, &facts) == 0 else {
            if errno == ENOENT { return nil }
            throw .system("look at", path: path)
        }
        if let obstacle = Ownership.obstacle(at: path) {
            throw .unusable(path: path, detail: "\(obstacle.message): \(obstacle.mend)")
        }
        return facts
    }
}

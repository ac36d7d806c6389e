// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain
import Glibc
import PrivateFiles

/// Why something about the files of an audit log cannot be done: one sentence that names the file.
package struct AuditFileError: Error, CustomStringConvertible, Sendable, Equatable {
    package let description: String

    init(_ description: String) { self.description = description }

    /// From `errno`: before anything else can change that.
    init(_ action: String, _ path: String) {
        description = "cannot \(action) \(path): \(String(cString: strerror(errno)))"
    }
}

/// Whether a file that is open is still what others find at its path. What is written to one that is not is lost.
enum FilePlace {
    case held, gone, replaced

    /// Held, too, where it cannot be told: a directory that may not be looked at says nothing of what is in it.
    init(of descriptor: Int32, at path: String) {
        var (own, there) = (stat(), stat())
        guard fstat(descriptor, &own) == 0 else {
            self = .held
            return
        }
        if lstat(path, &there) == 0 {
            let isSame = own.st_nlink > 0 && own.st_dev == there.st_dev && own.st_ino == there.st_ino
            self = isSame ? .held : .replaced
        } else {
            self = own.st_nlink == 0 || errno == ENOENT || errno == ENOTDIR ? .gone : .held
        }
    }
}

/// The directory of an audit log: the files of its chains. Everything in it blocks on the disk.
package struct AuditDirectory: Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    package func file(_ name: SegmentName) -> String { "\(path)/\(name.file)" }

    /// All segments, by chain, in order.
    package func segments() throws(AuditFileError) -> [SegmentName] {
        guard let stream = opendir(path) else { throw AuditFileError("read", path) }
        defer { closedir(stream) }
        var names: [SegmentName] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let segment = SegmentName(file: name) { names.append(segment) }
        }
        return names.sorted()
    }

    /// Makes it unless it is there, and takes the first chain that no other process writes.
    ///
    /// - Returns: the chain, and the descriptor that holds it until it is closed.
    func takeChain() throws(AuditFileError) -> (chain: Int, lock: Int32) {
        try make()
        for chain in 1...AuditHead.mostChains {
            if let lock = try take(chain) { return (chain, lock) }
        }
        throw AuditFileError("\(AuditHead.mostChains) processes write audit logs to \(path)")
    }

    func make() throws(AuditFileError) {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw AuditFileError("make the directory", path) }
    }

    func lockFile(of chain: Int) -> String { "\(path)/chain-\(chain).lock" }

    /// Why a file that is open is not the one at its path any more, in a sentence; `nil` while it is, or where that cannot
    /// be told.
    func loss(of descriptor: Int32, at file: String) -> String? {
        switch FilePlace(of: descriptor, at: file) {
        case .held: nil
        case .replaced: "\(file) has been replaced by another file"
        case .gone where access(path, F_OK) != 0: "the directory \(path) has been removed or moved away"
        case .gone: "\(file) has been removed or moved away"
        }
    }

    /// The descriptor that holds a chain until it is closed; `nil` where another process holds it.
    func take(_ chain: Int) throws(AuditFileError) -> Int32? {
        let file = lockFile(of: chain)
        let lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw AuditFileError("open", file) }
        if flock(lock, LOCK_EX | LOCK_NB) == 0 { return lock }
        let isHeld = errno == EWOULDBLOCK
        defer { close(lock) }
        guard isHeld else { throw AuditFileError("lock", file) }
        return nil
    }

    /// Where a chain ends, and how many bytes follow there that are no whole record: its process was killed while it
    /// wrote. A file without a whole record is removed: it holds a part of a first record at most.
    func end(of chain: Int) throws(AuditFileError) -> (link: ChainLink, torn: Int) {
        let own = try segments().filter { $0.chain == chain }
        for name in own.reversed() {
            if let end = try Self.lastRecord(of: file(name)) {
                return (ChainLink(seq: end.line.seq, hash: end.line.hash), end.torn)
            }
            guard unlink(file(name)) == 0 else { throw AuditFileError("remove", file(name)) }
        }
        return (ChainLink(), 0)
    }

    /// Who signs the newest segment of a chain; `nil` where there is none, or none does.
    func signer(of chain: Int) -> AuditSigner? {
        guard let newest = try? segments().last(where: { $0.chain == chain }) else { return nil }
        let descriptor = open(file(newest), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // A first record has certificates of some KiB.
        guard let bytes = try? Self.read(descriptor, from: 0, count: 256 * 1_024, named: file(newest)),
            let record = AuditLine(bytes.prefix { $0 != UInt8(ascii: "\n") }), record.kind == .begin
        else { return nil }
        let signer = AuditSigner(certificates: record.texts(.certificates) ?? [], publicKey: record.text(.publicKey))
        return signer == AuditSigner() ? nil : signer
    }

    /// The last whole record of a file, and how many bytes follow it without a line feed; `nil` where it has none.
    static func lastRecord(of file: String) throws(AuditFileError) -> (line: AuditLine, torn: Int)? {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw AuditFileError("open", file) }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw AuditFileError("look at", file) }
        let size = Int(facts.st_size)
        // The end is enough as a rule; where it holds no record, more is looked at.
        for length in [256 * 1_024, size] {
            let bytes = try read(descriptor, from: max(size - length, 0), count: min(length, size), named: file)
            guard let feed = bytes.lastIndex(of: UInt8(ascii: "\n")) else { continue }
            let torn = bytes.count - feed - 1
            let lines = bytes[..<feed].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            for line in lines.reversed() {
                if let record = AuditLine(line) { return (record, torn) }
            }
        }
        return nil
    }

    static func read(
        _ descriptor: Int32, from offset: Int, count: Int, named file: String
    ) throws(AuditFileError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress?.advanced(by: done), count - done, off_t(offset + done))
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw AuditFileError("read", file) }
            if got == 0 { break }
            done += got
        }
        return Array(bytes.prefix(done))
    }

    /// Makes a segment's file, for its owner alone.
    func create(_ name: SegmentName) throws(AuditFileError) -> Int32 {
        let descriptor = open(file(name), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw AuditFileError("make", file(name)) }
        return descriptor
    }

    /// Makes files that were made, and removed, last through a loss of power.
    func synchronize() throws(AuditFileError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw AuditFileError("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw AuditFileError("write", path) }
    }

    /// Segments of a chain whose time or room is over, and the record that says that they are removed.
    func expired(
        _ chain: Int, _ rules: SegmentRules, now: Int64
    ) throws(AuditFileError) -> (files: [SegmentName], record: ExpiredSegments)? {
        var own: [SegmentRules.Kept] = []
        for name in try segments() where name.chain == chain {
            var facts = stat()
            guard stat(file(name), &facts) == 0 else { continue }
            own.append(.init(name, written: Int64(facts.st_mtim.tv_sec), bytes: Int(facts.st_size)))
        }
        let old = rules.expired(own, now: now)
        guard let newest = old.last, let end = try Self.lastRecord(of: file(newest)) else { return nil }
        return (old, ExpiredSegments(count: old.count, through: end.line.seq, hash: end.line.hash))
    }

    package func remove(_ names: [SegmentName]) throws(AuditFileError) {
        for name in names where unlink(file(name)) != 0 && errno != ENOENT {
            throw AuditFileError("remove", file(name))
        }
        try synchronize()
    }

    /// Bytes that may still be written to the file system; `nil` where it cannot be told.
    package func room() -> UInt64? {
        var facts = statvfs()
        guard statvfs(path, &facts) == 0 else { return nil }
        return UInt64(facts.f_bavail).multipliedReportingOverflow(by: UInt64(facts.f_frsize)).partialValue
    }
}

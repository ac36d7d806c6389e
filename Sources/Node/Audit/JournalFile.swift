// SPDX-License-Identifier: Apache-2.0
import AuditChain
import CPlatform
import Glibc

/// One of the two files of a journal.
///
/// It is longer than what it holds: room is had from the file system before it is written to, so that a store never finds
/// a page missing, which would end the process (SIGBUS). Only one who cuts the file short could still do that: its
/// directory is this user's alone.
final class JournalFile {
    /// By so much it grows at first, then by its own length, bytes.
    private static let step = 1 << 18
    /// How much of it is kept when it is emptied, bytes.
    private static let keptRoom = 1 << 20

    let path: String
    private let descriptor: Int32
    private let chain: Int
    private var turn: UInt64 = 0
    /// What it holds after it is emptied is later than what a file with a lower turn has.
    var nextTurn: UInt64 = 0
    /// The file in memory; `nil` until the first record.
    private var memory: UnsafeMutableRawPointer?
    /// Of that, bytes.
    private var room = 0
    /// Where the next record comes, from the beginning of the file; 0 until the first record.
    private var size = 0

    /// - Parameter chain: whose records it holds.
    init(_ path: String, chain: Int) throws(AuditFileError) {
        (self.path, self.chain) = (path, chain)
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw AuditFileError("open", path) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw AuditFileError("look at", path) }
        guard facts.st_mode & S_IFMT == S_IFREG, facts.st_uid == geteuid() else {
            throw AuditFileError("\(path) is no file of this process's user: remove it, or choose another journal_dir")
        }
    }

    deinit {
        release()
        close(descriptor)
    }

    /// Whether the next start would find it.
    var isInPlace: Bool { FilePlace(of: descriptor, at: path) == .held }

    /// Another one at the same path, with room; the directories above it are made where they are missing.
    func another() throws(AuditFileError) -> JournalFile {
        let directory = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        try AuditJournal.make([String(directory[..<(directory.lastIndex(of: "/") ?? directory.startIndex)]), directory])
        let file = try JournalFile(path, chain: chain)
        if let trouble = file.begin() { throw trouble }
        return file
    }

    /// All that the file has.
    func content() throws(AuditFileError) -> [UInt8] {
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw AuditFileError("look at", path) }
        return try AuditDirectory.read(descriptor, from: 0, count: Int(facts.st_size), named: path)
    }

    /// Gives the kernel a record. Where there is no room for it, nothing of it is written.
    func append(_ record: RecordText) -> AuditFileError? {
        let count = record.bytes.count
        if let trouble = begin(room: count + 2) { return trouble }
        guard let place = memory?.advanced(by: size) else { return AuditFileError("\(path) has no room") }
        record.bytes.withUnsafeBytes { claviger_append_line(place, $0.baseAddress, $0.count) }
        size += count + 1
        return nil
    }

    /// Sees to the first line, and to room after what it holds: also a trial of whether there is any.
    func begin(room wanted: Int = 1) -> AuditFileError? {
        let start = max(size, JournalText.headerSize)
        if room - start < wanted, let trouble = grow(to: start + wanted) { return trouble }
        guard size == 0 else { return nil }
        memory?.storeBytes(of: 0, toByteOffset: start, as: UInt8.self)
        guard writeHeader(after: 0) else { return AuditFileError("write to", path) }
        size = start
        return nil
    }

    /// The records in it get the numbers after this one. Where that cannot be written, they would stand twice in the
    /// chain if the process were killed before they are cleared.
    func mark(after seq: UInt64) {
        if size > JournalText.headerSize { _ = writeHeader(after: seq) }
    }

    /// All that it holds is in a segment. It keeps some room.
    func clear() {
        turn = nextTurn
        if let memory, room <= Self.keptRoom {
            memory.storeBytes(of: 0, toByteOffset: JournalText.headerSize, as: UInt8.self)
            size = writeHeader(after: 0) ? JournalText.headerSize : 0
        } else {
            empty()
            // Where there is no room, the next record tells.
            _ = begin()
        }
    }

    /// All that it holds is in a segment, and nothing comes after it.
    func empty() {
        release()
        // Shortening a file in memory does not fail; if it did, the records would stand twice after a kill.
        ftruncate(descriptor, 0)
        size = 0
    }

    /// By a call of the kernel: a process that is killed has written the line or not, and never half of it.
    private func writeHeader(after seq: UInt64) -> Bool {
        let header = JournalText.header(chain: chain, turn: turn, after: seq)
        return pwrite(descriptor, header, header.count, 0) == header.count
    }

    private func grow(to least: Int) -> AuditFileError? {
        let wanted = max((least + Self.step - 1) / Self.step * Self.step, room * 2)
        var code: Int32
        repeat { code = posix_fallocate(descriptor, 0, off_t(wanted)) } while code == EINTR
        guard code == 0 else {
            errno = code
            return AuditFileError("write to", path)
        }
        let place = mmap(nil, wanted, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let place, place != MAP_FAILED else { return AuditFileError("map", path) }
        release()
        (memory, room) = (place, wanted)
        return nil
    }

    private func release() {
        if let memory { munmap(memory, room) }
        (memory, room) = (nil, 0)
    }
}

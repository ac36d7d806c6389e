// SPDX-License-Identifier: Apache-2.0
import AuditChain
import CPlatform
import Glibc

/// Where records are with the kernel from the moment that their answers may leave until they are in a segment: two files in
/// memory (tmpfs), of which one takes what comes while the writer empties the other.
///
/// A write there waits for no disk, so that the event loop does it itself: a few microseconds, instead of two hand-overs
/// between threads. The files outlive the process: what kill -9 has left in them, the next start brings into the chain.
///
/// The holder of the chain's lock is its only user. `active` is touched under the log's gate; `drained` by the writer's
/// thread.
package struct AuditJournal {
    /// One of the two.
    final class File {
        let path: String
        private let descriptor: Int32
        private let chain: Int
        private(set) var size = 0
        /// When it was written last before it was opened, nanoseconds since 1970.
        fileprivate let modified: Int

        /// - Parameter chain: whose records it holds.
        init(_ path: String, chain: Int) throws(AuditFileError) {
            (self.path, self.chain) = (path, chain)
            descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard descriptor >= 0 else { throw AuditFileError("open", path) }
            var facts = stat()
            guard fstat(descriptor, &facts) == 0 else { throw AuditFileError("look at", path) }
            guard facts.st_mode & S_IFMT == S_IFREG, facts.st_uid == geteuid() else {
                throw AuditFileError(
                    "\(path) is no file of this process's user: remove it, or choose another journal_dir")
            }
            size = Int(facts.st_size)
            modified = facts.st_mtim.tv_sec &* 1_000_000_000 &+ facts.st_mtim.tv_nsec
        }

        deinit { close(descriptor) }

        /// All that it holds.
        func content() throws(AuditFileError) -> [UInt8] {
            try AuditDirectory.read(descriptor, from: 0, count: size, named: path)
        }

        /// Gives the kernel a record. What was written of one for which there is no room is taken back.
        func append(_ record: RecordText) -> AuditFileError? {
            if let trouble = begin() { return trouble }
            let count = record.bytes.withUnsafeBytes { bytes -> Int in
                withUnsafeBytes(of: UInt8(ascii: "\n")) { feed in
                    let parts = [
                        iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count),
                        iovec(iov_base: UnsafeMutableRawPointer(mutating: feed.baseAddress), iov_len: 1),
                    ]
                    return pwritev(descriptor, parts, 2, off_t(size))
                }
            }
            guard count == record.bytes.count + 1 else {
                let trouble = count < 0 ? AuditFileError("write to", path) : AuditFileError("\(path) has no more room")
                ftruncate(descriptor, off_t(size))
                return trouble
            }
            size += count
            return nil
        }

        /// Writes the first line, unless it is there: also a trial of whether there is room.
        func begin() -> AuditFileError? {
            guard size == 0 else { return nil }
            let header = JournalText.header(chain: chain, after: 0)
            guard pwrite(descriptor, header, header.count, 0) == header.count else {
                let trouble = AuditFileError("write to", path)
                ftruncate(descriptor, 0)
                return trouble
            }
            size = header.count
            return nil
        }

        /// The records in it get the numbers after this one. Where that cannot be written, they would stand twice in the
        /// chain if the process were killed before they are cleared.
        func mark(after seq: UInt64) {
            guard size > 0 else { return }
            let header = JournalText.header(chain: chain, after: seq)
            _ = pwrite(descriptor, header, header.count, 0)
        }

        /// All that it holds is in a segment.
        func clear() {
            guard size > 0 else { return }
            // Shortening a file in memory does not fail; if it did, the records would stand twice after a kill.
            ftruncate(descriptor, 0)
            size = 0
        }
    }

    /// What comes is written here.
    private(set) var active: File
    private var drained: File
    /// Why `active` does not have all that waits; `nil` while it has.
    private(set) var trouble: String?
    /// Not before that moment it is tried again: what is cleared makes room for a few records more each time.
    private var retryAt: UInt64 = 0
    private static let rest: UInt64 = 1_000_000_000

    /// Opens those of a chain; what they hold is to be read before anything is appended.
    ///
    /// - Parameter directory: of `AuditJournal.directory`.
    init(of chain: Int, in directory: String) throws(AuditFileError) {
        active = try File("\(directory)/chain-\(chain).a", chain: chain)
        drained = try File("\(directory)/chain-\(chain).b", chain: chain)
    }

    /// Records that the run before has left, in their order, and how many lines are none.
    ///
    /// - Parameter end: number of the chain's last record.
    func left(chain: Int, end: UInt64) throws(AuditFileError) -> (records: [RecordText], damaged: Int) {
        // The one whose records have their places came first; where none have, the one that was written first.
        let unplaced = JournalText.header(chain: chain, after: 0)
        let files = [active, drained].sorted { $0.modified < $1.modified }
        let contents = [try files[0].content(), try files[1].content()]
        let inOrder = contents.filter { !$0.starts(with: unplaced) } + contents.filter { $0.starts(with: unplaced) }
        let left = inOrder.map { JournalText.left(of: $0, chain: chain, end: end) }
        return (left.flatMap(\.records), left.reduce(0) { $0 + $1.damaged })
    }

    /// All that both hold is in a segment.
    func clear() {
        active.clear()
        drained.clear()
    }

    /// With the gate held. Returns why the kernel does not have it.
    ///
    /// - Parameter now: CLOCK_MONOTONIC, nanoseconds.
    mutating func append(_ record: RecordText, now: UInt64) -> String? {
        // The files have what came first of what waits: a record after one that is missing would be given another's place.
        if let trouble { return trouble }
        trouble = active.append(record)?.description
        if trouble != nil { retryAt = now &+ Self.rest }
        return trouble
    }

    /// With the gate held, when the writer takes all that waits, and all that it took before is written. Returns the file
    /// that has what it takes.
    mutating func turn(now: UInt64) -> File {
        swap(&active, &drained)
        if now >= retryAt { trouble = nil }
        return drained
    }

    /// With the gate held, while nothing waits. Whether records can be kept.
    mutating func probe(now: UInt64) -> Bool {
        guard trouble == nil || now >= retryAt else { return false }
        if trouble != nil { active.clear() }
        trouble = active.begin()?.description
        if trouble != nil { retryAt = now &+ Self.rest }
        return trouble == nil
    }

    // MARK: The directory

    /// Makes the directory of a log's journals, which is this user's alone.
    ///
    /// - Parameters:
    ///   - parent: where journals of this host lie; made where it is missing.
    ///   - log: the log's own directory, which is there.
    package static func directory(in parent: String, of log: String) throws(AuditFileError) -> String {
        guard let real = realpath(log, nil) else { throw AuditFileError("look at", log) }
        defer { free(real) }
        let path = "\(parent)/\(ChainLink.digest(of: String(cString: real)).prefix(16))"
        for directory in [parent, path] {
            if mkdir(directory, 0o700) != 0, errno != EEXIST { throw AuditFileError("make the directory", directory) }
            if let flaw = JournalPlace.flaw(of: directory) { throw flaw }
        }
        return path
    }
}

/// Where journals may be.
package enum JournalPlace {
    /// Why a directory that is there is not fit, in a sentence.
    package static func flaw(of directory: String) -> AuditFileError? {
        var facts = stat()
        guard lstat(directory, &facts) == 0 else { return AuditFileError("look at", directory) }
        guard facts.st_mode & S_IFMT == S_IFDIR else { return AuditFileError("\(directory) is no directory") }
        guard facts.st_uid == geteuid() else {
            return AuditFileError("\(directory) belongs to user \(facts.st_uid), and not to user \(geteuid())")
        }
        guard facts.st_mode & 0o022 == 0 else {
            return AuditFileError(
                "\(directory) can be written by others than its owner (mode \(String(facts.st_mode & 0o777, radix: 8)))"
            )
        }
        return nil
    }

    /// Whether what lies there is in memory; `nil` where it cannot be told.
    package static func isInMemory(_ directory: String) -> Bool? {
        let answer = claviger_is_in_memory(directory)
        return answer < 0 ? nil : answer == 1
    }
}

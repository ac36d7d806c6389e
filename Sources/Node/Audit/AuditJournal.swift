// SPDX-License-Identifier: Apache-2.0
import AuditChain
import CPlatform
import Glibc

/// Where records are with the kernel from the moment that their answers may leave until they are in a segment: two files in
/// memory (tmpfs), of which one takes what comes while the writer empties the other.
///
/// A record is copied into pages of the file that the process has mapped: no call of the kernel, and no disk to wait for,
/// so that the event loop does it itself. The files outlive the process: what kill -9 has left in them, the next start brings
/// into the chain.
///
/// The holder of the chain's lock is its only user. `active` is touched under the log's gate; `drained` by the writer's
/// thread.
package struct AuditJournal {
    /// What comes is written here.
    private(set) var active: JournalFile
    private var drained: JournalFile
    /// Takes the place of `active`, whose path was removed, when what that holds is taken.
    private var heir: JournalFile?
    /// How often one of them was to be emptied.
    private var turns: UInt64 = 0
    /// Why `active` does not have all that waits; `nil` while it has.
    private(set) var trouble: String?
    /// Not before that moment it is tried again: what is emptied makes room for a few records more each time.
    private var retryAt: UInt64 = 0
    private static let rest: UInt64 = 1_000_000_000

    /// Opens those of a chain; what they hold is to be read before anything is appended.
    ///
    /// - Parameter directory: of `AuditJournal.directory`.
    init(of chain: Int, in directory: String) throws(AuditFileError) {
        active = try JournalFile("\(directory)/chain-\(chain).a", chain: chain)
        drained = try JournalFile("\(directory)/chain-\(chain).b", chain: chain)
    }

    /// Records that the run before has left, in their order, and how many lines are none.
    ///
    /// - Parameter end: number of the chain's last record.
    func left(chain: Int, end: UInt64) throws(AuditFileError) -> (records: [RecordText], damaged: Int) {
        JournalText.left(of: [try active.content(), try drained.content()], chain: chain, end: end)
    }

    /// All that both hold is in a segment: they have room for what comes, if there is any.
    mutating func clear() {
        for file in [active, drained] { clear(file) }
    }

    /// The same, where nothing comes after it.
    func empty() {
        active.empty()
        drained.empty()
    }

    private mutating func clear(_ file: JournalFile) {
        order(file)
        file.clear()
    }

    /// It is emptied next, and takes its turn after all others then.
    private mutating func order(_ file: JournalFile) {
        turns &+= 1
        file.nextTurn = turns
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
    mutating func turn(now: UInt64) -> JournalFile {
        swap(&active, &drained)
        let taken = drained
        order(taken)
        if let heir {
            clear(heir)
            (drained, self.heir) = (heir, nil)
        }
        if now >= retryAt { trouble = nil }
        return taken
    }

    // MARK: Files that are removed

    /// Those whose records the next start would not find: others are to take their places.
    var lost: [JournalFile] { [heir ?? active, drained].filter { !$0.isInPlace } }

    /// With the gate held: puts a file in the place of one that is lost. What that holds is in the memory of who writes it
    /// to a segment.
    ///
    /// - Parameters:
    ///   - new: has room.
    ///   - isIdle: no record waits.
    mutating func replace(_ old: JournalFile, by new: JournalFile, isIdle: Bool) {
        if retryAt == .max { retryAt = 0 }
        clear(new)
        if old === drained {
            drained = new
        } else if old === active, isIdle {
            active = new
        } else if old === heir || old === active {
            // The files have what came first of what waits, so that it begins when that is taken.
            heir = new
        }
    }

    /// With the gate held: no file can be had in the place of one that is lost.
    mutating func fail(_ cause: String) { (trouble, retryAt) = (cause, .max) }

    /// With the gate held, by the writer, while nothing waits. Whether records can be kept.
    mutating func probe(now: UInt64) -> Bool {
        guard trouble == nil || now >= retryAt else { return false }
        if trouble != nil { clear(active) }
        trouble = (active.begin() ?? drained.begin())?.description
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
        try make([parent, path])
        return path
    }

    /// Makes those that are missing, in this order.
    static func make(_ directories: [String]) throws(AuditFileError) {
        for directory in directories {
            if mkdir(directory, 0o700) != 0, errno != EEXIST { throw AuditFileError("make the directory", directory) }
            if let flaw = JournalPlace.flaw(of: directory) { throw flaw }
        }
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

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain
import CPlatform
import Glibc
import Logging
import Threads

/// What a node's audit log is written by: takes records from any thread, and says whether their answers may leave.
///
/// A record is in the journal, and so with the kernel, when `record` returns; no disk is waited for. Two threads do what a
/// disk is needed for: the **writer** gives records their places in the chain, and puts all that wait into one write(2);
/// the **sync** thread brings to the disk what is written, half a second later at most, and has the end of the chain signed
/// then. What is decided stands in `AuditBacklog`. docs/internals/audit.md has the reasons.
///
/// `@unchecked Sendable`: what changes is touched under `gate` only.
package final class AuditLog: @unchecked Sendable {
    /// From the first record that is not on the disk until it is brought there, nanoseconds.
    private static let syncDelay: UInt64 = 500_000_000
    /// What is not on the disk after this counts as one that fails, nanoseconds.
    private static let longestSync: UInt64 = 5_000_000_000
    /// Between two looks at whether the open files are still in their places, nanoseconds.
    private static let lookInterval: UInt64 = 1_000_000_000
    /// Between two looks at what is old, nanoseconds.
    private static let expiryInterval: UInt64 = 3_600_000_000_000

    let settings: AuditSettings
    let directory: AuditDirectory
    let gate = AuditGate()
    private let logger: Logger
    private let onHead: @Sendable (SignedAuditHead) -> Void

    /// What the threads share, under the gate.
    struct Shared {
        var backlog: AuditBacklog
        /// `nil` until a chain is open, and what runs before have left is in it.
        var journal: AuditJournal?
        var key: AuditKey?
        var isKeyNew = false
        var facts = AuditFacts()
        /// Open files, of which the last is written to; the sync thread closes the others.
        var files: [(descriptor: Int32, name: SegmentName)] = []
        /// Holds the chain against other processes; negative before there is one.
        var lock: Int32 = -1
        /// Why what is written to the open segment would be lost, until the writer has another one; `nil` while it is not.
        var removed: String?
        var link = ChainLink()
        /// When the first record was written that is not on the disk.
        var dirtySince: UInt64?
        var isWriterAsleep = false
        var isClosing = false
        var hasWriterEnded = false
        var hasEnded = false
        /// It was closed in order: what comes later has no record, and gets no answer.
        var refusesAtEnd = true
        /// As the log was told.
        var toldTrouble: String?
    }

    var shared: Shared

    /// Begins the threads. Never fails: what is wrong with the directory counts as a full disk, and is tried again.
    ///
    /// - Parameters:
    ///   - key: `nil` while there is none: nothing is signed then.
    ///   - onHead: given each new end of the chain that is on the disk, once in half a second at most; on a thread of the
    ///     log.
    package init(
        settings: AuditSettings, key: AuditKey?, logger: Logger, onHead: @escaping @Sendable (SignedAuditHead) -> Void
    ) {
        self.settings = settings
        directory = AuditDirectory(settings.directory)
        shared = Shared(backlog: AuditBacklog(settings.backlog), key: key)
        self.logger = logger
        self.onHead = onHead
    }

    /// Opens the chain, and begins the threads. Blocks on the disk.
    package func start() {
        let writer = AuditWriter(self)
        _ = writer.prepare()
        let hasThreads =
            DetachedThread.begin("audit-write") { writer.run() }
            && DetachedThread.begin("audit-sync") { [self] in synchronize() }
        guard !hasThreads else { return }
        failed("the system has no more threads")
        gate.locked {
            shared.isClosing = true
            shared.hasEnded = true
            shared.refusesAtEnd = settings.backlog.rule == .refuse
        }
    }

    // MARK: Recording

    /// Whether answers are refused for want of records: then nothing needs to be done for them first.
    package var isRefusing: Bool {
        guard settings.backlog.rule == .refuse else { return false }
        return gate.locked {
            look()
            return shared.backlog.isRefusing
        }
    }

    /// Gives the kernel a record; decides by the rule where that cannot be.
    ///
    /// - Parameter mustStand: it is of something that is done whatever becomes of its record.
    package func record(_ record: RecordText, mustStand: Bool = false) -> AuditVerdict {
        let now = claviger_monotonic_nanoseconds()
        return gate.locked {
            if shared.hasEnded || shared.hasWriterEnded { return mustStand || !shared.refusesAtEnd ? .answer : .refuse }
            if let verdict = shared.backlog.admit(record.bytes.count, mustStand: mustStand, now: now) { return verdict }
            let trouble = shared.journal == nil ? "the log is not open" : shared.journal?.append(record, now: now)
            defer { wake() }
            return shared.backlog.keep(record, trouble: trouble, mustStand: mustStand, now: now)
        }
    }

    /// With the gate held.
    private func wake() {
        guard shared.isWriterAsleep else { return }
        shared.isWriterAsleep = false
        gate.wake(.writer)
    }

    /// With the gate held: notices what takes too long.
    private func look() {
        let now = claviger_monotonic_nanoseconds()
        shared.backlog.look(now)
        if let since = shared.dirtySince, now > since, now - since > Self.longestSync {
            shared.backlog.synced("what is written is not on the disk after \(Self.longestSync / 1_000_000_000) s")
        }
    }

    /// From the next record on this key signs.
    package func use(_ key: AuditKey) {
        gate.locked {
            guard shared.key?.signer != key.signer else { return }
            shared.key = key
            shared.isKeyNew = true
            wake()
        }
    }

    package var facts: AuditFacts {
        let now = claviger_monotonic_nanoseconds()
        defer { tell() }
        return gate.locked {
            look()
            var facts = shared.facts
            let backlog = shared.backlog
            facts.trouble = backlog.gap?.cause ?? backlog.syncTrouble
            facts.troubledSince = backlog.gap?.from
            facts.isRefusing = backlog.isRefusing
            facts.gaps = backlog.past.gaps &+ (backlog.gap == nil ? 0 : 1)
            facts.late = backlog.past.late &+ (backlog.gap?.late ?? 0)
            facts.lost = backlog.past.lost &+ (backlog.gap?.lost ?? 0)
            facts.refused = backlog.past.refused &+ (backlog.gap?.refused ?? 0)
            facts.seq = shared.link.seq
            facts.waitingBytes = backlog.keptBytes
            if let since = shared.dirtySince, now > since { facts.unsynced = now - since }
            return facts
        }
    }

    /// Closes the segment in order, brings all to the disk, and ends the threads. Blocks, for so many milliseconds at
    /// most; false where the disk was not done by then.
    @discardableResult
    package func close(within milliseconds: UInt64 = 2_000) -> Bool {
        let deadline = claviger_monotonic_nanoseconds() &+ milliseconds &* 1_000_000
        return gate.locked {
            shared.isClosing = true
            gate.wake(.writer)
            gate.wake(.sync)
            while !shared.hasEnded, claviger_monotonic_nanoseconds() < deadline { gate.wait(.closer, until: deadline) }
            return shared.hasEnded
        }
    }

    // MARK: Of all threads

    /// Nothing can be written at the moment.
    func failed(_ cause: String) {
        let now = claviger_monotonic_nanoseconds()
        gate.locked { shared.backlog.failed(cause, now: now) }
        tell()
    }

    /// Says that a key of the node's own is another than the one that has signed so far: it was lost, or taken away. Those
    /// of a cluster have certificates, which are renewed.
    func tell(signerBefore: AuditSigner?) {
        guard let before = signerBefore?.publicKey, let now = gate.locked({ shared.key?.signer.publicKey }),
            now != before
        else { return }
        logger.warning(
            "the audit log's signing key is another than before", metadata: ["directory": "\(settings.directory)"])
    }

    /// Says what runs before have left.
    func tell(_ remains: JournalRemains) {
        if !remains.records.isEmpty {
            logger.notice(
                "the audit log has records of a run that was killed", metadata: ["records": "\(remains.records.count)"])
        }
        if remains.damaged > 0 {
            logger.warning(
                "lines of the audit log's journal are no records, and are given up",
                metadata: ["lines": "\(remains.damaged)"])
        }
    }

    /// Says once that records are not written, or written again.
    func tell() {
        let (now, before) = gate.locked { () -> (String?, String?) in
            // What comes after the end is nobody's trouble.
            guard !shared.hasWriterEnded else { return (nil, nil) }
            let trouble = shared.backlog.gap?.cause ?? shared.backlog.syncTrouble
            defer { shared.toldTrouble = trouble }
            return (trouble, shared.toldTrouble)
        }
        switch (now, before) {
        case (let cause?, nil):
            logger.error(
                "the audit log cannot be written",
                metadata: [
                    "reason": "\(cause)", "directory": "\(settings.directory)",
                    "on_full": "\(settings.backlog.rule.rawValue)",
                ])
        case (nil, .some): logger.notice("the audit log is written again")
        default: break
        }
    }

    // MARK: The sync thread

    /// What the sync thread has to do besides.
    private struct Housekeeping {
        /// Segments that are to be removed.
        var expired: [SegmentName]?
        /// The record that says so is written.
        var isRecorded = false
        /// The newest file of which the directory on the disk knows.
        var known: SegmentName?
        /// The newest file when it was last looked for old ones.
        var newest: SegmentName?
    }

    private func synchronize() {
        var chores = Housekeeping()
        var expiryAt: UInt64 = 0
        var (lookAt, triedAt) = (UInt64(0), UInt64(0))
        while true {
            let now = claviger_monotonic_nanoseconds()
            let newest = gate.locked { shared.files.last?.name }
            // Also when a segment is full: a busy node fills many in an hour.
            if now >= expiryAt || newest != chores.newest, chores.expired == nil, newest != nil {
                chores.newest = newest
                expiryAt = now &+ Self.expiryInterval
                (chores.expired, chores.isRecorded) = (announceExpired(), false)
            }
            let isLast = gate.locked { () -> Bool in
                while !shared.isClosing {
                    // What failed is not tried again at once.
                    let due =
                        shared.dirtySince.map { max($0, triedAt) &+ Self.syncDelay }
                        ?? (expiryAt == 0 ? now &+ Self.syncDelay : min(expiryAt, lookAt))
                    guard claviger_monotonic_nanoseconds() < due else { break }
                    gate.wait(.sync, until: due)
                }
                while shared.isClosing, !shared.hasWriterEnded { gate.wait(.sync) }
                return shared.hasWriterEnded
            }
            triedAt = claviger_monotonic_nanoseconds()
            if triedAt >= lookAt, !isLast {
                lookAt = triedAt &+ Self.lookInterval
                lookAtSegment()
                lookAtJournal()
            }
            synchronizeOnce(&chores)
            tell()
            guard isLast else { continue }
            letGo()
            gate.locked {
                shared.hasEnded = true
                gate.wake(.closer)
            }
            return
        }
    }

    /// Whether the open segment, and the lock of its chain, are still what others find at their paths. Where they are not,
    /// what is written is lost with them: it counts as a disk that fails, until the writer goes on elsewhere.
    func lookAtSegment() {
        let (file, lock, chain, isKnown) = gate.locked {
            (shared.files.last, shared.lock, shared.facts.chain, shared.removed != nil)
        }
        guard let file, !isKnown else { return }
        let loss =
            directory.loss(of: file.descriptor, at: directory.file(file.name))
            ?? directory.loss(of: lock, at: directory.lockFile(of: chain))
        guard let loss else { return }
        let now = claviger_monotonic_nanoseconds()
        gate.locked {
            // The writer may have begun another one meanwhile.
            guard shared.files.last?.name == file.name else { return }
            shared.removed = loss
            shared.backlog.failed(loss, now: now)
            wake()
        }
        tell()
    }

    /// The same of the journal's files: others take their places.
    private func lookAtJournal() {
        // Outside of the gate: it asks the file system.
        let lost = gate.locked { shared.journal }?.lost ?? []
        guard !lost.isEmpty else { return }
        do throws(AuditFileError) {
            for old in lost {
                let new = try old.another()
                gate.locked {
                    let isIdle = !shared.backlog.hasWork
                    shared.journal?.replace(old, by: new, isIdle: isIdle)
                }
            }
        } catch {
            let cause = "the journal was removed, and cannot be made anew: \(error.description)"
            let now = claviger_monotonic_nanoseconds()
            gate.locked {
                shared.journal?.fail(cause)
                shared.backlog.failed(cause, now: now)
                wake()
            }
            return tell()
        }
        logger.warning(
            "files of the audit log's journal were removed, and are made anew",
            metadata: ["directory": "\(settings.journals)"])
    }

    /// Closes what is open: nothing is written any more, and another process may go on with the chain.
    private func letGo() {
        let (files, lock) = gate.locked { (shared.files, shared.lock) }
        for file in files { seal(file.descriptor) }
        if lock >= 0 { Glibc.close(lock) }
    }

    /// Closes a file that nobody writes to any more.
    private func seal(_ descriptor: Int32) {
        fchmod(descriptor, 0o400)
        Glibc.close(descriptor)
    }

    /// Brings to the disk what is written so far.
    private func synchronizeOnce(_ chores: inout Housekeeping) {
        let begun = claviger_monotonic_nanoseconds()
        let (files, link, key, isDirty) = gate.locked {
            if chores.expired != nil, !shared.backlog.hasWork, shared.backlog.keptBytes == 0 {
                chores.isRecorded = true
            }
            return (shared.files, shared.link, shared.key, shared.dirtySince != nil)
        }
        guard isDirty, !files.isEmpty else { return }
        for file in files where fdatasync(file.descriptor) != 0 {
            let error = AuditFileError("bring to the disk", directory.file(file.name))
            return gate.locked { shared.backlog.synced(error.description) }
        }
        do throws(AuditFileError) {
            if files.last?.name != chores.known {
                try directory.synchronize()
                chores.known = files.last?.name
            }
            if let names = chores.expired, chores.isRecorded {
                try directory.remove(names)
                chores.expired = nil
            }
        } catch {
            return gate.locked { shared.backlog.synced(error.description) }
        }
        for file in files.dropLast() { seal(file.descriptor) }
        gate.locked {
            shared.files.removeAll { file in files.dropLast().contains { $0.descriptor == file.descriptor } }
            shared.dirtySince = shared.link == link ? nil : begun
            shared.backlog.synced(nil)
        }
        announce(link, key)
    }

    /// The end of the chain, which is on the disk.
    private func announce(_ link: ChainLink, _ key: AuditKey?) {
        let head = AuditHead(
            node: settings.node, chain: gate.locked { shared.facts.chain }, run: settings.run, seq: link.seq,
            hash: link.hash, time: Int64(time(nil)))
        if let signed = key?.sign(head) { onHead(signed) }
    }

    /// Records which segments are to be removed; they are when that is on the disk.
    private func announceExpired() -> [SegmentName]? {
        do throws(AuditFileError) {
            let chain = gate.locked { shared.facts.chain }
            guard let old = try directory.expired(chain, settings.rules, now: Int64(time(nil))) else { return nil }
            _ = record(RecordText(expired: old.record, at: .now, node: settings.node), mustStand: true)
            return old.files
        } catch {
            logger.warning(
                "old segments of the audit log are not removed", metadata: ["reason": "\(error.description)"])
            return nil
        }
    }
}

extension AuditTime {
    /// CLOCK_REALTIME now.
    package static var now: AuditTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return AuditTime(seconds: Int64(time.tv_sec), microseconds: time.tv_nsec / 1_000)
    }
}

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain
import CPlatform
import Glibc

/// The writer's thread: it alone knows the chain's end, and writes to its files.
///
/// It takes what waits a few milliseconds after the first record: so a busy node has a write(2) for many records. What has
/// its place in the chain is written in any case, from where a write broke off: so a full disk leaves no hole, and no
/// record is written twice.
///
/// `@unchecked Sendable`: used by who starts the log, and then by its thread alone.
final class AuditWriter: @unchecked Sendable {
    /// Between two attempts while nothing can be written, nanoseconds.
    private static let retryInterval: UInt64 = 100_000_000
    /// From the first record that waits until it is written to a segment, nanoseconds.
    private static let gatherTime: UInt64 = 2_000_000

    private struct Segment {
        var descriptor: Int32
        var name: SegmentName
        var bytes = 0
        var records: UInt64 = 0
        /// CLOCK_MONOTONIC, nanoseconds.
        var begunAt: UInt64
    }

    private let log: AuditLog
    private var chain = 0
    private var link = ChainLink()
    private var tornBytes = 0
    private var segment: Segment?
    /// Why the segment's last record has its place, and may not be written yet: nothing comes after it.
    private var ending: SegmentCause?
    /// Why the next segment is begun.
    private var cause = SegmentCause.start
    private var key: AuditKey?

    /// Lines that have their places, and how much of them is written.
    private var lines: [UInt8] = []
    private var written = 0
    /// What `lines` has of records: they come into another segment where this one is removed before they are written.
    private var taken: [RecordText] = []
    /// The same, of a gap that is over.
    private var gap: RecordText?
    /// Has the records of `lines` until they are written.
    private var journalFile: JournalFile?
    /// Has records of runs before until they are written.
    private var remains: JournalRemains?

    init(_ log: AuditLog) { self.log = log }

    func run() {
        while wait() {
            guard prepare() else {
                if pause() { break }
                continue
            }
            gather()
            take()
            guard flush() else { continue }
            if !recover(), pause() { break }
        }
        finish()
    }

    /// Waits until there is something to do. False when the log is to end and nothing is left.
    private func wait() -> Bool {
        let gate = log.gate
        return gate.locked {
            while true {
                // No copy of it: what waits would be copied with the next record that comes.
                if log.shared.backlog.hasWork || log.shared.isKeyNew || log.shared.removed != nil { return true }
                if log.shared.isClosing { return false }
                if segment == nil || written < lines.count || log.shared.backlog.gap != nil { return true }
                let now = claviger_monotonic_nanoseconds()
                if closing(now) != nil { return true }
                log.shared.isWriterAsleep = true
                let age = log.settings.rules.age
                gate.wait(.writer, until: now &+ min(age, 60_000_000_000))
                log.shared.isWriterAsleep = false
            }
        }
    }

    /// Until there may be more to write. What comes meanwhile is in the journal.
    private func gather() {
        let deadline = claviger_monotonic_nanoseconds() &+ Self.gatherTime
        log.gate.locked {
            while !log.shared.isClosing, log.shared.backlog.gap == nil, claviger_monotonic_nanoseconds() < deadline {
                log.gate.wait(.writer, until: deadline)
            }
        }
    }

    /// Nothing can be done at the moment. True where the log is to end.
    private func pause() -> Bool {
        log.gate.locked {
            guard !log.shared.isClosing else { return true }
            log.gate.wait(.writer, until: claviger_monotonic_nanoseconds() &+ Self.retryInterval)
            return log.shared.isClosing
        }
    }

    private func closing(_ now: UInt64) -> SegmentCause? {
        guard let segment else { return nil }
        return log.settings.rules.cause(
            written: segment.bytes, records: segment.records, age: now > segment.begunAt ? now - segment.begunAt : 0)
    }

    // MARK: Segments

    /// Sees to it that there is a segment to write to. False where there can be none at the moment.
    func prepare() -> Bool {
        let removed = log.gate.locked { log.shared.removed }
        do throws(AuditFileError) {
            if removed != nil { try reclaim() }
        } catch {
            log.failed("\(removed ?? ""): \(error.description)")
            return false
        }
        guard flush() else { return false }
        if ending == nil {
            let hasNewKey = log.gate.locked { () -> Bool in
                defer { log.shared.isKeyNew = false }
                return log.shared.isKeyNew
            }
            if let due = closing(claviger_monotonic_nanoseconds()) ?? (hasNewKey ? .key : nil) { end(due) }
            guard flush() else { return false }
        }
        if let ending {
            segment = nil
            cause = ending
            self.ending = nil
        }
        guard segment == nil else { return true }
        do throws(AuditFileError) {
            try open()
            return flush()
        } catch {
            log.failed([removed, error.description].compactMap(\.self).joined(separator: ": "))
            return false
        }
    }

    /// The segment is at its path no more, or the lock of its chain: makes the directory anew where it is gone, holds the
    /// chain in it again, and has the next segment begun with what this one was to have.
    private func reclaim() throws(AuditFileError) {
        let (directory, lock) = (log.directory, log.gate.locked { log.shared.lock })
        if let segment, directory.loss(of: segment.descriptor, at: directory.file(segment.name)) != nil {
            self.segment = nil
            (ending, cause) = (nil, .removed)
            lines.removeAll()
            written = 0
        }
        try directory.make()
        if directory.loss(of: lock, at: directory.lockFile(of: chain)) != nil {
            guard let other = try directory.take(chain) else {
                throw AuditFileError("another process has begun chain \(chain) in \(directory.path)")
            }
            log.gate.locked { log.shared.lock = other }
            Glibc.close(lock)
        }
        if segment != nil { log.gate.locked { log.shared.removed = nil } }
    }

    private func open() throws(AuditFileError) {
        if chain == 0 { try begin() }
        // A segment is signed by one key, which its first record names.
        key = log.gate.locked { log.shared.key }
        let name = SegmentName(chain: chain, first: link.seq &+ 1)
        let descriptor = try log.directory.create(name)
        segment = Segment(descriptor: descriptor, name: name, begunAt: claviger_monotonic_nanoseconds())
        let recovered = remains?.records ?? []
        let begin = SegmentBegin(
            version: log.settings.version, chain: chain, run: log.settings.run, cause: cause, previousHash: link.hash,
            tornBytes: tornBytes, recovered: recovered.count, signer: key?.signer ?? AuditSigner())
        tornBytes = 0
        log.gate.locked {
            log.shared.files.append((descriptor, name))
            log.shared.removed = nil
            log.shared.facts.chain = chain
            log.shared.link = link
        }
        append(RecordText(begin, at: .now, node: log.settings.node))
        for record in recovered { append(record) }
        // Of a segment that was removed.
        journalFile?.mark(after: link.seq)
        for record in taken { append(record) }
        if let gap { append(gap, isSigned: true) }
    }

    /// Takes a chain, and what was left in its journal and in those of chains that nobody writes any more.
    private func begin() throws(AuditFileError) {
        let taken = try log.directory.takeChain()
        do throws(AuditFileError) {
            (link, tornBytes) = try log.directory.end(of: taken.chain)
            remains = try JournalRemains(
                of: taken.chain, end: link.seq, in: log.directory,
                journals: AuditJournal.directory(in: log.settings.journals, of: log.directory.path))
        } catch {
            Glibc.close(taken.lock)
            throw error
        }
        chain = taken.chain
        log.gate.locked { log.shared.lock = taken.lock }
        if let remains { log.tell(remains) }
        log.tell(signerBefore: log.directory.signer(of: chain))
    }

    private func end(_ cause: SegmentCause) {
        guard let segment else { return }
        ending = cause
        append(
            RecordText(endOf: cause, records: segment.records &+ 1, at: .now, node: log.settings.node), isSigned: true)
    }

    /// A record that no answer waits for.
    private func append(_ record: RecordText, isSigned: Bool = false) {
        segment?.records += 1
        if isSigned, let key {
            link.append(record, to: &lines) { key.sign($0) }
        } else {
            link.append(record, to: &lines)
        }
    }

    // MARK: Writing

    /// Gives what waits its places.
    private func take() {
        let records = log.gate.locked { () -> [RecordText] in
            journalFile = log.shared.journal?.turn(now: claviger_monotonic_nanoseconds())
            return log.shared.backlog.take()
        }
        taken = records
        journalFile?.mark(after: link.seq)
        for record in records { link.append(record, to: &lines) }
        segment?.records += UInt64(records.count)
    }

    /// Writes what has its place. False where not all could be.
    private func flush() -> Bool {
        guard let descriptor = segment?.descriptor, written < lines.count else { return true }
        log.gate.locked { log.shared.backlog.writes(now: claviger_monotonic_nanoseconds()) }
        while written < lines.count {
            let count = lines.withUnsafeBytes { bytes in
                Glibc.write(descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                log.failed(AuditFileError("write to", log.directory.path).description)
                return false
            }
            written += count
            segment?.bytes += count
        }
        let bytes = lines.count
        lines.removeAll(keepingCapacity: lines.capacity <= 1 << 20)
        written = 0
        (taken, gap) = ([], nil)
        journalFile?.clear()
        journalFile = nil
        // From here on the journal has nothing of the run before.
        let journal = remains?.clear()
        remains = nil
        let (now, end) = (claviger_monotonic_nanoseconds(), link)
        log.gate.locked {
            if let journal { log.shared.journal = journal }
            log.shared.facts.bytes &+= UInt64(bytes)
            log.shared.facts.records &+= end.seq &- min(log.shared.link.seq, end.seq)
            log.shared.link = end
            if log.shared.dirtySince == nil {
                log.shared.dirtySince = now
                log.gate.wake(.sync)
            }
            log.shared.backlog.wrote()
        }
        return true
    }

    /// All is written: where it was not for a time, that is recorded. False while it is not over.
    private func recover() -> Bool {
        let now = claviger_monotonic_nanoseconds()
        let (isOver, gap) = log.gate.locked { () -> (Bool, AuditGap?) in
            guard log.shared.backlog.gap != nil else { return (true, nil) }
            // More has come, which is written at once; or what was written is lost.
            guard !log.shared.backlog.hasWork, log.shared.removed == nil else { return (true, nil) }
            guard log.shared.journal?.probe(now: now) == true else { return (false, nil) }
            return (true, log.shared.backlog.recovered())
        }
        guard let gap else { return isOver }
        let wall = AuditTime.now
        let record = RecordText(
            gap, from: wall.earlier(by: now > gap.from ? now - gap.from : 0), to: wall, node: log.settings.node)
        self.gap = record
        append(record, isSigned: true)
        if flush() { log.tell() }
        return true
    }

    /// Closes the chain in order, where it can be: what waits still comes into it. What does not is in the journal.
    private func finish() {
        // What came since the last look would end where nobody finds it.
        log.lookAtSegment()
        if segment != nil, prepare() {
            take()
            if flush() { close() }
        }
        let now = claviger_monotonic_nanoseconds()
        log.gate.locked {
            log.shared.hasWriterEnded = true
            log.gate.wake(.sync)
            // What comes now has no record.
            log.shared.backlog.failed("the node ends", now: now)
        }
    }

    /// All is written: ends the segment.
    private func close() {
        if let gap = log.gate.locked({ log.shared.backlog.recovered() }) {
            let wall = AuditTime.now
            append(RecordText(gap, from: wall, to: wall, node: log.settings.node), isSigned: true)
        }
        end(.stop)
        _ = flush()
    }
}

extension AuditTime {
    /// So many nanoseconds before.
    func earlier(by nanoseconds: UInt64) -> AuditTime {
        let whole =
            (Int64(clamping: seconds) &* 1_000_000 &+ Int64(microseconds)) &- Int64(clamping: nanoseconds / 1_000)
        let rest = ((whole % 1_000_000) + 1_000_000) % 1_000_000
        return AuditTime(seconds: (whole - rest) / 1_000_000, microseconds: Int(rest))
    }
}

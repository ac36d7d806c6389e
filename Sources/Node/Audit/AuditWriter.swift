// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain
import CPlatform
import Glibc

/// The writer's thread: it alone knows the chain's end, and writes to its files.
///
/// What has its place in the chain is written in any case, from where a write broke off: so a full disk leaves no hole, and
/// no record is written twice.
final class AuditWriter {
    /// Between two attempts while nothing can be written, nanoseconds.
    private static let retryInterval: UInt64 = 100_000_000

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
    /// Why the next segment is begun.
    private var cause = SegmentCause.start
    private var key: AuditKey?

    /// Lines that have their places, and how much of them is written.
    private var lines: [UInt8] = []
    private var written = 0
    /// Where the records end in `lines` that answers wait for.
    private var ends: [Int] = []

    init(_ log: AuditLog) { self.log = log }

    func run() {
        while true {
            guard wait() else { break }
            guard prepare(), flush() else {
                log.gate.locked {
                    guard !log.shared.isClosing else { return }
                    log.gate.wait(.writer, until: claviger_monotonic_nanoseconds() &+ Self.retryInterval)
                }
                if log.gate.locked({ log.shared.isClosing }) { break }
                continue
            }
            take()
            guard flush() else { continue }
            recover()
        }
        finish()
    }

    /// Waits until there is something to do. False when the log is to end and nothing is left.
    private func wait() -> Bool {
        let gate = log.gate
        return gate.locked {
            while true {
                // No copy of it: what waits would be copied with the next record that comes.
                if log.shared.backlog.hasWork || log.shared.isKeyNew { return true }
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

    private func closing(_ now: UInt64) -> SegmentCause? {
        guard let segment else { return nil }
        return log.settings.rules.cause(
            written: segment.bytes, records: segment.records, age: now > segment.begunAt ? now - segment.begunAt : 0)
    }

    // MARK: Segments

    /// Sees to it that there is a segment to write to. False where there can be none at the moment.
    private func prepare() -> Bool {
        guard flush() else { return false }
        let hasNewKey = log.gate.locked { () -> Bool in
            defer { log.shared.isKeyNew = false }
            return log.shared.isKeyNew
        }
        if segment != nil, let due = closing(claviger_monotonic_nanoseconds()) ?? (hasNewKey ? .key : nil) {
            end(due)
            guard flush() else { return false }
            segment = nil
            cause = due
        }
        guard segment == nil else { return true }
        do throws(AuditFileError) {
            try open()
            return true
        } catch {
            log.failed(error.description)
            return false
        }
    }

    private func open() throws(AuditFileError) {
        if chain == 0 {
            let taken = try log.directory.takeChain()
            do throws(AuditFileError) {
                (link, tornBytes) = try log.directory.end(of: taken.chain)
            } catch {
                close(taken.lock)
                throw error
            }
            chain = taken.chain
            log.gate.locked { log.shared.lock = taken.lock }
        }
        // A segment is signed by one key, which its first record names.
        key = log.gate.locked { log.shared.key }
        let name = SegmentName(chain: chain, first: link.seq &+ 1)
        let descriptor = try log.directory.create(name)
        segment = Segment(descriptor: descriptor, name: name, begunAt: claviger_monotonic_nanoseconds())
        let begin = SegmentBegin(
            version: log.settings.version, chain: chain, run: log.settings.run, cause: cause, previousHash: link.hash,
            tornBytes: tornBytes, signer: key?.signer ?? AuditSigner())
        tornBytes = 0
        log.gate.locked {
            log.shared.files.append((descriptor, name))
            log.shared.facts.chain = chain
            log.shared.link = link
        }
        append(RecordText(begin, at: .now, node: log.settings.node))
    }

    private func end(_ cause: SegmentCause) {
        guard let segment else { return }
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
        let seq = link.seq
        let records = log.gate.locked { log.shared.backlog.take(after: seq, limit: AuditLog.mostRecords) }
        ends.removeAll(keepingCapacity: true)
        for record in records {
            link.append(record, to: &lines)
            ends.append(lines.count)
        }
        segment?.records += UInt64(records.count)
    }

    /// Writes what has its place, and lets the answers go whose records are written. False where not all could be.
    private func flush() -> Bool {
        guard let descriptor = segment?.descriptor, written < lines.count else { return true }
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
            progressed(by: count)
        }
        lines.removeAll(keepingCapacity: lines.capacity <= 1 << 20)
        written = 0
        ends.removeAll(keepingCapacity: true)
        return true
    }

    private func progressed(by count: Int) {
        let done = ends.prefix { $0 <= written }.count
        let now = claviger_monotonic_nanoseconds()
        let isWhole = written == lines.count
        let end = link
        let released = log.gate.locked { () -> [AuditBacklog<AuditAnswer>.Released] in
            log.shared.facts.bytes &+= UInt64(count)
            if isWhole {
                log.shared.facts.records &+= end.seq &- min(log.shared.link.seq, end.seq)
                log.shared.link = end
                if log.shared.dirtySince == nil {
                    log.shared.dirtySince = now
                    log.gate.wake(.sync)
                }
            }
            return log.shared.backlog.wrote(done)
        }
        log.release(released)
    }

    /// All is written: where it was not for a time, that is recorded.
    private func recover() {
        let now = claviger_monotonic_nanoseconds()
        guard let gap = log.gate.locked({ log.shared.backlog.recovered() }) else { return }
        let wall = AuditTime.now
        append(
            RecordText(
                gap, from: wall.earlier(by: now > gap.from ? now - gap.from : 0), to: wall, node: log.settings.node),
            isSigned: true)
        if flush() { log.tell() }
    }

    /// Closes the chain in order, where it can be.
    private func finish() {
        if segment != nil, flush() {
            if let gap = log.gate.locked({ log.shared.backlog.recovered() }) {
                let wall = AuditTime.now
                append(RecordText(gap, from: wall, to: wall, node: log.settings.node), isSigned: true)
            }
            end(.stop)
            _ = flush()
        }
        let now = claviger_monotonic_nanoseconds()
        let left = log.gate.locked { () -> [AuditBacklog<AuditAnswer>.Released] in
            log.shared.hasWriterEnded = true
            log.gate.wake(.sync)
            return log.shared.backlog.failed("the node ends", now: now)
        }
        log.release(left)
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

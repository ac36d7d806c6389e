// SPDX-License-Identifier: Apache-2.0
import Glibc
import Threads

/// Takes finished lines from any thread and writes them to a descriptor from one thread of its own.
///
/// Logging never waits for the reader of the log: lines go into a bounded buffer, and when that is full they are
/// dropped and counted. Once the reader takes lines again, one line says how many are missing. How full the buffer may be
/// for a line to find room depends on what it is (`LogRoom`), so that strangers cannot drown what matters.
///
/// `@unchecked Sendable`: everything that changes is touched under `mutex` only; mutex and condition have stable
/// addresses of their own.
package final class LogSink: @unchecked Sendable {
    /// How long the writer lets lines gather before it writes them, microseconds.
    private static let gathering: UInt32 = 5000

    private let descriptor: Int32
    private let capacity: Int
    private let dropNotice: @Sendable (LogLineCounts) -> [UInt8]

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    // Under the mutex:
    private var pending: [UInt8] = []
    /// Bytes of lines that the writer has taken and not yet written; they count against `capacity`.
    private var inWriting = 0
    private var isWriting = false
    private var dropped = LogLineCounts()
    private var droppedInAll = LogLineCounts()
    private var isWriterAsleep = false
    private var isClosing = false
    private var hasEnded = false
    /// What was written last, whole lines but for the first.
    private var written: [UInt8] = []

    /// So much of what was written last is kept, bytes.
    private static let tailLength = 512 * 1024

    /// - Parameters:
    ///   - descriptor: where the lines go; it is not closed. Standard error by default.
    ///   - capacity: bytes that may wait, 8 MiB by default (some 15,000 request lines).
    ///   - dropNotice: makes the line that says how many lines were dropped, with its line feed.
    package init(
        descriptor: Int32 = STDERR_FILENO, capacity: Int = 8 * 1024 * 1024,
        dropNotice: @escaping @Sendable (LogLineCounts) -> [UInt8] = { LogLine.dropNotice($0) }
    ) {
        self.descriptor = descriptor
        self.capacity = capacity
        self.dropNotice = dropNotice
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
        pending.reserveCapacity(64 * 1024)
        startWriter()
    }

    deinit {
        // The writer holds a reference while it runs, so it has ended.
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Lines dropped since the start.
    package var droppedLines: LogLineCounts { locked { droppedInAll } }

    /// Bytes that wait to be written.
    package var waitingBytes: Int { locked { pending.count + inWriting } }

    /// The last lines that were written, the oldest first, some hundred KiB of them.
    package var tail: [String] {
        let bytes = locked { written }
        var lines = bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
        // Where older ones were let go, the first may be a part of one.
        if bytes.count >= Self.tailLength, !lines.isEmpty { lines.removeFirst() }
        return lines
    }

    /// Appends one line, which ends with a line feed. Never waits for input or output.
    package func append(_ line: UnsafeRawBufferPointer, in room: LogRoom = .orders) {
        locked {
            if isClosing {
                droppedInAll.count(room)
                return
            }
            if line.count <= room.share(of: capacity) - pending.count - inWriting {
                pending.append(contentsOf: line)
            } else {
                dropped.count(room)
                droppedInAll.count(room)
            }
            if isWriterAsleep {
                isWriterAsleep = false
                pthread_cond_broadcast(changed)
            }
        }
    }

    /// Waits until everything logged so far is written, or the time is over; true in the first case.
    @discardableResult
    package func flush(within milliseconds: Int = 2000) -> Bool {
        waitUntil(milliseconds) { (pending.isEmpty && !isWriting && dropped.isEmpty) || hasEnded }
    }

    /// Writes what is left, as far as the time allows, and ends the writer. Later lines are dropped.
    @discardableResult
    package func close(within milliseconds: Int = 2000) -> Bool {
        locked {
            isClosing = true
            pthread_cond_broadcast(changed)
        }
        return waitUntil(milliseconds) { hasEnded }
    }

    // MARK: - Waiting

    private func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    private func waitUntil(_ milliseconds: Int, _ condition: () -> Bool) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanoseconds = deadline.tv_nsec + max(0, milliseconds % 1000) * 1_000_000
        deadline.tv_sec += max(0, milliseconds / 1000) + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        return locked {
            while !condition() {
                if pthread_cond_timedwait(changed, mutex, &deadline) == ETIMEDOUT { return condition() }
            }
            return true
        }
    }

    // MARK: - The writer

    private func startWriter() {
        guard !DetachedThread.begin("log", { self.write() }) else { return }
        // Without a thread there is no log; say so by counting every line as dropped.
        locked {
            isClosing = true
            hasEnded = true
        }
    }

    private func write() {
        var batch: [UInt8] = []
        batch.reserveCapacity(64 * 1024)
        while takeBatch(&batch) {
            writeAll(batch)
            locked {
                keep(batch)
                inWriting = 0
                isWriting = false
                pthread_cond_broadcast(changed)
            }
            batch.removeAll(keepingCapacity: batch.capacity <= 1024 * 1024)
        }
        locked {
            hasEnded = true
            pthread_cond_broadcast(changed)
        }
    }

    /// Twice as much is let grow before the older half goes: moving it each time would cost more than it holds.
    private func keep(_ batch: [UInt8]) {
        written.append(contentsOf: batch.suffix(Self.tailLength))
        guard written.count > 2 * Self.tailLength else { return }
        written.removeFirst(written.count - Self.tailLength)
    }

    /// Waits for lines and takes all there are; false when there will be no more.
    private func takeBatch(_ batch: inout [UInt8]) -> Bool {
        pthread_mutex_lock(mutex)
        if pending.isEmpty, dropped.isEmpty, !isClosing {
            while pending.isEmpty, dropped.isEmpty, !isClosing {
                isWriterAsleep = true
                pthread_cond_wait(changed, mutex)
            }
            isWriterAsleep = false
            // A first line is rarely alone. Waiting a moment for those that follow saves them a wake-up each.
            pthread_mutex_unlock(mutex)
            usleep(Self.gathering)
            pthread_mutex_lock(mutex)
        }
        defer { pthread_mutex_unlock(mutex) }
        guard !pending.isEmpty || !dropped.isEmpty else { return false }
        swap(&batch, &pending)
        isWriting = true
        inWriting = batch.count
        // What the sink says itself takes no room from others' lines.
        if !dropped.isEmpty { batch.append(contentsOf: dropNotice(dropped)) }
        dropped = LogLineCounts()
        return true
    }

    private func writeAll(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count >= 0 {
                    offset += count
                } else if errno == EAGAIN {
                    // Somebody made the descriptor non-blocking; it may be shared with other processes.
                    var poller = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&poller, 1, -1)
                } else if errno != EINTR {
                    // The reader is gone: these bytes are lost, and the next may find another one.
                    return
                }
            }
        }
    }
}

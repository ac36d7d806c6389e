// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A process, distinguished from a later one that has got the same number. Processes that share a ledger must see each
/// other's numbers: they run in one PID namespace.
package struct ProcessIdentity: Sendable, Hashable {
    package var pid: Int32
    /// Clock ticks between boot and the start (proc_pid_stat(5), field 22); 0 when /proc does not report.
    package var startTicks: UInt64

    package init(pid: Int32, startTicks: UInt64) {
        self.pid = pid
        self.startTicks = startTicks
    }

    /// This process.
    package static let current = ProcessIdentity(pid: getpid(), startTicks: ProcessFacts.read(getpid())?.start ?? 0)

    /// Whether it still runs. A process that waits for its parent to take note of its end does not: it holds nothing.
    /// In doubt (/proc cannot be read), it does.
    package var isAlive: Bool {
        guard pid > 0 else { return false }
        guard let facts = ProcessFacts.read(pid) else {
            return kill(pid, 0) == 0 || errno == EPERM
        }
        return !facts.hasEnded && (startTicks == 0 || facts.start == startTicks)
    }
}

private struct ProcessFacts {
    var hasEnded: Bool
    var start: UInt64

    /// From /proc/PID/stat; `nil` when that cannot be read.
    static func read(_ pid: Int32) -> ProcessFacts? {
        let descriptor = open("/proc/\(pid)/stat", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1_024)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return nil }
        // "PID (name) state …": the name may hold spaces and parentheses, what follows its last one does not.
        guard let end = bytes[..<count].lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = String(decoding: bytes[(end + 1)..<count], as: UTF8.self).split(separator: " ")
        // Field 3 is the first of these.
        guard fields.count > 19, let start = UInt64(fields[19]) else { return nil }
        return ProcessFacts(hasEnded: ["Z", "X", "x"].contains(fields[0]), start: start)
    }
}

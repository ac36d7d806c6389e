// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Synchronization

/// How a child process ended.
package enum ProcessEnd: Sendable, Equatable, CustomStringConvertible {
    case exited(Int32)
    case killed(signal: Int32)

    package var description: String {
        switch self {
        case .exited(let status): "exit status \(status)"
        case .killed(let signal): "signal \(signal)"
        }
    }
}

/// A child process whose standard input stays open as long as this process lives, and whose output is handed on line by
/// line. It is in a process group of its own: Ctrl-C in the terminal reaches this process only.
package final class ManagedProcess: Sendable {
    private struct State {
        var end: ProcessEnd?
        var waiters: [CheckedContinuation<ProcessEnd, Never>] = []
    }

    package let name: String
    package let pid: Int32
    /// The other end of its standard input. The kernel closes it when this process ends, however it does.
    private let lifeline: Int32
    private let state = Mutex(State())

    /// - Parameters:
    ///   - name: for messages, and handed to `onLine`.
    ///   - arguments: the program's name for itself, then its arguments.
    ///   - onLine: called for each line of its standard output and error, from a thread of its own.
    /// - Throws: `DevError` when it cannot be started.
    package init(
        name: String, program: String, arguments: [String],
        onLine: @escaping @Sendable (_ name: String, _ line: String) -> Void
    ) throws {
        let input = try Self.makePipe()
        let output: (read: Int32, write: Int32)
        do {
            output = try Self.makePipe()
        } catch {
            close(input.read)
            close(input.write)
            throw error
        }
        defer {
            close(input.read)
            close(output.write)
        }
        do {
            pid = try Self.spawn(program, arguments, input: input.read, output: output.write)
        } catch {
            close(input.write)
            close(output.read)
            throw error
        }
        self.name = name
        lifeline = input.write
        Thread.detachNewThread { OutputLines.read(output.read) { onLine(name, $0) } }
        Thread.detachNewThread { self.waitForEnd() }
    }

    /// Sends a signal, unless the process has ended: its number may be another's by then.
    package func signal(_ number: Int32) {
        state.withLock { state in
            if state.end == nil { _ = kill(pid, number) }
        }
    }

    /// How it ended; `nil` while it runs.
    package var end: ProcessEnd? { state.withLock { $0.end } }

    /// Waits for its end.
    package func ended() async -> ProcessEnd {
        await withCheckedContinuation { continuation in
            let end = state.withLock { state in
                if state.end == nil { state.waiters.append(continuation) }
                return state.end
            }
            if let end { continuation.resume(returning: end) }
        }
    }

    /// The process is waited for before its number is given up, and given up under the lock: nobody signals another.
    private func waitForEnd() {
        var info = siginfo_t()
        while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        let (end, waiters) = state.withLock { state in
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            let end: ProcessEnd =
                status & 0x7F == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal: status & 0x7F)
            defer { state.waiters = [] }
            state.end = end
            return (end, state.waiters)
        }
        close(lifeline)
        for waiter in waiters { waiter.resume(returning: end) }
    }

    private static func makePipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw DevError("No pipe is to be had: \(String(cString: strerror(errno))).") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func spawn(_ program: String, _ words: [String], input: Int32, output: Int32) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF) | Int32(POSIX_SPAWN_SETPGROUP)
        posix_spawnattr_setflags(&attributes, Int16(truncatingIfNeeded: flags))

        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let code = posix_spawn(&process, program, &actions, &attributes, arguments, environ)
        guard code == 0 else { throw DevError("Cannot start \(program): \(String(cString: strerror(code))).") }
        return process
    }
}

/// Cuts what a process writes into lines.
enum OutputLines {
    /// A line is handed on in pieces beyond this, bytes.
    private static let longest = 64 * 1024

    /// Reads to the end of the descriptor, and closes it.
    static func read(_ descriptor: Int32, onLine: (String) -> Void) {
        defer { close(descriptor) }
        var pending: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            pending += buffer.prefix(count)
            let lines = pending.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            for line in lines.dropLast() { onLine(String(decoding: line, as: UTF8.self)) }
            pending = lines.last.map(Array.init) ?? []
            if pending.count > longest {
                onLine(String(decoding: pending, as: UTF8.self))
                pending = []
            }
        }
        if !pending.isEmpty { onLine(String(decoding: pending, as: UTF8.self)) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// How a process ended.
enum ProcessEnd: Equatable {
    case exited(Int32)
    case killed(signal: Int32)
}

/// A process that was started here, with all that it writes. Its pipes are always read, so it never waits for them.
final class ChildProcess: Sendable {
    private struct State {
        var output: [UInt8] = []
        var errors: [UInt8] = []
        var openPipes = 2
        var end: ProcessEnd?
    }

    let pid: Int32
    private let state = Observed(State())

    /// - Parameters:
    ///   - arguments: the program's path, then its arguments.
    ///   - environment: added to this process's own.
    init(_ arguments: [String], environment: [String: String] = [:]) throws {
        // No other process may get an end of these pipes, which would then stay open as long as that.
        Self.starting.lock()
        defer { Self.starting.unlock() }
        let output = try Self.makePipe()
        let errors = try Self.makePipe()
        defer {
            close(output.write)
            close(errors.write)
        }
        pid = try Self.spawn(arguments, environment: environment, output: output.write, errors: errors.write)
        let state = state
        let pid = pid
        Self.read(output.read, state) { $0.output += $1 }
        Self.read(errors.read, state) { $0.errors += $1 }
        Thread.detachNewThread { Self.waitForEnd(pid, state) }
    }

    deinit { kill(SIGKILL) }

    /// Standard output and standard error so far.
    var output: String { state.read { String(decoding: $0.output, as: UTF8.self) } }
    var errors: String { state.read { String(decoding: $0.errors, as: UTF8.self) } }
    var isRunning: Bool { state.read { $0.end == nil } }

    /// Sends a signal, unless the process has ended: its number may be another's by then.
    func kill(_ signal: Int32) {
        state.update { state in
            if state.end == nil { _ = Glibc.kill(pid, signal) }
        }
    }

    /// Waits for the end, and for the rest of the output.
    func end(within seconds: Double) throws -> ProcessEnd {
        guard let end = state.wait(atMost: seconds, until: { $0.end }) else {
            throw HarnessError("process \(pid) did not end within \(seconds) s")
        }
        _ = state.wait(atMost: 2) { $0.openPipes == 0 ? true : nil }
        return end
    }

    /// Waits until standard output has so many whole lines; fails at once when the process has ended without.
    func outputLines(_ count: Int, within seconds: Double) throws -> [String] {
        let lines = state.wait(atMost: seconds) { state -> [String]?? in
            let lines = Self.lines(state.output)
            if lines.count >= count { return lines }
            return state.end != nil && state.openPipes == 0 ? .some(nil) : nil
        }
        guard let lines = lines ?? nil else {
            throw HarnessError(
                "\(count) lines did not come within \(seconds) s; standard error: \(errors.suffix(2_000))")
        }
        return lines
    }

    /// Waits until standard output has this text; fails when the process has ended without.
    func output(with text: String, within seconds: Double) throws -> String {
        let output = state.wait(atMost: seconds) { state -> String?? in
            let output = String(decoding: state.output, as: UTF8.self)
            if output.contains(text) { return output }
            return state.end != nil && state.openPipes == 0 ? .some(nil) : nil
        }
        guard let output = output ?? nil else {
            throw HarnessError(
                "no \(text.debugDescription) within \(seconds) s; standard error: \(errors.suffix(2_000))")
        }
        return output
    }

    /// Waits until standard error has a line that `found` takes; fails when the process has ended without.
    func errorLine<Result>(
        _ what: String, within seconds: Double = 10, _ found: (String) -> Result?
    ) throws -> Result {
        var seen = 0
        let result = state.wait(atMost: seconds) { state -> Result?? in
            let lines = Self.lines(state.errors)
            for line in lines.dropFirst(seen) {
                if let result = found(line) { return .some(result) }
            }
            seen = lines.count
            return state.end != nil && state.openPipes == 0 ? .some(nil) : nil
        }
        guard let result = result ?? nil else {
            throw HarnessError("no such line within \(seconds) s: \(what); the end of the log: \(errors.suffix(2_000))")
        }
        return result
    }

    var errorLines: [String] { state.read { Self.lines($0.errors) } }

    private static func lines(_ bytes: [UInt8]) -> [String] {
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
        return bytes[...end].split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    }

    // MARK: Threads

    private static func read(
        _ descriptor: Int32, _ state: Observed<State>,
        append: @escaping @Sendable (inout State, ArraySlice<UInt8>) -> Void
    ) {
        Thread.detachNewThread {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = Glibc.read(descriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                state.update { append(&$0, buffer[..<count]) }
            }
            close(descriptor)
            state.update { $0.openPipes -= 1 }
        }
    }

    private static func waitForEnd(_ pid: Int32, _ state: Observed<State>) {
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        // The number stays this process's until it is reaped, which happens while nobody can send a signal to it.
        state.update { state in
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            let signal = status & 0x7F
            state.end = signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal: signal)
        }
    }

    // MARK: Start

    private static let starting = NSLock()

    private static func makePipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw HarnessError("pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func spawn(
        _ arguments: [String], environment: [String: String], output: Int32, errors: Int32
    ) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }.map { "\($0.key)=\($0.value)" }
        var argumentPointers = arguments.map { strdup($0) } + [nil]
        var variablePointers = variables.map { strdup($0) } + [nil]
        defer { for pointer in argumentPointers + variablePointers { free(pointer) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, arguments[0], &actions, nil, &argumentPointers, &variablePointers)
        guard code == 0 else { throw HarnessError("cannot start \(arguments[0]): \(String(cString: strerror(code)))") }
        return pid
    }
}

/// What a command that ran to its end has said.
struct CommandResult {
    var end: ProcessEnd
    var output: String
    var errors: String

    var isSuccess: Bool { end == .exited(0) }
}

/// Runs a command to its end, which must come within so many seconds.
func run(
    _ arguments: [String], environment: [String: String] = [:], within seconds: Double = 30
) throws -> CommandResult {
    let child = try ChildProcess(arguments, environment: environment)
    let end = try child.end(within: seconds)
    return CommandResult(end: end, output: child.output, errors: child.errors)
}

// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CPlatform
import Glibc
import HSMPool
import SecureMemory

/// Runs what loads a vendor's library in a process of its own: this very command once more, as a child. What the library
/// prints goes to standard error, without what a terminal obeys, and if it ends the process the command does not end as if all were done.
///
/// The child writes its result to a pipe: a letter for success or failure, the text, and a zero byte when all of it is
/// written.
enum LibraryProcess {
    /// Tells the child that it is one. No argument: those are the user's.
    private static let mark = "CLAVIGER_LIBRARY_PROCESS"
    private static let resultDescriptor: CInt = 3
    private static let notesDescriptor: CInt = 4
    private static let (success, failed) = (UInt8(ascii: "R"), UInt8(ascii: "E"))

    /// Prints what `body` returns, or throws what it throws; status 2 when the library ends the process first.
    ///
    /// - Parameters:
    ///   - secret: never shown, even where the library prints it.
    ///   - isForPrograms: what `body` returns.
    static func run(
        hiding secret: @autoclosure () -> SecretBytes? = nil, isForPrograms: Bool = false, _ body: () throws -> String
    ) throws {
        if getenv(mark) != nil {
            try runAsChild(body)
        } else {
            try runAsParent(hiding: secret(), isForPrograms: isForPrograms)
        }
    }

    // MARK: The child

    private static func runAsChild(_ body: () throws -> String) throws {
        // Nothing of it is for programs that the library may run.
        unsetenv(mark)
        for descriptor in [resultDescriptor, notesDescriptor] { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        _ = claviger_use_call_notes(notesDescriptor)
        var result = [failed]
        defer { write(result + [0]) }
        result = [success] + Array(try body().utf8)
    }

    private static func write(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let start = UnsafeRawBufferPointer(rebasing: rest).baseAddress
                let count = Glibc.write(resultDescriptor, start, rest.count)
                guard count > 0 || errno == EINTR else { return }
                rest = rest.dropFirst(max(count, 0))
            }
        }
    }

    // MARK: The parent

    private static func runAsParent(hiding secret: SecretBytes?, isForPrograms: Bool) throws {
        let (result, output) = (try pipe(), try pipe())
        defer { for pipe in [result, output] { close(pipe.reading) } }
        let notes = CallNotes()
        let pid: pid_t
        do {
            defer { for pipe in [result, output] { close(pipe.writing) } }
            pid = try start([result.writing] + (notes.map { [$0.descriptor] } ?? []), output: output.writing)
        }
        var lines = OutputLines(secret: secret)
        let text = read(result.reading, and: output.reading, from: pid) { show(lines.take($0, seconds: seconds())) }
        show(lines.finish(seconds: seconds()))
        let way = WorkerEnd.way(of: pid, isAwaited: true)
        // What the library has left behind, as long as the number is its own.
        kill(-pid, SIGKILL)
        waitpid(pid, nil, 0)
        guard let kind = text.first, text.last == 0 else {
            let end = WorkerEnd(way: way, calls: notes?.read() ?? [])
            throw failure(
                "the library did not let the command come to its end: its process \(end.words)",
                status: ExitStatus.configuration)
        }
        if kind == success {
            Output.whole(String(decoding: text.dropFirst().dropLast(), as: UTF8.self), isForPrograms: isForPrograms)
        } else if case .status(let status) = way, status != 0 {
            throw ExitCode(status)
        } else {
            throw ExitStatus.configuration
        }
    }

    private static func pipe() throws -> (reading: CInt, writing: CInt) {
        var ends: [CInt] = [-1, -1]
        let code = claviger_pipe(&ends, false)
        guard code == 0 else { throw problem("pipe2", code) }
        return (ends[0], ends[1])
    }

    private static func seconds() -> UInt64 { claviger_monotonic_nanoseconds() / 1_000_000_000 }

    private static func show(_ said: [OutputLines.Said]) {
        for one in said {
            switch one {
            case .line(let text): printError("the library prints: \(text)")
            case .omitted(let count): printError("the library prints \(count) lines more")
            }
        }
    }

    private static func start(_ descriptors: [CInt], output: CInt) throws -> pid_t {
        setenv(mark, "1", 1)
        // A crash of the library's ends the child at once: a backtrace would take seconds.
        setenv("SWIFT_BACKTRACE", "enable=no", 0)
        defer { unsetenv(mark) }
        var arguments = CommandLine.arguments.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        var pid: pid_t = 0
        let code = claviger_spawn(
            ownExecutable(), arguments, environ, output, output, descriptors, CInt(clamping: descriptors.count), &pid)
        guard code == 0 else { throw problem("posix_spawn", code) }
        return pid
    }

    /// Everything up to the zero byte at the end, or until nobody writes any more: the library may have left a process
    /// behind that holds the other end.
    ///
    /// - Parameter heard: what the library prints meanwhile.
    private static func read(
        _ result: CInt, and output: CInt, from pid: pid_t, heard: ([UInt8]) -> Void
    ) -> [UInt8] {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        var isOver = false
        var isOutputOpen = true
        while text.last != 0 {
            var entries = [result, isOutputOpen ? output : -1].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&entries, 2, 100) != 0 else {
                // What it wrote before it ended is in the pipes: once more after its end is enough.
                if isOver { break }
                isOver = WorkerEnd.way(of: pid) != nil
                continue
            }
            if entries[1].revents != 0 { isOutputOpen = take(output, &buffer, heard) }
            if entries[0].revents != 0, !take(result, &buffer, { text += $0 }) { break }
        }
        // What it printed before its result was complete; what it has left behind may print for ever.
        var entry = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        for _ in 0..<16 where isOutputOpen && poll(&entry, 1, 0) > 0 { isOutputOpen = take(output, &buffer, heard) }
        return text
    }

    /// - Returns: whether there may be more.
    private static func take(_ descriptor: CInt, _ buffer: inout [UInt8], _ body: ([UInt8]) -> Void) -> Bool {
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        if count > 0 { body(Array(buffer[..<count])) }
        return count > 0 || count < 0 && errno == EINTR
    }

    private static func problem(_ call: String, _ code: CInt) -> ExitCode {
        failure("\(call): \(String(cString: strerror(code)))", status: ExitStatus.configuration)
    }
}

// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CPlatform
import Glibc
import HSMPool
import PrivateFiles
import SecureMemory
import Synchronization

/// Runs what loads a vendor's library in a process of its own: this very command once more, as a child. What the library
/// prints goes to standard error, without what a terminal obeys, and if it ends the process the command does not end as if all were done.
///
/// The child writes its result to a pipe: a letter for success or failure, the text (of a failure, what the command says of
/// it, which is not the library's word), and a zero byte when all of it is written.
enum LibraryProcess {
    /// Tells the child that it is one. No argument: those are the user's.
    private static let mark = "CLAVIGER_LIBRARY_PROCESS"
    /// What a library may take for all that a command asks of it, seconds: one that hangs is ended then.
    private static let longest: UInt64 = 300
    private static let resultDescriptor: CInt = 3
    private static let notesDescriptor: CInt = 4
    /// What `ask` sends.
    private static let inputDescriptor: CInt = 5
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
            Output.whole(
                try runAsParent(
                    Child(arguments: CommandLine.arguments, seconds: longest), hiding: secret()),
                isForPrograms: isForPrograms)
        }
    }

    /// Runs another command as such a child, and returns what its body returns.
    ///
    /// - Parameters:
    ///   - environment: all of it: that of a worker.
    ///   - input: for the child to read by `input()`; never shown, even where the library prints it. At most what a pipe holds,
    ///     64 KiB.
    ///   - seconds: how long it may take.
    static func ask(
        _ arguments: [String], environment: [String: String], input: SecretBytes?, within seconds: UInt64
    ) throws -> String {
        try runAsParent(
            Child(arguments: arguments, environment: environment, input: input, seconds: seconds), hiding: input)
    }

    /// What the parent sends, in a child of `ask`.
    static func input() throws -> SecretBytes {
        try PrivateFiles.readAll(inputDescriptor, limit: 64 * 1024, named: "the parent's input")
    }

    private struct Child {
        /// With the program's own name.
        var arguments: [String]
        /// `nil`: this process's own.
        var environment: [String: String]?
        var input: SecretBytes?
        /// How long it may take.
        var seconds: UInt64
    }

    // MARK: The child

    /// What a command says of its failure, in a child; `nil` elsewhere.
    private static let complaint = Mutex<String?>(nil)

    /// Whether this is a child, whose parent says it then.
    static func keeps(complaint message: String) -> Bool {
        complaint.withLock { complaint in
            guard complaint != nil else { return false }
            complaint = message
            return true
        }
    }

    private static func runAsChild(_ body: () throws -> String) throws {
        // Nothing of it is for programs that the library may run.
        unsetenv(mark)
        complaint.withLock { $0 = "" }
        for descriptor in [resultDescriptor, notesDescriptor, inputDescriptor] {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
        _ = claviger_use_call_notes(notesDescriptor)
        do {
            write([success] + Array(try body().utf8) + [0])
        } catch {
            write([failed] + Array((complaint.withLock(\.self) ?? "").utf8) + [0])
            throw error
        }
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

    private static func runAsParent(_ child: Child, hiding secret: SecretBytes?) throws -> String {
        let (result, output, input) = (try pipe(), try pipe(), try pipe())
        defer { for pipe in [result, output] { close(pipe.reading) } }
        let notes = CallNotes()
        let pid: pid_t
        do {
            defer {
                for pipe in [result, output, input] { close(pipe.writing) }
                close(input.reading)
            }
            // It fits: nothing waits for the child.
            if let content = child.input {
                try PrivateFiles.writeAll(content, to: input.writing, named: "the child's input")
            }
            let descriptors = [result.writing, notes?.descriptor ?? -1, input.reading]
            pid = try start(child, descriptors, output: output.writing)
        }
        var lines = OutputLines(secret: secret)
        let limit = seconds() + child.seconds
        let text = read(result.reading, and: output.reading, from: pid, until: limit) {
            show(lines.take($0, seconds: seconds()))
        }
        show(lines.finish(seconds: seconds()))
        if seconds() >= limit, text.last != 0 {
            kill(-pid, SIGKILL)
            waitpid(pid, nil, 0)
            throw failure(
                "the library does not come back: it was ended after \(child.seconds) s",
                status: ExitStatus.configuration)
        }
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
        let said = String(decoding: text.dropFirst().dropLast(), as: UTF8.self)
        if kind == success { return said }
        if !said.isEmpty { printError("claviger: \(said)") }
        if case .status(let status) = way, status != 0 {
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

    private static func start(_ child: Child, _ descriptors: [CInt], output: CInt) throws -> pid_t {
        setenv(mark, "1", 1)
        // A crash of the library's ends the child at once: a backtrace would take seconds.
        setenv("SWIFT_BACKTRACE", "enable=no", 0)
        defer { unsetenv(mark) }
        var arguments = child.arguments.map { strdup($0) }
        arguments.append(nil)
        var variables = (child.environment ?? [:]).map { strdup("\($0.key)=\($0.value)") }
        variables += [strdup("\(mark)=1"), nil]
        defer { for text in arguments + variables { free(text) } }
        var pid: pid_t = 0
        let code = variables.withUnsafeMutableBufferPointer { own in
            claviger_spawn(
                ownExecutable(), arguments, child.environment == nil ? environ : own.baseAddress, output, output,
                descriptors, CInt(clamping: descriptors.count), &pid)
        }
        guard code == 0 else { throw problem("posix_spawn", code) }
        return pid
    }

    /// Everything up to the zero byte at the end, or until nobody writes any more: the library may have left a process
    /// behind that holds the other end.
    ///
    /// - Parameters:
    ///   - limit: seconds of the monotonic clock.
    ///   - heard: what the library prints meanwhile.
    private static func read(
        _ result: CInt, and output: CInt, from pid: pid_t, until limit: UInt64, heard: ([UInt8]) -> Void
    ) -> [UInt8] {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        var isOver = false
        var isOutputOpen = true
        while text.last != 0 {
            if seconds() >= limit { break }
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

// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import PrivateFiles
import SecureMemory

/// Runs programs for the secrets that they write to their standard output: side by side, within one time for all.
///
/// There is no shell in between; standard input is empty, standard error is discarded, and no other descriptor of this
/// process is open in them. Each is the leader of a process group, which is killed as a whole when it has ended or the
/// time is over. What has left the group (setsid) is known by a variable of its environment, and dies with a program that
/// did not end by itself; what a program that did well leaves running in a group of its own is its own affair.
enum SecretCommand {
    /// Given to each program, and so to what it starts: `CLAVIGER_SECRET_RUN=<number>`.
    private static let mark = "CLAVIGER_SECRET_RUN"

    /// One program under way.
    private struct Run {
        let words: [String]
        let process: pid_t
        /// -1 once it has been closed.
        var output: Int32
        let mark: String
        let secret = SecretBytes(capacity: 256)
        /// As waitpid(2) gives it.
        var status: Int32?
        var isTooLong: Bool { secret.count > SecretReader.limit + 2 }
    }

    /// - Returns: for each command, in their order.
    static func run(_ commands: [[String]], timeout: Duration) -> [Result<SecretBytes, SecretProblem>] {
        let deadline = ContinuousClock.now + timeout
        var results = [Result<SecretBytes, SecretProblem>?](repeating: nil, count: commands.count)
        var runs: [Int: Run] = [:]
        for (index, words) in commands.enumerated() {
            do throws(SecretProblem) {
                runs[index] = try start(words)
            } catch {
                results[index] = .failure(error)
            }
        }
        while !runs.isEmpty {
            let isOver = ContinuousClock.now >= deadline || Patience.isEnded
            for (index, run) in runs {
                var run = run
                advance(&run)
                runs[index] = run
                guard isOver || run.isTooLong || run.status != nil else { continue }
                runs[index] = nil
                end(&run)
                results[index] = result(of: run, timeout: timeout)
            }
            wait(for: runs.values)
        }
        return results.map { $0 ?? .failure(SecretProblem(message: "was not started", fix: "try again")) }
    }

    private static func result(of run: Run, timeout: Duration) -> Result<SecretBytes, SecretProblem> {
        let source = SecretSource.command(run.words)
        guard let status = run.status else {
            let end =
                Patience.isEnded
                ? "was ended, because this process ends"
                : "did not end within "
                    + SettingDuration.text(timeout)
            return .failure(
                SecretProblem(
                    message: run.isTooLong
                        ? "\(source) gives more than \(SecretReader.limit) bytes" : "\(source) \(end)",
                    fix: "run it by hand as the user of this process, and see what it does"))
        }
        guard status == 0 else {
            let ending = status & 0x7F == 0 ? "exit status \((status >> 8) & 0xFF)" : "signal \(status & 0x7F)"
            return .failure(
                SecretProblem(
                    message: "\(source) failed: \(ending)",
                    fix:
                        "run it by hand as the user of this process; what it writes to standard error is not shown here"
                ))
        }
        return .success(run.secret)
    }

    // MARK: One program

    /// Starts the program with its standard output in a pipe.
    private static func start(_ words: [String]) throws(SecretProblem) -> Run {
        let source = SecretSource.command(words)
        var ends: [Int32] = [-1, -1]
        guard let program = words.first, claviger_output_pipe(&ends) == 0 else {
            throw SecretProblem(message: "\(source) cannot be started: no pipe", fix: "raise the limit of open files")
        }
        defer { Glibc.close(ends[1]) }
        var generator = SystemRandomNumberGenerator()
        let mark = "\(Self.mark)=\(generator.next() as UInt64)"
        var process: pid_t = 0
        let code = strings(words) { arguments in
            strings(environment() + [mark]) { environment in
                claviger_spawn_group(program, arguments, environment, ends[1], &process)
            }
        }
        guard code == 0 else {
            Glibc.close(ends[0])
            throw SecretProblem(
                message: "\(source) cannot be started: " + String(cString: strerror(code)),
                fix: "check the path, and that the user of this process may run it")
        }
        return Run(words: words, process: process, output: ends[0], mark: mark)
    }

    /// Takes what the program has written, and looks whether it has ended. It has when its process has: whoever else
    /// holds the pipe (a daemon that it has left behind) is not waited for.
    private static func advance(_ run: inout Run) {
        var status: Int32 = 0
        let ended = waitpid(run.process, &status, WNOHANG)
        // Nobody else waits for it; if somebody did, how it ended is not known, which is no success.
        if ended < 0, errno != EINTR { status = 0x7F00 }
        let hasEnded = ended == run.process || status == 0x7F00
        while run.output >= 0, !run.isTooLong {
            var failure: Int32 = 0
            let before = run.secret.count
            run.secret.append(atMost: SecretReader.limit + 3 - run.secret.count) { room in
                let count = read(run.output, room.baseAddress, room.count)
                failure = count < 0 ? errno : 0
                return count
            }
            if failure == EINTR { continue }
            if failure == EAGAIN { break }
            guard failure == 0, run.secret.count > before else { return close(&run, hasEnded ? status : nil) }
        }
        if hasEnded { close(&run, status) }
    }

    private static func close(_ run: inout Run, _ status: Int32?) {
        if run.output >= 0 { Glibc.close(run.output) }
        run.output = -1
        if let status { run.status = status }
    }

    /// Nothing of the program's group is left; where it did not end by itself, nothing that it has started is.
    private static func end(_ run: inout Run) {
        if run.output >= 0 { Glibc.close(run.output) }
        run.output = -1
        kill(-run.process, SIGKILL)
        guard run.status == nil else { return }
        kill(run.process, SIGKILL)
        // Twice: what is started while it is looked for is found the second time.
        for _ in 0..<2 { for escaped in processes(marked: run.mark) { kill(escaped, SIGKILL) } }
        var ignored: Int32 = 0
        while waitpid(run.process, &ignored, 0) < 0, errno == EINTR {}
    }

    /// Until something has been written, or for 20 ms: then it is looked again whether a program has ended.
    private static func wait(for runs: some Collection<Run>) {
        guard !runs.isEmpty else { return }
        var pollers = runs.filter { $0.output >= 0 }.map { pollfd(fd: $0.output, events: Int16(POLLIN), revents: 0) }
        _ = poll(&pollers, nfds_t(pollers.count), 20)
    }

    // MARK: Processes

    /// Processes whose environment holds this line, by what the kernel shows of them.
    private static func processes(marked mark: String) -> [pid_t] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        let wanted = Array(mark.utf8)
        var found: [pid_t] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let process = pid_t(name), process != getpid(), let environment = environment(of: process) else {
                continue
            }
            if environment.split(separator: 0).contains(where: { $0.elementsEqual(wanted) }) { found.append(process) }
        }
        return found
    }

    private static func environment(of process: pid_t) -> [UInt8]? {
        let descriptor = open("/proc/\(process)/environ", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { Glibc.close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 262_144)
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes { room in
                read(descriptor, room.baseAddress.map { $0 + length }, room.count - length)
            }
            guard count > 0 else { break }
            length += count
        }
        return Array(bytes.prefix(length))
    }

    private static func environment() -> [String] {
        var lines: [String] = []
        var next = environ
        while let line = next.pointee {
            lines.append(String(cString: line))
            next += 1
        }
        return lines
    }

    private static func strings<Value>(
        _ lines: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Value
    ) -> Value {
        var copies: [UnsafeMutablePointer<CChar>?] = lines.map { strdup($0) }
        copies.append(nil)
        defer { for copy in copies { free(copy) } }
        return body(copies)
    }
}

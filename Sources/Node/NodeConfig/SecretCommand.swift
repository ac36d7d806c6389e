// SPDX-License-Identifier: Apache-2.0
import Glibc
import SecureMemory

/// Runs a program for the secret that it writes to its standard output.
///
/// There is no shell in between; standard input is empty and standard error is discarded. The program is the leader of
/// a process group, which is killed as a whole when the time is over.
enum SecretCommand {
    static func run(_ words: [String], timeout: Duration) throws(SecretProblem) -> SecretBytes {
        let source = SecretSource.command(words)
        let deadline = ContinuousClock.now + timeout
        let (process, output) = try start(words, source: source)
        defer { close(output) }
        let secret = SecretBytes(capacity: 256)
        let isComplete = collect(output, into: secret, until: deadline)
        let status = isComplete ? wait(for: process, until: deadline) : nil
        guard let status else {
            kill(-process, SIGKILL)
            kill(process, SIGKILL)
            var ignored: Int32 = 0
            while waitpid(process, &ignored, 0) < 0, errno == EINTR {}
            let isTooLong = secret.count > SecretReader.limit + 2
            throw SecretProblem(
                message: isTooLong
                    ? "\(source) gives more than \(SecretReader.limit) bytes"
                    : "\(source) did not end within \(SettingDuration.text(timeout))",
                fix: "run it by hand as the user of this process, and see what it does")
        }
        guard status == 0 else {
            let ending = status & 0x7F == 0 ? "exit status \((status >> 8) & 0xFF)" : "signal \(status & 0x7F)"
            throw SecretProblem(
                message: "\(source) failed: \(ending)",
                fix: "run it by hand as the user of this process; what it writes to standard error is not shown here")
        }
        return secret
    }

    /// Starts the program with its standard output in a pipe, and returns the pipe's reading end.
    private static func start(
        _ words: [String], source: SecretSource
    ) throws(SecretProblem) -> (process: pid_t, output: Int32) {
        var ends: [Int32] = [-1, -1]
        guard let program = words.first, pipe(&ends) == 0 else {
            throw SecretProblem(message: "\(source) cannot be started: no pipe", fix: "raise the limit of open files")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[1]) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)

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
        guard code == 0 else {
            close(ends[0])
            throw SecretProblem(
                message: "\(source) cannot be started: " + String(cString: strerror(code)),
                fix: "check the path, and that the user of this process may run it")
        }
        return (process, ends[0])
    }

    /// Reads to the end of the pipe; false when the time is over, or when more comes than a secret can have.
    private static func collect(
        _ descriptor: Int32, into secret: SecretBytes, until deadline: ContinuousClock.Instant
    ) -> Bool {
        let most = SecretReader.limit + 2
        while secret.count <= most {
            let left = max(0, (deadline - .now).inMilliseconds)
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&poller, 1, Int32(clamping: left + 1))
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else { return false }
            var code: Int32 = 0
            let before = secret.count
            secret.append(atMost: most + 1 - secret.count) { room in
                let count = read(descriptor, room.baseAddress, room.count)
                code = count < 0 ? errno : 0
                return count
            }
            if code == EINTR { continue }
            guard code == 0 else { return false }
            if secret.count == before { return true }
        }
        return false
    }

    /// The wait status, or `nil` when the time is over. The pipe is closed by now, so the end is near: looking at it
    /// every 2 ms is cheaper than a thread that waits.
    private static func wait(for process: pid_t, until deadline: ContinuousClock.Instant) -> Int32? {
        var status: Int32 = 0
        while true {
            let ended = waitpid(process, &status, WNOHANG)
            if ended == process { return status }
            if ended < 0, errno != EINTR { return 0x7F00 }
            guard ContinuousClock.now < deadline else { return nil }
            usleep(2000)
        }
    }
}

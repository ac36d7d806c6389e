// SPDX-License-Identifier: Apache-2.0
import Foundation
import NodeConfig
import SecureMemory
import Testing

/// Serialized: the environment belongs to the whole process.
@Suite(.serialized) struct SecretReaderTests {
    private let reader = SecretReader(taking: [])

    private func problem(_ source: SecretSource, _ reader: SecretReader? = nil) -> String {
        do {
            _ = try (reader ?? self.reader).read(source)
            return ""
        } catch {
            return error.message + "; " + error.fix
        }
    }

    // MARK: - Files

    @Test(arguments: [
        ("1234", "1234"), ("1234\n", "1234"), ("1234\r\n", "1234"), ("1234\n\n", "1234\n"), (" 12 ", " 12 "),
        ("\r", "\r"), (String(repeating: "x", count: 4096) + "\r\n", String(repeating: "x", count: 4096)),
    ])
    func aFileWithoutItsLineBreak(content: String, secret: String) throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("pin", content.utf8)
        #expect(try reader.read(.file(file)).text == secret)
    }

    @Test(arguments: ["", "\n", "\r\n"])
    func anEmptyFileIsNoSecret(_ content: String) throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("pin", content.utf8)
        #expect(problem(.file(file)).contains("file \(file) gives an empty secret"))
    }

    @Test func aFileThatIsTooLarge() throws {
        let directory = try TemporaryDirectory()
        let over = try directory.file("over", String(repeating: "x", count: 4097).utf8)
        #expect(problem(.file(over)).contains("gives more than 4096 bytes"))
        let far = try directory.file("far", String(repeating: "x", count: 1_000_000).utf8)
        #expect(problem(.file(far)).contains("is larger than"))
    }

    @Test func aFileOpenToAllIsRefused() throws {
        let directory = try TemporaryDirectory()
        for (name, mode, isOpen) in [("a", 0o604, true), ("b", 0o602, true), ("c", 0o640, false), ("d", 0o400, false)] {
            let file = try directory.file(name, "hunter2".utf8, mode: mode)
            let text = problem(.file(file))
            #expect(text.isEmpty != isOpen)
            #expect(text.contains("is open to every user of this host; run chmod o= \(file)") == isOpen)
            #expect(!text.contains("hunter2"))
        }
    }

    @Test func whatIsNoFileIsNamed() throws {
        let directory = try TemporaryDirectory()
        #expect(problem(.file(directory.path + "/none")).contains("/none does not exist"))
        #expect(problem(.file(directory.path)).contains("is not a regular file"))
        // A pipe without a writer must not hold the program up.
        #expect(mkfifo(directory.path + "/pipe", 0o600) == 0)
        #expect(problem(.file(directory.path + "/pipe")).contains("is not a regular file"))
    }

    // MARK: - Credentials

    @Test func aCredentialIsAFileOfItsDirectory() throws {
        let directory = try TemporaryDirectory()
        _ = try directory.file("pin", "1234\n".utf8, mode: 0o400)
        setenv("CREDENTIALS_DIRECTORY", directory.path, 1)
        defer { unsetenv("CREDENTIALS_DIRECTORY") }
        #expect(try reader.read(.credential("pin")).text == "1234")
        #expect(problem(.credential("other")).contains("credential other does not exist"))
    }

    @Test func withoutSystemdThereAreNoCredentials() {
        unsetenv("CREDENTIALS_DIRECTORY")
        #expect(problem(.credential("pin")).contains("LoadCredential=pin:"))
    }

    // MARK: - Environment

    @Test func aVariableIsTakenOutOfTheEnvironment() throws {
        setenv("CLAVIGER_TEST_PIN", "hunter2", 1)
        let memory = try #require(getenv("CLAVIGER_TEST_PIN"))
        let reader = SecretReader(taking: ["CLAVIGER_TEST_PIN"])
        #expect(getenv("CLAVIGER_TEST_PIN") == nil)
        // The old memory is overwritten too: `/proc/PID/environ` shows it for the life of the process.
        #expect(memory.pointee == 0)
        #expect(try reader.read(.environment("CLAVIGER_TEST_PIN")).text == "hunter2")
        #expect(try reader.read(.environment("CLAVIGER_TEST_PIN")).text == "hunter2")
        let child = try reader.read(.command(["/bin/sh", "-c", "echo \"[$CLAVIGER_TEST_PIN]\""]))
        #expect(child.text == "[]")
    }

    @Test func aVariableThatWasNotAnnouncedIsTakenWhenItIsRead() throws {
        setenv("CLAVIGER_TEST_LATE", "x", 1)
        #expect(try reader.read(.environment("CLAVIGER_TEST_LATE")).text == "x")
        #expect(getenv("CLAVIGER_TEST_LATE") == nil)
        #expect(problem(.environment("CLAVIGER_TEST_NONE")).contains("CLAVIGER_TEST_NONE is not set"))
        setenv("CLAVIGER_TEST_EMPTY", "", 1)
        #expect(problem(.environment("CLAVIGER_TEST_EMPTY")).contains("gives an empty secret"))
    }

    // MARK: - Commands

    @Test func aCommandGivesItsStandardOutput() throws {
        #expect(try reader.read(.command(["/bin/echo", "a  b", "$HOME;`id`"])).text == "a  b $HOME;`id`")
        // Its standard input is empty.
        #expect(try reader.read(.command(["/bin/sh", "-c", "cat; echo x"])).text == "x")
        #expect(problem(.command(["/bin/true"])).contains("command /bin/true gives an empty secret"))
    }

    @Test func aCommandThatFailsIsNamedWithoutItsWords() {
        let text = problem(.command(["/bin/sh", "-c", "echo hunter2; echo hunter2 >&2; exit 3"]))
        #expect(text.contains("command /bin/sh failed: exit status 3") && !text.contains("hunter2"))
        #expect(problem(.command(["/bin/sh", "-c", "kill -9 $$"])).contains("failed: signal 9"))
        #expect(problem(.command(["/no/such/program"])).contains("cannot be started: No such file"))
        #expect(problem(.command([])).contains("cannot be started"))
    }

    @Test func aCommandThatSaysTooMuchIsEnded() {
        #expect(problem(.command(["/usr/bin/yes"])).contains("gives more than 4096 bytes"))
    }

    @Test func aCommandHasItsTime() throws {
        let hasty = SecretReader(taking: [], commandTimeout: .milliseconds(200))
        let clock = ContinuousClock()
        // One that keeps the pipe open, in a child of its own; one that closes it and stays.
        for script in ["sleep 60 & sleep 60", "exec >&-; sleep 60"] {
            var text = ""
            let time = clock.measure { text = problem(.command(["/bin/sh", "-c", script]), hasty) }
            #expect(text.contains("did not end within 200ms"))
            #expect(time >= .milliseconds(200) && time < .seconds(20))
        }
    }

    /// 16631be ran them one after another, each with the whole time: 4.6 s for these.
    @Test func commandsRunSideBySideWithinOneTime() throws {
        let hasty = SecretReader(taking: [], commandTimeout: .milliseconds(700))
        let sleeping = (0..<6).map { SecretSource.command(["/bin/sleep", "6\($0)"]) }
        let good = SecretSource.command(["/bin/sh", "-c", "sleep 0.2; echo good"])
        let clock = ContinuousClock()
        var batch: SecretBatch?
        let time = clock.measure { batch = hasty.readAll(sleeping + [good, good]) }
        #expect(time < .milliseconds(2_500), "\(time)")
        #expect(try batch?.read(good).text == "good")
        for source in sleeping {
            #expect(throws: SecretProblem.self) { try batch?.read(source) }
        }
    }

    /// 16631be waited for the daemon to close its standard output, to the end of the time: no secret after 10 s. Where the
    /// program's group is not killed, the daemon lives on.
    @Test func aDaemonThatIsLeftBehindIsNotWaitedForAndDiesWithItsGroup() throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/pid"
        let clock = ContinuousClock()
        var text = ""
        let source = SecretSource.command(["/bin/sh", "-c", "sleep 60 & echo $! >\(file); echo secret"])
        let time = clock.measure { text = (try? reader.read(source).text) ?? "" }
        #expect(text == "secret")
        #expect(time < .seconds(5), "\(time)")
        try ended(pidIn: file)
    }

    /// 16631be killed the group only; what had left it lived on.
    @Test func whatHasLeftTheGroupDiesWithACommandThatDoesNotEnd() throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/pid"
        let hasty = SecretReader(taking: [], commandTimeout: .milliseconds(500))
        let script = "setsid sh -c 'echo $$ >\(file); exec sleep 60' & sleep 60"
        #expect(problem(.command(["/bin/sh", "-c", script]), hasty).contains("did not end within 500ms"))
        try ended(pidIn: file)
    }

    /// Waits until the process whose number is in a file is gone, or a zombie that nobody has looked at yet.
    private func ended(pidIn file: String) throws {
        let text = try String(contentsOfFile: file, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        let end = ContinuousClock.now + .seconds(10)
        func isAlive() -> Bool {
            guard let stat = try? String(contentsOfFile: "/proc/\(text)/stat", encoding: .utf8) else { return false }
            return !stat.contains(") Z ")
        }
        while isAlive() {
            try #require(ContinuousClock.now < end, "process \(text) lives on")
            usleep(5_000)
        }
    }

    /// 16631be gave it every descriptor of the node that was not close-on-exec; three more, here.
    @Test func aCommandInheritsNoDescriptor() throws {
        let open = dup(0)
        #expect(open > 2)
        defer { close(open) }
        // The last one is that of the directory that is listed.
        let listed = try reader.read(.command(["/bin/ls", "/proc/self/fd"])).text
        #expect(listed.split(separator: "\n") == ["0", "1", "2", "3"])
    }

    @Test func aSourceNamesItselfOnly() {
        #expect("\(SecretSource.command(["/bin/vault", "read", "hunter2"]))" == "command /bin/vault")
        #expect("\(SecretSource.environment("PIN"))" == "environment variable PIN")
    }
}

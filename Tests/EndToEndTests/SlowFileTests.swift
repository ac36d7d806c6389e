// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    /// Files and commands of the configuration that never answer.
    @Suite("a file or a command that never answers", .devNode("--hsms", "1"))
    struct SlowFiles {
        private func configuration() throws -> ServeConfiguration {
            var configuration = try ServeConfiguration(from: try sharedNode(), plaintext: false)
            // Of its own: orders must reach the node of the test.
            configuration.stateDirectory = configuration.scratch.file("node")
            return configuration
        }

        /// 16631be had not ended after 5 s: it waited for the command.
        @Test("a node that starts ends at once on SIGTERM, and its commands with it")
        func terminatedWhileStarting() throws {
            var configuration = try configuration()
            let file = configuration.scratch.file("pid")
            let script = "echo $$ >\(file).new; mv \(file).new \(file); exec sleep 60"
            configuration.set(
                "pin", "{ command = [\"/bin/sh\", \"-c\", \"\(script)\"] }", in: "[[hsm]]")
            let process = try ChildProcess([ClavigerBinary.path, "serve", "--config", try configuration.write()])
            try eventually("the command runs") { FileManager.default.fileExists(atPath: file) }
            let began = ContinuousClock.now
            process.kill(SIGTERM)
            #expect(try process.end(within: 5) == .exited(0), "\(process.errors)")
            #expect(ContinuousClock.now - began < .seconds(2))
            let command = try #require(
                Int32(try String(contentsOfFile: file, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines))
            )
            try eventually("the command has ended") { !Processes.isAlive(command) }
        }

        /// With 16631be `check` and `reload` never came back, and the node did not end on SIGTERM.
        @Test(
            "pipes in the place of certificate and key are refused by check and reload, and the node goes on and ends")
        func pipes() throws {
            let configuration = try configuration()
            let node = try Node.serve(configuration, activeHSMs: 1)
            let pipe = configuration.scratch.file("pipe")
            #expect(mkfifo(pipe, 0o600) == 0)
            for key in ["certificate", "key", "client_ca"] {
                var bad = configuration
                bad.set(key, "\"\(pipe)\"", in: "[xks]")
                if key == "client_ca" { bad.set("client_name", "\"a\"", in: "[xks]") }
                let check = try ClavigerBinary.run(["check", "--config", try bad.write()], within: 10)
                #expect(check.end == .exited(2), "\(key)")
                #expect(check.errors.contains("\(pipe) is not a regular file"), "\(check.errors)")
                let reload = try Operator(bad).call("reload")
                #expect(reload.end == .exited(1) && reload.errors.contains("is not a regular file"), "\(reload)")
            }
            _ = try configuration.write()
            #expect(try Operator(configuration).call("reload").isSuccess)
            #expect(try node.health().active.count == 1)
            #expect(try node.stop() == .exited(0))
        }

        /// 16631be ended after 10 s: SIGTERM waited for the reload.
        @Test("a reload that waits for a command keeps nobody from ending the node")
        func terminatedWhileReloading() throws {
            var configuration = try configuration()
            let node = try Node.serve(configuration, activeHSMs: 1)
            let file = configuration.scratch.file("begun")
            configuration.set(
                "pin", "{ command = [\"/bin/sh\", \"-c\", \"echo >\(file); exec sleep 60\"] }", in: "[[hsm]]")
            _ = try configuration.write()
            kill(node.pid, SIGHUP)
            try eventually("the command runs") { FileManager.default.fileExists(atPath: file) }
            let second = try Operator(configuration).call("reload")
            #expect(second.errors.contains("is being read already, for "), "\(second)")
            let began = ContinuousClock.now
            #expect(try node.stop() == .exited(0))
            #expect(ContinuousClock.now - began < .seconds(4))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("the first things in a process", .devTokens(2))
    struct ProcessStart {
        private func configuration() throws -> ServeConfiguration {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            return configuration
        }

        /// With 16631be descriptors 0 to 2 of the node were an epoll, an eventfd and a timerfd.
        @Test("closed standard descriptors are no other files")
        func closedDescriptors() throws {
            let node = try Node.serve(try configuration(), activeHSMs: 2, limit: "exec 0<&- 1>&- 2>&-")
            defer { node.process.kill(SIGKILL) }
            // What a worker writes goes to the node through pipes.
            for (pid, last) in [(node.pid, 2), (try #require(node.workers["hsm-1"]), 0)] {
                for descriptor in 0...last {
                    let link = "/proc/\(pid)/fd/\(descriptor)"
                    let file = try FileManager.default.destinationOfSymbolicLink(atPath: link)
                    #expect(file == "/dev/null", "descriptor \(descriptor) of \(pid)")
                }
            }
            #expect(try XKSClient(node).encrypt([1]).status == 200)
            #expect(try node.stop() == .exited(0))
        }

        /// It ended with 0, and nothing had been said.
        @Test("a command without standard output does not end as if it had said what it had to")
        func closedOutput() throws {
            let result = try run(["/bin/sh", "-c", "exec \"$0\" --version >&-", ClavigerBinary.path])
            #expect(
                result.end == .exited(5) && result.errors.contains("standard output cannot be written"), "\(result)")
        }

        /// With 16631be the core of a `check` that was ended by SIGSEGV held PIN and secrets: the limit stayed.
        @Test("no command leaves a core", arguments: ["check", "hsm list"])
        func noCore(command: String) throws {
            let faults = try Faults()
            try faults.set(["hsm-1": ["hang C_GetTokenInfo", "hang C_Login"]])
            var configuration = try configuration()
            configuration.load(faults)
            let arguments =
                command == "check"
                ? ["check", "--config", try configuration.write()] : ["hsm", "list", Faults.library]
            let process = try ChildProcess(
                ["/bin/sh", "-c", "ulimit -c unlimited 2>/dev/null; exec \"$@\"", "sh", ClavigerBinary.path]
                    + arguments,
                environment: faults.environment("hsm-1", of: try sharedNode()))
            defer { process.kill(SIGKILL) }
            try eventually("the core limit is taken to nothing", within: 20) {
                let limits = String(decoding: Processes.content(process.pid, "limits") ?? [], as: UTF8.self)
                let core = limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") }
                return (core ?? "").split(whereSeparator: \.isWhitespace).dropFirst(4).prefix(2) == ["0", "0"]
            }
            #expect(process.isRunning)
        }

        /// 16631be ended with the first of them, without draining: "SIGUSR1: killed(signal: 10)".
        @Test("signals that mean nothing to a node do not end it, and are logged")
        func straySignals() throws {
            let configuration = try configuration()
            let node = try Node.serve(configuration, activeHSMs: 2)
            defer { node.process.kill(SIGKILL) }
            for (signal, name) in [
                (SIGUSR1, "SIGUSR1"), (SIGUSR2, "SIGUSR2"), (SIGALRM, "SIGALRM"), (SIGVTALRM, "SIGVTALRM"),
            ] {
                node.process.kill(signal)
                let line = try? node.logEntry(name) { $0.message == "signal ignored" && $0["signal"] == name }
                try #require(line != nil, "\(name): \((try? node.process.end(within: 1)).map { "\($0)" } ?? "no line")")
            }
            for signal in [SIGPROF, SIGIO, SIGPWR, SIGSTKFLT] + Array(34...64) { node.process.kill(signal) }
            #expect(try XKSClient(node).encrypt([1]).status == 200)
            #expect(try node.stop() == .exited(0))
        }

        /// Two nodes that share a port take each a part of the other's requests.
        @Test("an address that another node has is refused, and named", arguments: ["[xks]", "[control]"])
        func addressInUse(listener: String) throws {
            let first = try configuration()
            let node = try Node.serve(first, activeHSMs: 2)
            defer { node.process.kill(SIGKILL) }
            var second = try configuration()
            let line = try #require(
                first.lines.first { $0.hasPrefix("listen = ") && $0.contains(port(listener, of: node)) })
            second.set("listen", String(line.dropFirst("listen = ".count)), in: listener)
            let result = try ClavigerBinary.run(["serve", "--config", try second.write()])
            #expect(result.end == .exited(3), "\(result.errors)")
            #expect(result.errors.contains("another process listens there"), "\(result.errors)")
            #expect(result.errors.contains("\(listener.dropFirst().dropLast()).listen: cannot listen on "))
            #expect(try XKSClient(node).encrypt([1]).status == 200)
            #expect(try node.control("/readyz").status == 200)
        }

        private func port(_ listener: String, of node: Node) -> String {
            ":\((listener == "[xks]" ? node.facts.url : node.facts.control_url).split(separator: ":").last ?? "")\""
        }
    }
}

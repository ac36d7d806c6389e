// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("a host that gives little", .devTokens(2))
    struct HostLimits {
        private func configuration() throws -> ServeConfiguration {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set("request_deadline", "\"2s\"", in: "[xks]")
            return configuration
        }

        /// With 16631be `/livez` and `/readyz` gave no answer within 30 s, and the killed worker did not come back.
        @Test(
            "more silent connections than descriptors: it answers, and a killed worker comes back",
            arguments: [256, 1_024])
        func descriptors(limit: Int) throws {
            let configuration = try configuration()
            let node = try Node.serve(configuration, activeHSMs: 2, limit: "ulimit -n \(limit)")
            defer { node.process.kill(SIGKILL) }
            if limit == 256 {
                let warning = try node.logEntry("the listener is clamped") {
                    $0.message == "configuration" && $0["warning"]?.contains(": xks.max_connections: ") == true
                }
                #expect(warning["warning"]?.contains("this process may have 256 desc") == true)
            }
            let silent = try SilentConnections(node.facts.url, count: limit + 100)
            let others = try SilentConnections(node.facts.control_url, count: 100)
            defer {
                silent.close()
                others.close()
            }
            #expect(try answerTime(node, "/livez") < 0.1)
            #expect(try answerTime(node, "/readyz") < 0.1)
            let old = try #require(node.workers["hsm-2"])
            try Processes.kill(worker: old)
            try eventually("another worker serves", within: 20) {
                try node.workers["hsm-2"].map { $0 != old } ?? false && node.health().active.count == 2
            }
            let before = try processorTime(of: node.pid)
            usleep(1_000_000)
            #expect(try processorTime(of: node.pid) - before < 0.5)
            #expect(try node.stop() == .exited(0))
        }

        /// With 16631be the first answer took 30.0 s: until connections had been idle for so long that they were closed.
        @Test("silent connections to the control listener delay no supervisor")
        func silentControl() throws {
            let node = try Node.serve(try configuration(), activeHSMs: 2)
            defer { node.process.kill(SIGKILL) }
            let silent = try SilentConnections(node.facts.control_url, count: 120)
            defer { silent.close() }
            let times = try answerTimes(node, "/livez") + answerTimes(node, "/readyz")
            // Of a machine that may be busy; supervisors wait for a second or more.
            #expect(times.allSatisfy { $0 < 2 } && times.contains { $0 < 0.1 }, "\(times)")
            #expect(try node.stop() == .exited(0))
        }

        @Test("too few descriptors for one connection: it does not start, and says how many it needs")
        func tooFew() throws {
            let configuration = try configuration()
            func limited(_ command: String) throws -> CommandResult {
                try run(
                    ["/bin/sh", "-c", "ulimit -n 64; exec \"$@\"", "sh", ClavigerBinary.path, command, "--config"]
                        + [try configuration.write()])
            }
            let result = try limited("serve")
            #expect(result.end == .exited(3), "\(result.errors)")
            #expect(try limited("check").end == .exited(2))
            #expect(result.errors.contains("this process may have 64 descriptors open"), "\(result.errors)")
            #expect(result.errors.contains("needs 1"), "\(result.errors)")
        }

        @Test("a library's process has the descriptors that select(2) knows")
        func workers() throws {
            let node = try Node.serve(try configuration(), activeHSMs: 2)
            defer { node.process.kill(SIGKILL) }
            for (pid, soft) in [(node.pid, nil), (try #require(node.workers["hsm-1"]), "1024")] {
                let limits = String(decoding: try #require(Processes.content(pid, "limits")), as: UTF8.self)
                let line = limits.split(separator: "\n").first { $0.hasPrefix("Max open files") } ?? ""
                let words = line.split(whereSeparator: \.isWhitespace)
                try #require(words.count > 4)
                #expect(String(words[3]) == soft ?? String(min(Int(words[4]) ?? 0, 1_048_576)))
            }
        }

        /// 16631be died with SIGILL and without a word at 400 MB, and with 500 MB it served and could not be ended.
        @Test("too little address space is named", arguments: ["serve", "check"], [400, 500, 700])
        func addressSpace(command: String, megabytes: Int) throws {
            let configuration = try configuration()
            let arguments = [ClavigerBinary.path, command, "--config", try configuration.write()]
            let result = try run(["/bin/sh", "-c", "ulimit -v \(megabytes * 1_024); exec \"$@\"", "sh"] + arguments)
            #expect(result.end == .exited(3))
            #expect(
                result.errors.hasPrefix("claviger: the address space of this process is limited to \(megabytes) MiB"),
                "\(result.errors)")
        }

        @Test("with the address space that is asked for it serves and ends")
        func enoughAddressSpace() throws {
            let result = try run(
                ["/bin/sh", "-c", "ulimit -v 409600; exec \"$@\"", "sh", ClavigerBinary.path, "serve", "--config", "/"])
            let words = result.errors.split(separator: " ").map(String.init)
            let least = try #require(words.firstIndex(of: "needs").flatMap { Int(words[$0 + 1]) })
            let node = try Node.serve(try configuration(), activeHSMs: 2, limit: "ulimit -v \(least * 1_024)")
            let client = try XKSClient(node)
            for _ in 0..<20 { #expect(try client.encrypt([1]).status == 200) }
            #expect(try node.stop() == .exited(0))
        }

        /// The fastest of five.
        private func answerTime(_ node: Node, _ path: String) throws -> Double {
            try answerTimes(node, path).min() ?? 60
        }

        /// Five, in seconds.
        private func answerTimes(_ node: Node, _ path: String) throws -> [Double] {
            try (0..<5).map { _ in
                let begin = ContinuousClock.now
                _ = try node.control(path)
                let time = ContinuousClock.now - begin
                return Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
            }
        }

        /// Seconds of all threads of a process.
        private func processorTime(of pid: Int32) throws -> Double {
            let stat = String(decoding: try #require(Processes.content(pid, "stat")), as: UTF8.self)
            let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
            let ticks = fields.count > 12 ? (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) : 0
            return Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK)))
        }
    }
}

/// Connections that never send anything. Those that the other side closes stay counted here.
private final class SilentConnections {
    private var descriptors: [Int32] = []

    init(_ url: String, count: Int) throws {
        let port = Int(url.split(separator: ":").last ?? "") ?? 0
        for _ in 0..<count {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { throw HarnessError("no descriptor for a connection of the test's") }
            descriptors.append(descriptor)
            // A full queue of the kernel's must not hold the test up.
            var limit = timeval(tv_sec: 1, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            var address = loopback(port: port)
            _ = withUnsafeBytes(of: &address) { bytes in
                connect(
                    descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                    socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    func close() {
        for descriptor in descriptors { Glibc.close(descriptor) }
        descriptors = []
    }

    deinit { close() }
}

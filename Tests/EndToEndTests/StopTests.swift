// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("the end of a node")
    struct Stop {
        @Test(
            "SIGTERM: requests in flight finish, new connections are refused, no worker is left",
            arguments: [(sessions: 4, depth: 1), (sessions: 1, depth: 4)])
        func terminated(sessions: Int, depth: Int) throws {
            let dev = try Node.dev(["--plaintext"])
            try dev.stop()
            // Long enough that a request waits for the workers, which are stopped, as long as this test wants.
            var configuration = try ServeConfiguration(from: dev)
            configuration.set("request_deadline", "\"10s\"", in: "[xks]")
            configuration.set("attempt_deadline", "\"10s\"", in: "[xks]")
            configuration.setInAll("[[hsm]]", "sessions", "\(sessions)")
            configuration.setInAll("[[hsm]]", "depth", "\(depth)")
            let node = try Node.serve(configuration)
            let idle = try XKSClient(node)
            #expect(try idle.encrypt([1]).status == 200)
            let workers = Array(node.workers.values)
            #expect(workers.count == 3)
            for worker in workers { try Processes.stop(worker) }
            defer { workers.forEach(Processes.resume) }

            let inFlight = Observed<[Int]>([])
            for _ in 0..<8 {
                Thread.detachNewThread {
                    let status = (try? XKSClient(node).encrypt([1, 2, 3]).status) ?? 0
                    inFlight.update { $0.append(status) }
                }
            }
            try eventually("eight requests are with the workers") {
                let lanes = try node.health().hsms.map(\.lanes)
                return lanes.map(\.inUse).reduce(0, +) == min(8, 3 * sessions)
                    && lanes.map { $0.inUse + $0.queued }.reduce(0, +) == 8
            }
            node.process.kill(SIGTERM)
            try eventually("new connections are refused") { (try? HTTPConnection(url: node.facts.url)) == nil }
            #expect(inFlight.read { $0 }.isEmpty)
            #expect(node.process.isRunning)
            workers.forEach(Processes.resume)
            let statuses = inFlight.wait(atMost: 20) { $0.count == 8 ? $0 : nil }
            #expect(statuses == Array(repeating: 200, count: 8))
            #expect(try node.process.end(within: 20) == .exited(0))
            for worker in workers { #expect(!Processes.isAlive(worker)) }
            #expect(node.log.last?.message == "stopped")
        }

        @Test("a planned end is no trouble: no condition begins, in the log or for who asks")
        func quiet() throws {
            let dev = try Node.dev(["--plaintext"])
            try dev.stop()
            var configuration = try ServeConfiguration(from: dev)
            // The node looks at itself each second.
            configuration.set("drain_delay", "\"3s\"", in: "[node]")
            let node = try Node.serve(configuration)
            node.process.kill(SIGTERM)
            try eventually("it ends, and is not ready") { try node.control("/readyz").status == 503 }
            for path in ["/health", "/cluster/health"] {
                let text = String(decoding: try node.control(path).body, as: UTF8.self)
                #expect(!text.contains("no-node-serves") && !text.contains("audit-failing"), "\(text)")
            }
            #expect(try node.process.end(within: 30) == .exited(0))
            let stopping = node.log.firstIndex { $0.message == "stopping" } ?? 0
            let begun = node.process.errorLines.filter { $0.contains("condition began") && !$0.contains("node-ending") }
            let after = node.log[stopping...].filter { $0.message == "condition began" }
            #expect(after.allSatisfy { $0["code"] == "node-ending" }, "\(begun)")
        }

        @Test("SIGKILL: the workers end by themselves")
        func killed() throws {
            let node = try Node.dev(["--plaintext"])
            let workers = node.workers
            #expect(Set(workers.values) == Set(node.facts.worker_pids))
            #expect(workers.count == 3)
            node.process.kill(SIGKILL)
            #expect(try node.process.end(within: 5) == .killed(signal: SIGKILL))
            try eventually("the workers are gone", within: 5) { !workers.values.contains(where: Processes.isAlive) }
        }
    }

    @Suite("the end of a worker that is logging in", .devTokens(1))
    struct StopInLogin {
        private let faults: Faults
        private let scratch: Scratch

        init() throws {
            faults = try Faults()
            scratch = try Scratch()
        }

        /// A node whose worker is within C_Login, which the library's script makes as long as that.
        private func loggingIn(for seconds: Double) throws -> (node: Node, worker: Int32) {
            let script = try scratch.write(
                "echo > \(scratch.file("begun")); sleep \(seconds); echo > \(scratch.file("done"))\n", to: "script")
            try faults.set(["hsm-1": ["run C_Login \"sh \(script)\""]])
            let node = try Node.serve(try ServeConfiguration(with: faults), activeHSMs: nil)
            try eventually("it is logging in") { access(scratch.file("begun"), F_OK) == 0 }
            return (node, try #require(node.workers["hsm-1"]))
        }

        /// SoftHSM empties and rewrites a file of the token in each C_Login: of processes that were ended at random between
        /// C_Initialize and its end, one in fifty destroyed the token. The script stands for what is written there.
        @Test("it comes to the end of that, however the node ends", arguments: [SIGTERM, SIGKILL])
        func finished(signal: Int32) throws {
            let (node, worker) = try loggingIn(for: 0.4)
            node.process.kill(signal)
            try eventually("its worker has ended") { !Processes.isAlive(worker) }
            #expect(access(scratch.file("done"), F_OK) == 0, "C_Login was cut short")
        }

        @Test("where it hangs in it, it does not keep the node from its end")
        func hanging() throws {
            let (node, worker) = try loggingIn(for: 60)
            #expect(try node.stop() == .exited(0))
            #expect(!Processes.isAlive(worker))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("a worker that gets fewer threads than it has lanes", .devTokens(1))
    struct ThreadLimit {
        /// With 16631be the new worker was killed after 2 s ("a session has not been opened or closed"), and requests failed.
        @Test("it serves with the lanes that it has, and is left alone")
        func oneLess() throws {
            let scratch = try Scratch()
            let limit = scratch.file("threads")
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set("request_deadline", "\"2s\"", in: "[xks]")
            configuration.setInAll("[[hsm]]", "sessions", "4")
            configuration.setInAll(
                "[[hsm]]", "env",
                "{ SOFTHSM2_CONF = \"\(configuration.origin.state)/hsm-1/softhsm2.conf\", "
                    + "LD_PRELOAD = \"\(PreloadedFaults.library)\", MOST_THREADS_FILE = \"\(limit)\" }")
            let node = try Node.serve(configuration, activeHSMs: 1)
            defer { node.process.kill(SIGKILL) }
            #expect(try node.health().hsm("hsm-1")?.lanes.open == 4)
            let old = try #require(node.workers["hsm-1"])
            // One or two less than the first needs, its main thread not counted: one that comes and goes may be there now.
            let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(old)/task").count - 1
            try scratch.write("\(threads - 2)\n", to: "threads")
            try Processes.kill(worker: old)
            let client = try XKSClient(node)
            let new: Int32 = try eventually("a new worker serves", within: 20) {
                guard let new = node.workers["hsm-1"], new != old else { return nil }
                return try client.encrypt([1]).status == 200 ? new : nil
            }
            // One that is asked for a session on a lane that it has closed says nothing, and is killed after 2 s.
            let load = Load(node, connections: 8)
            let until = ContinuousClock.now + .seconds(6)
            while ContinuousClock.now < until { try load.more(50) }
            let report = try load.stop()
            print("one thread less: \(report.summary)")
            #expect(report.failures.isEmpty, "\(report.failures.prefix(5))")
            #expect(node.workers["hsm-1"] == new)
            let killed = node.log.filter { $0.message == "worker killed" }
            #expect(killed.isEmpty, "\(killed.map(\.line))")
            let hsm = try #require(try node.health().hsm("hsm-1"))
            #expect((1...3).contains(hsm.lanes.open) && hsm.reason?.contains("of 4 lanes") == true, "\(hsm)")
        }
    }
}

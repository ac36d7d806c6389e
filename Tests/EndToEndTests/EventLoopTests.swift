// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("event loops") struct EventLoops {
        @Test("as many serve requests as the configuration says, without a word one less than there are processors")
        func number() throws {
            let dev = try Node.dev(["--plaintext"])
            try expect(max(ProcessInfo.processInfo.activeProcessorCount - 1, 1), of: dev)
            try dev.stop()
            for wanted in [1, 3] {
                var configuration = try ServeConfiguration(from: dev)
                configuration.set("event_loops", "\(wanted)", in: "[node]")
                let node = try Node.serve(configuration)
                try expect(wanted, of: node)
                try node.stop()
            }
        }

        /// A thread names itself when it first runs, which may be after the node has said that it is ready (with two busy
        /// loops beside the test, 2 of 3 threads were seen), and until then bears the name of the thread that has made it
        /// (on a busy machine, 4 were seen). So it is waited for the number, and again when every loop has had something
        /// to do: a loop too many has its name by then.
        private func expect(_ wanted: Int, of node: Node) throws {
            try eventually("\(wanted) event loops have begun") { try loops(of: node) == wanted }
            // Every loop gets some, on whosever lane the call is made.
            for _ in 0..<2 * wanted + 2 {
                let client = try XKSClient(node)
                let sealed = try client.encrypt([1, 2, 3])
                #expect(sealed.status == 200)
            }
            try eventually("there are \(wanted) event loops") { try loops(of: node) == wanted }
        }

        /// Threads of the node that bear the name of an event loop.
        private func loops(of node: Node) throws -> Int {
            let tasks = "/proc/\(node.process.pid)/task"
            return try FileManager.default.contentsOfDirectory(atPath: tasks).count { task in
                // One that has ended meanwhile has no name.
                let name = try? String(contentsOfFile: "\(tasks)/\(task)/comm", encoding: .utf8)
                return name?.hasPrefix("NIO-ELT-") == true
            }
        }
    }
}

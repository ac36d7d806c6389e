// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    /// Whoever gives an order is informed at once what is so by now; a disk that takes its time delays its own word
    /// only.
    @Suite("break glass while a disk takes its time", .devTokens(2))
    struct SlowDisks {
        private static let blocked = "400 InvalidStateException"

        private func answer(_ node: Node) throws -> String {
            let reply = try XKSClient(node).encrypt([1])
            return reply.status == 200 ? "200" : reply.refusal
        }

        /// The command of 16631be was silent for 30.0 s, and then did not know.
        @Test("this node's own disk takes 30 s: in force here, and on the others' disks, within the time that is asked")
        func own() throws {
            let disk = try SlowDisk()
            let trio = try Trio(from: try sharedNode(), environments: ["node-1": disk.environment])
            try disk.set(milliseconds: 30_000)
            let start = ContinuousClock.now
            let order = try ClavigerBinary.run(
                [
                    "block", "--key", "foo", "--reason", "drill", "--timeout", "3s", "--config",
                    trio.op("node-1").configuration,
                ], within: 40)
            #expect(ContinuousClock.now - start < .seconds(6), "\(order)")
            #expect(order.end == .exited(1))
            #expect(order.output.contains("in force here") && order.output.contains("not on this node's disk yet"))
            let words = order.output.split { $0.isWhitespace }.joined(separator: " ")
            #expect(words.contains("2 of 2 other nodes have it"), "\(order.output)")
            for name in Trio.names { #expect(try answer(trio.node(name)) == Self.blocked, "\(name)") }
        }

        /// Nodes of 16631be said of node-2, which refused by then, that it had not answered yet.
        @Test("a peer's disk takes 3 s: it is reported at once, as in force and not on its disk, then as confirmed")
        func peers() throws {
            let disk = try SlowDisk()
            let trio = try Trio(from: try sharedNode(), environments: ["node-2": disk.environment])
            try disk.set(milliseconds: 3_000)
            let order = try trio.op("node-1").call("block", "--key", "foo", "--reason", "drill", "--timeout", "2s")
            #expect(try answer(trio.node("node-2")) == Self.blocked)
            #expect(order.end == .exited(6))
            #expect(order.output.contains("done there, not on its disk yet"), "\(order.output)")
            #expect(order.output.contains("NOT CONFIRMED: node-2."), "\(order.output)")
            try disk.set(milliseconds: 0)
            let again = try trio.op("node-1").call("block", "--key", "foo", "--reason", "drill", "--timeout", "20s")
            #expect(again.isSuccess, "\(again)")
        }

        /// With 16631be no HSM was active within 60 s.
        @Test("a disk that takes 30 s for each write keeps no node from serving")
        func start() throws {
            let disk = try SlowDisk()
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set("drain_delay", "\"0s\"", in: "[node]")
            let first = try Node.serve(configuration, activeHSMs: 2, environment: disk.environment)
            #expect(try XKSClient(first).encrypt([1]).status == 200)
            #expect(try first.stop() == .exited(0))
            try disk.set(milliseconds: 30_000)
            let start = ContinuousClock.now
            let node = try Node.serve(configuration, activeHSMs: 2, environment: disk.environment)
            try eventually("it serves", within: 20) { try XKSClient(node).encrypt([1]).status == 200 }
            #expect(ContinuousClock.now - start < .seconds(12), "\(ContinuousClock.now - start)")
            node.process.kill(SIGKILL)
        }

        /// With 16631be the drain was not confirmed, and the node had not ended after 30 s.
        @Test("a disk that takes 30 s for each write keeps no node from ending")
        func stop() throws {
            let disk = try SlowDisk()
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set("drain_delay", "\"0s\"", in: "[node]")
            let node = try Node.serve(configuration, activeHSMs: 2, environment: disk.environment)
            #expect(try XKSClient(node).encrypt([1]).status == 200)
            try disk.set(milliseconds: 30_000)
            // Something is to be written when it ends.
            #expect(try Operator(configuration).call("hsm", "drain", "hsm-1").isSuccess)
            let end = ContinuousClock.now
            #expect(try node.stop() == .exited(0))
            #expect(ContinuousClock.now - end < .seconds(14), "\(ContinuousClock.now - end)")
            #expect(node.process.errors.contains("the store was not closed in time"))
        }

        /// With 16631be the command took as long as the disk, and said nothing of it.
        @Test("an HSM is drained though the disk takes its time, and that is said")
        func drain() throws {
            let disk = try SlowDisk()
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            let node = try Node.serve(configuration, activeHSMs: 2, environment: disk.environment)
            defer { node.process.kill(SIGKILL) }
            try disk.set(milliseconds: 3_000)
            let start = ContinuousClock.now
            let drained = try Operator(configuration).call("hsm", "drain", "hsm-1")
            #expect(ContinuousClock.now - start < .milliseconds(2_500))
            #expect(drained.isSuccess, "\(drained)")
            #expect(drained.output.contains("is drained") && drained.output.contains("not on the disk yet"))
            #expect(try Operator(configuration).status().hsm("hsm-1")?.drained == true)
        }
    }
}

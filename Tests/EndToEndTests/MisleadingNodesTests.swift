// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("break glass among clocks and names that are wrong", .devTokens(2))
    struct MisleadingNodes {
        private static let blocked = "400 InvalidStateException"

        private func answer(_ node: Node) throws -> String {
            let reply = try XKSClient(node).encrypt([1])
            return reply.status == 200 ? "200" : reply.refusal
        }

        /// Nodes of 16631be answered "All 3 nodes have it on disk" with status 0, and the one that is ahead served on.
        @Test("a block of three minutes is in force where the clock is four minutes ahead, and is confirmed as that")
        func clock() throws {
            let trio = try Trio(
                from: try sharedNode(), environments: ["node-2": PreloadedFaults.clock(ahead: 240)])
            let order = try trio.op("node-1").call("block", "--key", "foo", "--reason", "drill", "--expires", "3m")
            #expect(order.isSuccess, "\(order)")
            for name in Trio.names { #expect(try answer(trio.node(name)) == Self.blocked, "\(name)") }
            // And the other way round: it has begun in the others' future.
            try trio.op("node-1").done("unblock", "--key", "foo")
            try trio.op("node-2").done("block", "--key", "foo", "--reason", "drill", "--expires", "3m")
            for name in Trio.names { #expect(try answer(trio.node(name)) == Self.blocked, "\(name)") }
        }

        /// Nodes of 16631be stayed ACTIVE, and both orders ended with "All 3 nodes have it on disk" and status 0.
        @Test("two nodes of one name: every node says so, and no order is called confirmed")
        func twins() throws {
            let trio = try Trio(from: try sharedNode())
            var configuration = trio.configuration("node-3")
            let address = "127.0.0.1:\(try ServeConfiguration.freePort())"
            configuration.stateDirectory = try trio.stateDirectory("twin")
            try configuration.chooseAddresses()
            for setting in ["listen", "advertise"] { configuration.set(setting, "\"\(address)\"", in: "[cluster]") }
            let twin = try Node.serve(configuration, activeHSMs: 2)
            defer { twin.process.kill(SIGKILL) }
            try trio.begins(Trouble(.nodeNameUsedTwice, of: "node-3", by: Trio.names))
            let block = try trio.op("node-1").call("block", "--key", "foo", "--reason", "drill", "--timeout", "2s")
            #expect(block.end == .exited(6), "\(block)")
            let unblock = try trio.op("node-1").call("unblock", "--key", "foo", "--timeout", "2s")
            #expect(unblock.end == .exited(6), "\(unblock)")
            #expect(unblock.output.contains("two nodes bear this name"))
        }
    }
}

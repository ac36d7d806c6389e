// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("what nodes know of each other's configuration and past", .devTokens(2))
    struct ClusterMemory {
        private let trio: Trio

        init() throws { trio = try Trio(from: try sharedNode()) }

        private func metadata(_ name: String, key: String) throws -> HTTPReply {
            try XKSClient(trio.node(name)).metadata(key: key)
        }

        /// Gives a node another key under another id, in its file and by a reload.
        private func offer(_ name: String) throws {
            try trio.edit(name) { configuration in
                let lines = configuration.lines.map { line in
                    line.hasPrefix("keys = [") ? line.dropLast() + #", { id = "new", label = "foo" }]"# : line
                }
                configuration.replaceLines(lines)
            }
            #expect(try trio.op(name).call("reload").isSuccess)
        }

        // 16631be: 404 KeyNotFoundException from node-1 for the id that node-2 offers, final for KMS.
        @Test("a key that one node offers already is answered through the others, and what nobody may know is 500")
        func drift() throws {
            #expect(try metadata("node-1", key: "new").refusal == "404 KeyNotFoundException")
            try offer("node-2")
            try eventually("node-1 has node-2 answer for it") { try metadata("node-1", key: "new").status == 200 }
            let client = try XKSClient(trio.node("node-1"))
            let made = try client.encrypted([4, 2], key: "new")
            #expect(try client.decrypted(made, key: "new") == [4, 2])
            #expect(try client.decrypted(made) == [4, 2], "it is foo by another name")
            try eventually("nobody calls absent what another may offer") {
                try Trio.names.allSatisfy { try metadata($0, key: "other").refusal == "500 InternalException" }
            }
            let strange = try client.post("/strange/kms/xks/v1/keys/foo/metadata", "{}")
            #expect(strange.refusal == "500 InternalException")
            for name in ["node-1", "node-3"] { try offer(name) }
            try eventually("all agree") {
                try Trio.names.allSatisfy { try metadata($0, key: "other").refusal == "404 KeyNotFoundException" }
            }
            #expect(try metadata("node-3", key: "new").status == 200)

            // Destroyed without a farewell: what it may offer by now nobody knows, until an operator says so.
            trio.node("node-3").process.kill(SIGKILL)
            _ = try trio.node("node-3").process.end(within: 10)
            try eventually("node-1 misses node-3") {
                try metadata("node-1", key: "other").refusal == "500 InternalException"
            }
            #expect(try trio.op("node-1").done("cluster", "forget", "node-3").contains("forgotten"))
            try eventually("nobody counts on it any more") {
                try ["node-1", "node-2"].allSatisfy {
                    try metadata($0, key: "other").refusal == "404 KeyNotFoundException"
                }
            }
            // 16631be has no such order; without its table a restarted node knew nothing of it.
            trio.node("node-1").process.kill(SIGKILL)
            _ = try trio.node("node-1").process.end(within: 10)
            try trio.restart("node-1")
            let status = try trio.op("node-1").call("cluster", "status").output
            #expect(status.contains("node-3") && status.contains("forgotten by") && status.contains("@node-1"))
            let order = try trio.op("node-1").call("block", "--key", "nobody", "--reason", "test", "--timeout", "10s")
            #expect(order.isSuccess && !order.output.contains("node-3"), "\(order)")
            #expect(order.output.contains("IT HITS NOTHING ON ANY NODE"))
            try trio.restart("node-3")
            try eventually("it speaks, and is waited for") {
                try trio.report("node-1").liveness(of: "node-3") == "alive"
            }
            let hits = try trio.op("node-1").call("block", "--key", "new", "--reason", "test", "--timeout", "10s")
            #expect(hits.isSuccess, "\(hits)")
            #expect(hits.output.components(separatedBy: "hits 1 key of 1 key store").count == 4, "\(hits.output)")
        }

        // 16631be: nothing is said, and the node serves by the old list until it reaches a peer.
        @Test("a node whose state directory was put back is shown as restored, also by a peer that was restarted")
        func restored() throws {
            let (directory, manager) = (try trio.stateDirectory("node-3"), FileManager.default)
            #expect(try trio.node("node-3").stop() == .exited(0))
            try manager.copyItem(atPath: directory, toPath: directory + "-copy")
            try trio.restart("node-3")
            for key in ["a", "b", "c"] {
                #expect(try trio.op("node-3").call("block", "--key", key, "--reason", "test").isSuccess)
            }
            // A node that ends in good order has informed all.
            #expect(try trio.node("node-3").stop() == .exited(0))
            try manager.removeItem(atPath: directory)
            try manager.moveItem(atPath: directory + "-copy", toPath: directory)
            #expect(try trio.node("node-1").stop() == .exited(0))
            try trio.restart("node-1")
            try trio.restart("node-3")
            try trio.begins(Trouble(.nodeRestored, of: "node-3", by: ["node-1", "node-2"]))
            for name in ["node-1", "node-2"] {
                let line = try trio.node(name).logEntry("the log") { $0.message.contains("has gone back") }
                #expect(line["node"] == "node-3")
            }
            #expect(try trio.op("node-1").call("cluster", "status").output.contains("put back"))
            #expect(try trio.report("node-3").reasons.allSatisfy { !$0.contains("put back") }, "it cannot know")
            // Started with an empty directory, as the guide says, it knows that it had a list, and takes it from others.
            trio.node("node-3").process.kill(SIGKILL)
            _ = try trio.node("node-3").process.end(within: 10)
            try manager.removeItem(atPath: directory)
            try trio.restart("node-3")
            try eventually("nothing is wrong any more") {
                try ["node-1", "node-2"].allSatisfy { name in
                    try trio.report(name).reasons.allSatisfy { !$0.contains("put back") }
                }
            }
        }
    }
}

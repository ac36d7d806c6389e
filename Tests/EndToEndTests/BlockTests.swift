// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("break glass", .devTokens(2))
    struct BreakGlass {
        private let trio: Trio
        private let made: Encrypted

        init() throws {
            trio = try Trio(from: try sharedNode())
            made = try XKSClient(trio.node("node-1")).encrypted([1, 2, 3])
        }

        /// What encrypt and decrypt are answered with on a node, over a new connection.
        private func answers(_ name: String, key: String = "foo") throws -> [String] {
            let client = try XKSClient(trio.node(name))
            return [try client.encrypt([1], key: key), try client.decrypt(made, key: key)].map { reply in
                reply.status == 200 ? "200" : reply.refusal
            }
        }

        private func expect(_ answer: String, on names: [String] = Trio.names) throws {
            for name in names {
                try eventually("\(name) answers \(answer)") { try answers(name) == [answer, answer] }
            }
        }

        private static let blocked = "400 InvalidStateException"

        @Test("a block holds on every node, outlives kill -9 of all, and is lifted everywhere")
        func life() throws {
            let order = try trio.op("node-1").call("block", "--key", "foo", "--reason", "drill 1")
            #expect(order.isSuccess, "\(order.output)\(order.errors)")
            for name in Trio.names { #expect(order.output.contains(name)) }
            // All have confirmed: it holds everywhere, now.
            for name in Trio.names {
                #expect(try answers(name) == [Self.blocked, Self.blocked])
                let client = try XKSClient(trio.node(name))
                #expect(try client.metadata(key: "foo").text.contains(#""keyStatus":"DISABLED""#))
                #expect(try client.encrypt([1], key: "bar").status == 200, "other keys go on")
            }
            for name in Trio.names { trio.node(name).process.kill(SIGKILL) }
            for name in Trio.names {
                _ = try trio.node(name).process.end(within: 10)
                try trio.restart(name)
                #expect(try answers(name) == [Self.blocked, Self.blocked])
            }
            try trio.together()
            let list = try trio.op("node-3").call("blocks")
            #expect(list.output.contains("drill 1") && list.output.contains("--key foo"))
            #expect(try trio.op("node-2").call("unblock", "--key", "foo").isSuccess)
            try expect("200")
            #expect(try trio.op("node-2").call("unblock", "--key", "foo").end != .exited(0))
        }

        @Test("a node that was away is named as unreached, and is blocked when it is back")
        func away() throws {
            let node = trio.node("node-3")
            try Processes.stop(node.pid)
            defer { Processes.resume(node.pid) }
            let order = try trio.op("node-1").call("block", "--all", "--reason", "drill 2", "--timeout", "2s")
            #expect(order.end == .exited(6), "\(order.output)\(order.errors)")
            #expect((order.output + order.errors).contains("node-3"))
            #expect(try answers("node-2") == [Self.blocked, Self.blocked])
            Processes.resume(node.pid)
            try expect(Self.blocked, on: ["node-3"])
        }

        @Test("a node whose store was destroyed refuses everything until a peer sends it the list")
        func lostStore() throws {
            #expect(try trio.op("node-1").call("block", "--key", "bar", "--reason", "drill 3").isSuccess)
            for name in Trio.names {
                trio.node(name).process.kill(SIGKILL)
                _ = try trio.node(name).process.end(within: 10)
            }
            let database = try trio.stateDirectory("node-2") + "/claviger.sqlite"
            for suffix in ["-wal", "-shm"] { unlink(database + suffix) }
            try Data(repeating: 7, count: 8_192).write(to: URL(fileURLWithPath: database))
            try trio.restart("node-2")
            #expect(try answers("node-2") == [Self.blocked, Self.blocked])
            #expect(try trio.node("node-2").control("/readyz").status == 503)
            try trio.restart("node-1")
            try expect("200", on: ["node-2"])
            #expect(try answers("node-2", key: "bar").first == Self.blocked, "the peer has told the block, too")
        }

        @Test("without a peer, an operator's word opens a node that has lost its list")
        func confirmed() throws {
            for name in Trio.names {
                trio.node(name).process.kill(SIGKILL)
                _ = try trio.node(name).process.end(within: 10)
            }
            try FileManager.default.removeItem(atPath: try trio.stateDirectory("node-1") + "/claviger.sqlite")
            for suffix in ["-wal", "-shm"] {
                unlink(try trio.stateDirectory("node-1") + "/claviger.sqlite" + suffix)
            }
            try trio.restart("node-1")
            #expect(try answers("node-1") == [Self.blocked, Self.blocked])
            _ = try trio.op("node-1").call("unblock", "--confirm-unknown", "--timeout", "1s")
            try expect("200", on: ["node-1"])
        }

        /// With 16631be the node that was cut off served `foo` and `bar` (1,872 of 1,873 requests), and two nodes that had both
        /// lost everything vouched for each other and served.
        @Test("nodes with empty state directories vouch for nothing, neither cut off nor together, until it is said")
        func emptyDirectories() throws {
            try lose("node-3")
            #expect(
                try trio.op("node-1").call("block", "--key", "foo", "--reason", "drill", "--timeout", "1s").end
                    != .exited(1))
            for name in ["node-1", "node-2"] { try Processes.stop(trio.node(name).pid) }
            defer { for name in ["node-1", "node-2"] { Processes.resume(trio.node(name).pid) } }
            try trio.restart("node-3")
            #expect(try answers("node-3") == [Self.blocked, Self.blocked])
            #expect(try answers("node-3", key: "bar").first == Self.blocked)
            #expect(try trio.node("node-3").control("/readyz").status == 503)
            #expect(try trio.op("node-3").call("blocks").output.contains("claviger cluster bootstrap"))
            for name in ["node-1", "node-2"] { Processes.resume(trio.node(name).pid) }
            try eventually("node-3 has the list") { try answers("node-3", key: "bar").first == "200" }
            #expect(try answers("node-3") == [Self.blocked, Self.blocked], "the block, too")

            for name in Trio.names { try lose(name) }
            for name in ["node-1", "node-2"] { try trio.restart(name) }
            try eventually("they see each other") { try trio.report("node-1").liveness(of: "node-2") == "alive" }
            #expect(try answers("node-1") == [Self.blocked, Self.blocked])
            try trio.op("node-2").done("cluster", "bootstrap")
            try expect("200", on: ["node-1", "node-2"])
            #expect(try trio.op("node-1").call("cluster", "bootstrap").isSuccess, "there is nothing to be begun")
        }

        /// With 16631be both served `foo` within two seconds: the new node's empty list counted as known.
        @Test("a new node does not vouch for one that has lost its list: both refuse until it is said")
        func newcomer() throws {
            try trio.op("node-1").done("block", "--key", "foo", "--reason", "drill")
            for name in Trio.names { try lose(name, isNew: name != "node-1") }
            for name in ["node-1", "node-2"] { try trio.restart(name) }
            try eventually("they see each other") {
                try trio.report("node-1").liveness(of: "node-2") == "alive"
                    && trio.report("node-2").liveness(of: "node-1") == "alive"
            }
            // What each has learnt of the other by then must not change it.
            let until = ContinuousClock.now + .seconds(4)
            repeat {
                for name in ["node-1", "node-2"] {
                    try #require(try answers(name) == [Self.blocked, Self.blocked], "\(name)")
                }
            } while ContinuousClock.now < until
            #expect(try trio.op("node-1").call("blocks").output.contains("claviger cluster bootstrap"))
            try trio.op("node-1").done("cluster", "bootstrap")
            try expect("200", on: ["node-1", "node-2"])
        }

        /// A node ends, and its store with it.
        ///
        /// - Parameter isNew: nothing says any more that there was one.
        private func lose(_ name: String, isNew: Bool = true) throws {
            trio.node(name).process.kill(SIGKILL)
            _ = try? trio.node(name).process.end(within: 10)
            let directory = try trio.stateDirectory(name)
            for file in try FileManager.default.contentsOfDirectory(atPath: directory)
            where file.hasPrefix("claviger.") && (isNew || !file.hasSuffix(".made")) { unlink(directory + "/" + file) }
        }

        /// The command of 16631be said "All 3 nodes have it on disk" of all five, and nothing of what they hit.
        @Test("an order says what it hits, and is carried out all the same when it hits nothing")
        func scope() throws {
            let hit = try trio.op("node-1").call("block", "--key", "foo", "--reason", "drill", "--expires", "1h")
            #expect(hit.isSuccess && hit.output.contains("It hits key foo of key store"), "\(hit.output)")
            for key in ["fooo", " foo", "FOO", "arn:aws:kms:eu-central-1:111122223333:key/1234"] {
                let missed = try trio.op("node-1").call("block", "--key", key, "--reason", "drill", "--expires", "1h")
                #expect(missed.isSuccess && missed.output.contains("IT HITS NOTHING HERE"), "\(key): \(missed.output)")
            }
            #expect(try trio.op("node-2").call("blocks").output.contains("5 blocks are in force"))
        }

        /// With 16631be `--key foo --key bar` and `--key foo,bar` ended with status 0; of the two only `bar` was blocked.
        @Test("an order that cannot be is refused with its mend, and changes nothing")
        func refused() throws {
            for arguments in [
                ["--principal", "user/Alice"], ["--key", ""], ["--key", "foo", "--key", "bar"], ["--key", "foo,bar"],
                ["--keystore", "no-slash"], ["--key", "a", "--all"],
            ] {
                let result = try ClavigerBinary.run(
                    ["block"] + arguments + ["--reason", "x", "--config", trio.op("node-1").configuration])
                #expect(result.end != .exited(0) && !result.errors.isEmpty, "\(arguments)")
            }
            #expect(try answers("node-1") == ["200", "200"])
        }
    }

    @Suite("two processes on one state directory", .devTokens(1))
    struct SharedState {
        /// Of two processes of 16631be only the one that received it refused.
        @Test("a block that is given to one of them is enforced by the other, too, and so is its end")
        func both() throws {
            var first = try ServeConfiguration(from: try sharedNode())
            first.stateDirectory = first.scratch.file("node")
            var second = try ServeConfiguration(from: try sharedNode())
            second.stateDirectory = first.stateDirectory
            let nodes = try [first, second].map { try Node.serve($0, activeHSMs: 1) }
            func answers() throws -> [String] {
                try nodes.map { node in
                    let reply = try XKSClient(node).encrypt([1])
                    return reply.status == 200 ? "200" : reply.refusal
                }
            }
            try eventually("both serve") { try answers() == ["200", "200"] }
            let refused = "400 InvalidStateException"
            try Operator(first).done("block", "--key", "foo", "--reason", "drill")
            try eventually("both refuse", within: 5) { try answers() == [refused, refused] }
            try Operator(first).done("unblock", "--key", "foo")
            try eventually("both serve again", within: 5) { try answers() == ["200", "200"] }
            for node in nodes { #expect(try node.stop() == .exited(0)) }
        }
    }
}

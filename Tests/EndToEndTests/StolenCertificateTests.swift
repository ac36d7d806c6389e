// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

// Nothing that one stolen certificate sends makes an order miss a living node.

extension EndToEnd {
    @Suite("break glass before a thief", .devTokens(2))
    struct StolenCertificate {
        private let trio: Trio
        private let thief: Thief

        init() throws {
            trio = try Trio(from: try sharedNode())
            thief = try Thief(of: "node-3", in: trio)
        }

        private static let blocked = "400 InvalidStateException"

        private func answer(_ name: String, key: String = "foo") throws -> String {
            let reply = try XKSClient(trio.node(name)).encrypt([1], key: key)
            return reply.status == 200 ? "200" : reply.refusal
        }

        /// Nodes of 16631be answered "All 2 nodes have it on disk" with status 0, and did not name node-2.
        @Test("that a living node has left is not believed: an order waits for it, and reaches it")
        func left() throws {
            for name in ["node-1", "node-2"] { try thief.bury("node-2", to: name) }
            let order = try trio.op("node-1").call("block", "--all", "--reason", "drill", "--timeout", "3s")
            #expect(order.output.contains("node-2"), "\(order)")
            #expect(try answer("node-2") == Self.blocked)
            #expect(try answer("node-1") == Self.blocked)
        }

        /// Nodes of 16631be took the 36,000 lifts, and an order then ended with "1 of 3 nodes have it on disk. NOT
        /// CONFIRMED: node-2, node-3", which both served on; no line of the log reported the lifts.
        @Test("lifts of blocks that nobody has made are refused and logged, and orders go on reaching everybody")
        func lifts() throws {
            for _ in 0..<4 {
                let lifts = (0..<9_000).map { _ -> [String: Any] in
                    [
                        "id": Thief.randomID(), "liftedAt": Int(Date().timeIntervalSince1970),
                        "liftedBy": String(repeating: "m", count: 60) + "@node-3",
                    ]
                }
                try thief.post(
                    "/cluster/v1/blocks", ["version": 1, "known": true, "blocks": [Int](), "lifts": lifts],
                    to: "node-1")
            }
            let order = try trio.op("node-1").call("block", "--all", "--reason", "drill")
            #expect(order.isSuccess, "\(order)")
            for name in Trio.names { #expect(try answer(name) == Self.blocked) }
            let line = try trio.node("node-1").logEntry("the refusal") { $0["lifts"] == "9000" }
            #expect(line["node"] == "node-3" && line["level"] == "error")
        }

        /// Nodes of 16631be have no such setting ("is not a known key"), and took what the thief said.
        @Test("a refused certificate is listened to no more after a reload, on nodes that have the list")
        func refused() throws {
            let serial = try #require(
                try run([ClavigerBinary.path, "cluster", "serial", trio.identity("node-3").certificate]).output
                    .split(separator: "\n").first.map(String.init))
            func tell(_ node: String) throws -> Int { try thief.gossip(to: node, updates: []) }
            #expect(try tell("node-1") == 200, "before: it is a node")
            for name in ["node-1", "node-2"] {
                try trio.edit(name) { $0.set("refused", "[\"\(serial)\"]", in: "[cluster]") }
                let reload = try trio.op(name).call("reload")
                #expect(reload.isSuccess, "\(reload)")
                #expect(throws: HarnessError.self, "after: its connection is closed") { try tell(name) }
                try eventually("the lists of the two \(name == "node-1" ? "differ" : "are alike")") {
                    let drift = try trio.report("node-2").nodes.first { $0.name == "node-1" }?.drift ?? []
                    return drift.contains("refused") == (name == "node-1")
                }
            }
            let line = try trio.node("node-1").logEntry("who shows it") { $0["serial"] == serial }
            #expect(line["node"] == "node-3" && line["level"] == "warning")
            let order = try trio.op("node-1").call("block", "--all", "--reason", "drill", "--timeout", "3s")
            #expect(order.output.contains("NOT CONFIRMED: node-3"), "\(order)")
            for name in ["node-1", "node-2"] { #expect(try answer(name) == Self.blocked) }
            try trio.edit("node-3") { $0.set("refused", "[\"\(serial)\"]", in: "[cluster]") }
            let own = try trio.op("node-3").call("reload")
            #expect(!own.isSuccess && own.errors.contains("which `cluster.refused` names"), "\(own)")
        }

        /// A node of 16631be refused the message with status 400, and the order for `foo` reached nobody.
        @Test("what a later version says costs itself only: its message is taken, and its other blocks are in force")
        func laterVersion() throws {
            let later = try thief.gossip(
                to: "node-1", kind: "whisper",
                hsms: [
                    [
                        "name": "hsm-9", "serial": "9", "manufacturer": "", "model": "", "firmware": "",
                        "state": "hibernating", "isDrained": false,
                    ]
                ],
                updates: [
                    ["identity": try thief.identity(of: "node-2", incarnation: 1), "liveness": "dormant"]
                ])
            #expect(later == 200)
            func entry(_ kind: String, _ value: String) -> [String: Any] {
                let block: [String: Any] = [
                    "id": Thief.randomID(), "target": ["kind": kind, "value": value], "reason": "drill",
                    "madeAt": Int(Date().timeIntervalSince1970), "madeBy": "me@node-3",
                ]
                return ["block": block]
            }
            let page: [String: Any] = [
                "version": 2, "knowledge": "known", "digest": "", "last": true,
                "entries": [entry("region", "eu-central-1"), entry("key", "foo")],
            ]
            #expect(try thief.post("/cluster/v2/blocks", page, to: "node-1") == 200)
            #expect(try answer("node-1") == Self.blocked)
            #expect(try answer("node-1", key: "bar") == "200")
            try eventually("the others have it, too") { try answer("node-2") == Self.blocked }
            _ = try trio.node("node-1").logEntry("what cannot be read") {
                $0.message.contains("cannot be read by this version") && $0["orders"] == "1"
            }
        }
    }
}

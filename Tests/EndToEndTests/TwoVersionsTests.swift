// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    /// Only where `CLAVIGER_EARLIER_BINARY` names the program of the first version.
    @Suite("a cluster of two versions", .devTokens(2), .enabled(if: ClavigerBinary.earlier != nil))
    struct TwoVersions {
        private let trio: Trio

        /// node-2 is of the earlier version, with a state directory of its own.
        init() throws {
            trio = try Trio(from: try sharedNode())
            let earlier = try #require(ClavigerBinary.earlier)
            #expect(try trio.node("node-2").stop() == .exited(0))
            try FileManager.default.removeItem(atPath: try trio.stateDirectory("node-2"))
            try trio.restart("node-2", binary: earlier)
            for name in ["node-1", "node-3"] {
                try eventually("\(name) sees node-2") { try trio.report(name).liveness(of: "node-2") == "alive" }
            }
        }

        /// What later versions compare besides (policies) is in the digest only where it is configured.
        @Test("a configuration without what the earlier version does not know is the same to both")
        func sameConfiguration() throws {
            for (name, other) in [("node-1", "node-2"), ("node-2", "node-1")] {
                let peer = try #require(try trio.report(name).nodes.first { $0.name == other })
                #expect(!peer.drift.contains("configuration"), "\(name): \(peer.drift)")
            }
        }

        @Test("orders that the earlier version does not enforce as they are meant name its nodes, and are given")
        func orders() throws {
            let plain = try trio.op("node-1").call("block", "--key", "foo", "--reason", "test", "--timeout", "10s")
            #expect(plain.isSuccess && plain.errors.isEmpty, "\(plain)")
            #expect(plain.output.components(separatedBy: "hits 1 key of 1 key store").count == 3, "\(plain.output)")
            let order = try trio.op("node-1").call(
                "block", "--key", "bar", "--reason", "test", "--expires", "1h", "--timeout", "10s")
            #expect(order.end == .exited(4), "\(order)")
            #expect(order.errors.contains("NOT ENFORCED AS IT IS MEANT") && order.errors.contains("node-2"))
            #expect(!order.errors.contains("node-3") && order.errors.contains("without --expires"))
            #expect(order.output.contains("it ends it by its own clock"), "\(order.output)")
            for name in Trio.names {
                let client = try XKSClient(trio.node(name))
                #expect(try client.encrypt([1], key: "bar").refusal == "400 InvalidStateException")
            }
        }

        @Test("what the earlier version calls absent by its own configuration is not handed on")
        func absent() throws {
            let client = try XKSClient(trio.node("node-1"))
            #expect(try client.metadata(key: "other").refusal == "404 KeyNotFoundException", "all agree")
            #expect(try trio.node("node-2").stop() == .exited(0))
            try trio.edit("node-2") { configuration in
                let lines = configuration.lines.map { line in
                    line.hasPrefix("keys = [") ? line.dropLast() + #", { id = "new", label = "foo" }]"# : line
                }
                configuration.replaceLines(lines)
            }
            try trio.restart("node-2", binary: try #require(ClavigerBinary.earlier))
            try eventually("node-1 has it answer for what it offers") {
                try client.metadata(key: "new").status == 200
            }
            #expect(try client.metadata(key: "other").refusal == "500 InternalException")
            #expect(try XKSClient(trio.node("node-2")).metadata(key: "other").refusal == "404 KeyNotFoundException")
        }
    }
}

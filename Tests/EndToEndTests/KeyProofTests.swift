// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

// A label is not an identity: what a node does when an HSM holds another key than the others, or none.

extension EndToEnd {
    @Suite("the same key everywhere", .devTokens(3))
    struct KeyProof {
        private let faults: Faults

        init() throws { faults = try Faults() }

        /// A node whose keys have been proven, and where an operator's word has settled whose `foo` is the right one:
        /// without it, a key that differs within the first seconds is a dispute.
        private func settledNode(_ configuration: ServeConfiguration) throws -> Node {
            let node = try Node.serve(configuration)
            let op = Operator(configuration)
            try op.proven()
            try op.done("key", "trust", "foo", "--hsm", "hsm-1")
            try op.proven()
            return node
        }

        private func alarm(_ node: Node, _ message: String, key: String = "foo", hsm: String) throws -> LogEntry {
            try node.logEntry("\(message) of \(hsm)") {
                $0.message.hasPrefix(message) && $0["key"] == key && $0["hsm"] == hsm
            }
        }

        @Test("a key that is swapped is never used: that HSM is out for it, and only for it")
        func swapped() throws {
            let configuration = try ServeConfiguration(with: faults)
            let node = try settledNode(configuration)
            let op = Operator(configuration)
            let load = Load(node, connections: 8)
            try load.more(100)
            try faults.set(["hsm-2": ["swap-key foo bar"]])
            let alarm = try alarm(node, "KEY DIFFERS", hsm: "hsm-2")
            #expect(alarm["canary_of"] == "hsm-1", "the alarm names both HSMs")
            #expect(alarm["level"] == "error")
            try load.more(100)
            let report = try load.stop()
            #expect(report.failures.isEmpty, "\(report.failures.prefix(5))")
            // The HSM is not asked for this key any more, so these are the words of the other two.
            #expect(try report.lost(on: node) == 0)

            let status = try op.status()
            #expect(status.key("foo")?.cells == ["hsm-1": "proven", "hsm-2": "different", "hsm-3": "proven"])
            #expect(status.key("bar")?.cells["hsm-2"] == "proven")
            #expect(
                ["active", "degraded"].contains(status.hsm("hsm-2")?.state), "\(status.hsm("hsm-2")?.reason ?? "")")
            #expect(try node.health().keysExcluded == 1)
            #expect(try node.health().verdict == "DEGRADED")
            let client = try XKSClient(node)
            _ = try node.encrypt(on: "hsm-2", key: "bar", client)
            // Where no other HSM is left, the key is refused rather than used.
            try op.done("hsm", "drain", "hsm-1")
            try op.done("hsm", "drain", "hsm-3")
            #expect(try client.encrypt([1], key: "bar").status == 200)
            #expect(try client.encrypt([1]).status >= 400)
            try op.done("hsm", "undrain", "hsm-1")
            try op.done("hsm", "undrain", "hsm-3")

            try faults.clear()
            try op.proven()
            try eventually("all are active", within: 20) { try node.health().active.count == 3 }
            _ = try node.encrypt(on: "hsm-2", client)
            #expect(try report.lost(on: node) == 0)
            #expect(try node.stop() == .exited(0))
        }

        @Test("a key that vanishes from an HSM is served by the others; from all, it is unknown until it is forgotten")
        func vanished() throws {
            let configuration = try ServeConfiguration(with: faults)
            let node = try settledNode(configuration)
            let op = Operator(configuration)
            let client = try XKSClient(node)
            let load = Load(node, connections: 4)
            try load.more(50)
            try faults.set(["hsm-1": ["lose-key foo"]])
            _ = try alarm(node, "key vanished", hsm: "hsm-1")
            try load.more(50)
            try faults.set(["hsm-1": ["lose-key foo"], "hsm-2": ["lose-key foo"]])
            _ = try alarm(node, "key vanished", hsm: "hsm-2")
            try load.more(50)
            let report = try load.stop()
            #expect(report.failures.isEmpty, "\(report.failures.prefix(5))")
            #expect(try op.status().key("foo")?.cells == ["hsm-1": "absent", "hsm-2": "absent", "hsm-3": "proven"])
            #expect(try client.metadata(key: "foo").status == 200)

            try faults.set(["hsm-1": ["lose-key foo"], "hsm-2": ["lose-key foo"], "hsm-3": ["lose-key foo"]])
            _ = try alarm(node, "key vanished", hsm: "hsm-3")
            // Unknown, not absent, which would be final for KMS: a library may have lost sight of it.
            #expect(try client.encrypt([1]).status == 500)
            #expect(try client.metadata(key: "foo").status == 500)
            try eventually("workers that look again, and the other key served") {
                try client.encrypt([1], key: "bar").status == 200
            }
            // Fresh workers say the same: still it was proven once. 16631be answered 404 here.
            #expect(try client.encrypt([1]).status == 500)
            try eventually("the key is absent once an order has forgotten it", within: 30) {
                _ = try op.call("key", "forget", "foo")
                return try client.encrypt([1]).refusal == "404 KeyNotFoundException"
            }
            #expect(try client.metadata(key: "foo").refusal == "404 KeyNotFoundException")

            try faults.clear()
            try op.proven()
            #expect(try report.lost(on: node) == 0)
            #expect(try node.stop() == .exited(0))
        }

        @Test("two HSMs that disagree from the start: the key is refused until an operator says who is right")
        func disputed() throws {
            var configuration = try ServeConfiguration(with: faults)
            let op = Operator(configuration)
            // One against one: of three the two that agree would outnumber the third.
            try faults.set(["hsm-2": ["swap-key foo bar"], "hsm-3": ["lose-key foo"]])
            var node = try Node.serve(configuration)
            let alarm = try node.logEntry("the dispute") { $0.message.hasPrefix("KEY DISPUTED") && $0["key"] == "foo" }
            #expect(Set([alarm["hsm"], alarm["other_hsm"]]).contains("hsm-2"))
            #expect(alarm["hsm"] != alarm["other_hsm"])

            func expectRefused(_ node: Node) throws {
                let client = try XKSClient(node)
                let sealed = try DevKeyFile(try sharedNode().facts).seal([1, 2, 3], key: "foo")
                for refused in [
                    try client.encrypt([1]), try client.decrypt(sealed), try client.metadata(key: "foo"),
                ] {
                    #expect(refused.refusal == "400 InvalidStateException")
                    #expect(refused.text.contains("hold different keys"))
                }
                #expect(try client.encrypt([1], key: "bar").status == 200)
                #expect(try op.status().key("foo")?.disputed?.contains("hold different keys") == true)
            }
            try expectRefused(node)
            #expect(try op.call("status").output.contains("disputed, refused everywhere: foo"))
            #expect(try node.stop() == .exited(0))

            // A restart decides nothing, not even when all agree by now.
            try faults.clear()
            try configuration.chooseAddresses()
            node = try Node.serve(configuration)
            try expectRefused(node)

            try faults.set(["hsm-2": ["swap-key foo bar"]])
            let words = try op.done("key", "trust", "foo", "--hsm", "hsm-1")
            #expect(words.contains("hsm-1"))
            try op.verdict("different", of: "foo", on: "hsm-2")
            try op.proven(on: ["hsm-1", "hsm-3"])
            let client = try XKSClient(node)
            let sealed = try DevKeyFile(try sharedNode().facts).seal([1, 2, 3], key: "foo")
            #expect(try client.decrypted(sealed) == [1, 2, 3])
            #expect(try client.encrypt([1]).status == 200)
            #expect(try client.metadata(key: "foo").status == 200)
            #expect(try node.stop() == .exited(0))

            try configuration.chooseAddresses()
            node = try Node.serve(configuration)
            try op.verdict("different", of: "foo", on: "hsm-2")
            #expect(try XKSClient(node).decrypted(sealed) == [1, 2, 3])
            #expect(try op.status().key("foo")?.disputed == nil)
            #expect(try node.stop() == .exited(0))
        }

        @Test("a key that is swapped while the node is down: what it has stored decides, even against the maker")
        func swappedWhileDown() throws {
            var configuration = try ServeConfiguration(with: faults)
            let op = Operator(configuration)
            var node = try settledNode(configuration)
            let sealed = try XKSClient(node).encrypted([1, 2, 3])
            #expect(try node.stop() == .exited(0))

            try faults.set(["hsm-1": ["swap-key foo bar"]])
            try configuration.chooseAddresses()
            node = try Node.serve(configuration)
            _ = try alarm(node, "KEY DIFFERS", hsm: "hsm-1")
            try op.proven(on: ["hsm-2", "hsm-3"])
            let client = try XKSClient(node)
            for _ in 0..<10 { #expect(try client.decrypted(sealed) == [1, 2, 3]) }
            #expect(try op.status().key("foo")?.cells["hsm-1"] == "different")
            #expect(!node.log.contains { $0.message == "key canary made" && $0["key"] == "foo" })
            #expect(try node.stop() == .exited(0))
        }
    }
}

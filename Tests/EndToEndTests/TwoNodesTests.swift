// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

// What two nodes of a cluster make of keys that only one of them has, or that they do not have alike.

extension EndToEnd {
    @Suite("two nodes with tokens of their own")
    struct TwoNodes {
        /// Tokens with keys of their own for each node.
        private func configurations(_ keys: String) throws -> [ServeConfiguration] {
            var configurations: [ServeConfiguration] = []
            for _ in Pair.names {
                let node = try Node.dev(["--plaintext", "--hsms", "1"])
                try node.stop()
                var configuration = try ServeConfiguration(from: node)
                configuration.set("keys", keys, in: "[[keystore]]")
                configuration.setInAll("[[hsm]]", "catalogue_interval", "\"1s\"")
                configuration.setInAll("[[hsm]]", "probe_interval", "\"500ms\"")
                if let first = configurations.first { configuration.useCredential(of: first) }
                configurations.append(configuration)
            }
            return configurations
        }

        /// Two nodes of 16631be encrypted with both keys, and went on: 200 of 200 were invalid at the other one, and the first
        /// one said ACTIVE.
        @Test("different keys under one label: one of them encrypts, both nodes open what either has made, and say so")
        func contested() throws {
            let configurations = try configurations("[\"foo\"]")
            let keys = try configurations.map { try DevKeyFile($0.facts) }
            let pair = try Pair(configurations, hsms: 1)
            let clients = try Pair.names.map { try XKSClient(pair.node($0)) }
            var made: [[Encrypted]] = [[], []]
            let end = ContinuousClock.now + .seconds(25)
            while made.contains(where: { $0.count < 100 }), ContinuousClock.now < end {
                for (index, client) in clients.enumerated() {
                    let reply = try client.encrypt([1, 2, 3])
                    if reply.status == 200 { made[index].append(try reply.decoded()) }
                }
            }
            let used = keys.map { key in made.joined().count { key.opens($0, key: "foo") } }
            print("two keys under one label: \(used) made with each, \(made.map(\.count)) at each node")
            #expect(used.contains(0) && used.contains { $0 > 0 }, "\(used)")
            var answers: [String: Int] = [:]
            for (index, client) in [clients[1], clients[0]].enumerated() {
                for one in made[index].suffix(100) {
                    let reply = try client.decrypt(one)
                    answers[reply.status == 200 ? "200" : reply.refusal, default: 0] += 1
                }
            }
            print("what the other node has encrypted: \(answers)")
            #expect(answers.keys.allSatisfy { $0 == "200" }, "\(answers)")
            for name in Pair.names {
                try eventually("\(name) says so") { try pair.report(name).verdict == "DEGRADED" }
            }
            try pair.stop()
        }

        /// A node of 16631be answered all requests for 40 such keys with 404, KeyNotFoundException.
        @Test("keys that only the other node's HSM holds are unknown while that is out, not absent, however many")
        func lostSite() throws {
            let keys = (0..<34).map { "k\($0 < 10 ? "0" : "")\($0)" }
            let configurations = try configurations("[\"k*\"]")
            let (here, there) = (TokenTool(facts: configurations[0].facts, hsm: "hsm-1"), configurations[1].facts)
            try here.makeKey("k-own")
            for key in keys { try TokenTool(facts: there, hsm: "hsm-1").makeKey(key) }
            let pair = try Pair(configurations, hsms: 1)
            let client = try XKSClient(pair.node("node-1"))
            for key in keys + ["k-own"] {
                try eventually("\(key) is served", within: 30) { try client.encrypt([1], key: key).status == 200 }
            }
            let directory = "\(there.state_directory)/hsm-1"
            try FileManager.default.moveItem(atPath: directory + "/tokens", toPath: directory + "/away")
            for name in Pair.names.reversed() {
                let client = try XKSClient(pair.node(name))
                try eventually("\(name) cannot have them served", within: 20, every: 0.1) {
                    try keys.allSatisfy { try client.encrypt([1], key: $0).status != 200 }
                }
            }
            var answers: [String: Int] = [:]
            for key in keys {
                for reply in [try client.encrypt([1], key: key), try client.metadata(key: key)] {
                    answers[reply.status == 200 ? "200" : reply.refusal, default: 0] += 1
                }
            }
            print("keys of the node that is out: \(answers)")
            #expect(answers.keys.allSatisfy { $0.hasPrefix("5") }, "\(answers)")
            #expect(try client.encrypt([1], key: "k-own").status == 200)
            #expect(try client.encrypt([1], key: "k-never").status == 404)
            // An HSM that shows no key is not called well.
            #expect(try pair.node("node-2").health().active.isEmpty)
            try pair.stop()
        }
    }

    @Suite("two nodes with the same tokens", .devTokens(2))
    struct TwoNodesOneFleet {
        /// At the second of two nodes of 16631be the first order held for ever: it was the older one.
        @Test("a trust that corrects an earlier one holds at both nodes")
        func corrected() throws {
            let faults = try Faults()
            try faults.set(["hsm-2": ["swap-key foo bar"]])
            let pair = try Pair(
                try Pair.names.map { _ in try ServeConfiguration(with: faults) }, hsms: 2)
            for (right, wrong) in [("hsm-1", "hsm-2"), ("hsm-2", "hsm-1")] {
                try pair.op("node-1").done("key", "trust", "foo", "--hsm", right)
                for name in Pair.names {
                    try eventually("\(name) goes by the order that \(right) is right", within: 15, every: 0.1) {
                        try pair.op(name).status().key("foo")?.cells == [right: "proven", wrong: "different"]
                    }
                }
            }
            // Neither node learns anything else later.
            for _ in 0..<5 {
                for name in Pair.names {
                    let cells = try pair.op(name).status().key("foo")?.cells
                    #expect(cells == ["hsm-1": "different", "hsm-2": "proven"])
                }
            }
            try pair.stop()
        }
    }
}

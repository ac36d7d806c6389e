// SPDX-License-Identifier: Apache-2.0
import Conditions
import Foundation
import Testing

/// Whatever befalls keys. Two nodes with two tokens each: node-1 suffers, node-2 has to say it.
struct KeyTroubles {
    private let faults: Faults
    private let pair: Pair

    /// The tokens of the two nodes have another `foo` each, and the same `same`.
    init() throws {
        faults = try Faults()
        try faults.clear()
        let same = randomBytes(32)
        var configurations: [ServeConfiguration] = []
        for _ in Pair.names {
            let node = try Node.dev(["--plaintext", "--hsms", "2"])
            try node.stop()
            var configuration = try ServeConfiguration(from: node)
            configuration.set("keys", "[\"foo\", \"same\"]", in: "[[keystore]]")
            configuration.setInAll("[[hsm]]", "catalogue_interval", "\"1s\"")
            configuration.setInAll("[[hsm]]", "probe_interval", "\"500ms\"")
            if let first = configurations.first {
                configuration.useCredential(of: first)
            } else {
                configuration.load(faults)
            }
            for hsm in ["hsm-1", "hsm-2"] {
                try TokenTool(facts: node.facts, hsm: hsm).write(same, as: "same")
            }
            configuration.append(
                """
                [[keystore]]
                path_prefix = "/second"
                keys = ["same"]
                hsms = ["hsm-2"]
                credentials = \(try configuration.value(of: "credentials", in: "[[keystore]]"))
                """)
            configurations.append(configuration)
        }
        // Each has made a canary of its own before it hears of the other's.
        pair = try Pair(configurations, hsms: 2) { configuration in
            let node = try Node.serve(configuration, activeHSMs: 2)
            try Operator(configuration).proven(on: ["hsm-1", "hsm-2"])
            try node.stop()
        }
    }

    private func trouble(_ code: ConditionCode, _ hsm: String? = nil) -> Trouble {
        Trouble(code, of: "node-1", hsm.map { "hsm \($0)" } ?? "", by: ["node-2"])
    }

    private func begins(_ troubles: [Trouble]) throws { for trouble in troubles { try pair.begins(trouble) } }

    func run() throws {
        try pair.end(try contested() + offered() + unserved())
        try pair.whole(Pair.names)
    }

    /// Another key under the same label.
    private func contested() throws -> [Trouble] {
        let contested = trouble(.keyContested)
        try begins([contested] + Pair.names.map { Trouble(.canariesDiffer, by: [$0]) })
        // node-2 gets what node-1 has.
        let value = try DevKeyFile(pair.node("node-1").facts).value(of: "foo")
        for hsm in ["hsm-1", "hsm-2"] {
            try tool("node-2", hsm).delete("foo")
            try tool("node-2", hsm).write(value, as: "foo")
        }
        // That canaries differ is a note, and may stay: a node keeps one that it can no longer compare.
        return [contested]
    }

    /// Two keys more are offered: one of which a token of node-1 holds another, and one that is none; and a third is lost.
    private func offered() throws -> [Trouble] {
        let values = [randomBytes(32), randomBytes(32)]
        for name in Pair.names {
            for hsm in ["hsm-1", "hsm-2"] {
                let isWrong = name == "node-1" && hsm == "hsm-2"
                try tool(name, hsm).write(values[isWrong ? 1 : 0], as: "late")
                if name == "node-1" { try tool(name, hsm).makePair("pair") }
            }
        }
        try faults.set(["hsm-2": ["lose-key same"]])
        try offer("node-1", "late", "pair")
        let disputed = trouble(.keyDisputed)
        let others = [
            trouble(.keyOdd), trouble(.keyUnserved), trouble(.keyAbsent, "hsm-2"),
            Trouble(.keyStoreUnserved, of: "node-1", "key store /second", by: ["node-2"]),
        ]
        let differs = Pair.names.map { Trouble(.configurationDiffers, by: [$0]) }
        try begins([disputed] + others + differs)
        try offer("node-2", "late")
        try pair.op("node-1").done("key", "trust", "late", "--hsm", "hsm-1")
        let different = trouble(.keyDifferent, "hsm-2")
        try begins([different])
        // What is left is what no HSM has ever listed as a key.
        try eventually("node-2 says that one key of node-1 is not served", within: 20, every: 0.1) {
            try pair.report("node-2").reasons.contains { $0.hasPrefix("1 key is offered by node node-1") }
        }
        try tool("node-1", "hsm-2").delete("late")
        try tool("node-1", "hsm-2").write(values[0], as: "late")
        try faults.clear()
        for name in Pair.names {
            for hsm in ["hsm-1", "hsm-2"] { try pair.op(name).verdict("proven", of: "late", on: hsm) }
        }
        for name in Pair.names { try offer(name) }
        return [disputed, different] + others + differs
    }

    /// Both offer one key only, which node-2 holds: node-1 is ready while that one can answer for it. Then one that is nowhere.
    private func unserved() throws -> [Trouble] {
        let unserved = Trouble(.noKeyServed, of: "node-1", severity: .warning, by: ["node-2"])
        let value = randomBytes(32)
        for hsm in ["hsm-1", "hsm-2"] { try tool("node-2", hsm).write(value, as: "solo") }
        try offerOnly("solo")
        try pair.begins(unserved)
        #expect(try pair.node("node-1").control("/readyz").status == 200)
        try offerOnly("nowhere")
        for name in Pair.names {
            try eventually("\(name) is not ready, as nobody serves a key", within: 20, every: 0.1) {
                let answer = try pair.node(name).control("/readyz")
                return try answer.status == 503 && pair.report(name).verdict == "UNAVAILABLE"
            }
        }
        for name in Pair.names { try offer(name) }
        return [unserved, Trouble(.noKeyServed, of: "node-2", by: [])]
    }

    /// In the only key store.
    private func offerOnly(_ key: String) throws {
        for (name, configuration) in zip(Pair.names, pair.configurations) {
            var configuration = configuration
            configuration.removeTable("[[keystore]]", number: 1)
            configuration.set("keys", "[\"\(key)\"]", in: "[[keystore]]")
            _ = try configuration.write()
            try pair.op(name).done("reload")
        }
    }

    private func tool(_ node: String, _ hsm: String) -> TokenTool { TokenTool(facts: pair.node(node).facts, hsm: hsm) }

    /// Offers these keys beside those that are offered from the start.
    private func offer(_ node: String, _ keys: String...) throws {
        var configuration = pair.configurations[node == "node-1" ? 0 : 1]
        configuration.set("keys", "\(["foo", "same"] + keys)", in: "[[keystore]]")
        _ = try configuration.write()
        try pair.op(node).done("reload")
    }
}

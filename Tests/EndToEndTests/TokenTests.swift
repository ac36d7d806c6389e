// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

// What happens at a token while a node uses it.

extension EndToEnd {
    @Suite("keys that come later, and a PIN that is wrong")
    struct Tokens {
        /// Tokens, and a configuration that uses them; the node that made them has ended.
        private func configuration() throws -> ServeConfiguration {
            let node = try Node.dev(["--plaintext"])
            try node.stop()
            return try ServeConfiguration(from: node)
        }

        private let scratch: Scratch

        init() throws { scratch = try Scratch() }

        /// A node of 16631be answered 404 for the label that is there twice.
        @Test("a new key serves without a restart; a label that is there twice, or a shorter key, does not")
        func newKeys() throws {
            var configuration = try self.configuration()
            configuration.set("keys", "[\"*\"]", in: "[[keystore]]")
            configuration.set("hsms", "[\"hsm-1\"]", in: "[[keystore]]")
            configuration.setInAll("[[hsm]]", "catalogue_interval", "\"1s\"")
            let node = try Node.serve(configuration)
            let client = try XKSClient(node)
            #expect(try client.encrypt([1], key: "newkey").refusal == "404 KeyNotFoundException")

            let tool = TokenTool(facts: node.facts, hsm: "hsm-1")
            try tool.makeKey("newkey")
            try tool.makeKey("short", bytes: 16)
            try tool.makeKey("twin")
            try tool.makeKey("twin")
            try eventually("the new key serves", within: 15) { try client.metadata(key: "newkey").status == 200 }
            let encrypted = try client.encrypted([1, 2, 3], key: "newkey")
            #expect(try client.decrypted(encrypted, key: "newkey") == [1, 2, 3])

            let twin = try node.logEntry("the label that is there twice") {
                $0.message == "key cannot serve" && $0["key"] == "twin"
            }
            #expect(twin["hsm"] == "hsm-1")
            #expect(twin["reason"]?.contains("holds 2 AES-256 keys with the label \"twin\"") == true)
            let short = try node.logEntry("the short key") { $0.message == "key cannot serve" && $0["key"] == "short" }
            #expect(short["reason"]?.contains("has 128 bits") == true)
            #expect(try client.metadata(key: "short").refusal == "404 KeyNotFoundException")
            #expect(try client.encrypt([1], key: "short").refusal == "404 KeyNotFoundException")
            // Which of the two is meant nobody knows: not to be called absent, which is final for KMS.
            #expect(try client.metadata(key: "twin").status == 500)
            #expect(try client.encrypt([1], key: "twin").status == 500)
            #expect(try client.encrypt([1]).status == 200, "the others still serve")
            #expect(try node.stop() == .exited(0))
        }

        /// A node of 16631be answered 404 from the second request on, and for ever, with all HSMs active.
        @Test("tokens that were away for seconds: no key is called absent meanwhile, and all serve again")
        func away() throws {
            let node = try Node.dev(["--plaintext"])
            let client = try XKSClient(node)
            let before = try client.encrypted([1, 2, 3])
            let hsms = ["hsm-1", "hsm-2", "hsm-3"]
            func move(_ from: String, _ to: String) throws {
                for hsm in hsms {
                    let directory = "\(node.facts.state_directory)/\(hsm)"
                    try FileManager.default.moveItem(atPath: "\(directory)/\(from)", toPath: "\(directory)/\(to)")
                }
            }
            try move("tokens", "away")
            var statuses: [Int] = []
            let end = ContinuousClock.now + .seconds(7)
            while ContinuousClock.now < end {
                statuses.append(try client.encrypt([1]).status)
                usleep(100_000)
            }
            try move("away", "tokens")
            #expect(!statuses.contains(404))
            #expect(statuses.contains { $0 >= 500 })
            try eventually("the key serves again", within: 20) {
                let status = try client.encrypt([1]).status
                guard status != 404 else { throw HarnessError("404: the key is called absent") }
                return status == 200
            }
            #expect(try client.decrypted(before) == [1, 2, 3])
            try eventually("all are active again", within: 20) { try node.health().active.count == 3 }
            #expect(try node.stop() == .exited(0))
        }

        /// A node of 16631be made canaries of `bar`, too, which nobody offers.
        @Test("keys that no key store offers cost nothing; a reload that offers them makes them serve")
        func others() throws {
            var configuration = try self.configuration()
            configuration.set("keys", "[\"foo\"]", in: "[[keystore]]")
            configuration.setInAll("[[hsm]]", "catalogue_interval", "\"1s\"")
            let node = try Node.serve(configuration)
            let client = try XKSClient(node)
            let tool = TokenTool(facts: node.facts, hsm: "hsm-1")
            try tool.makeKey("app-1")
            #expect(try client.encrypt([1]).status == 200)
            #expect(try client.encrypt([1], key: "app-1").refusal == "404 KeyNotFoundException")
            configuration.set("keys", "[\"foo\", \"app-*\"]", in: "[[keystore]]")
            _ = try configuration.write()
            try Operator(configuration).done("reload")
            try eventually("the key serves", within: 15) { try client.encrypt([1], key: "app-1").status == 200 }
            #expect(!node.log.contains { $0["key"] == "bar" })
            #expect(try node.stop() == .exited(0))
        }

        /// A reload of 16631be ended with status 0 and named no HSM.
        @Test("a wrong PIN is tried once and said once; the other HSMs serve")
        func wrongPIN() throws {
            var configuration = try self.configuration()
            let wrong = try scratch.write("not-the-pin\n", to: "wrong-pin")
            let right = "{ file = \"\(configuration.origin.state)/hsm-2/pin\" }"
            configuration.set("pin", "{ file = \"\(wrong)\" }", in: "[[hsm]]", number: 1)
            configuration.setInAll("[[hsm]]", "catalogue_interval", "\"1s\"")
            configuration.set("keys", "[\"*\"]", in: "[[keystore]]")
            let node = try Node.serve(configuration, activeHSMs: 2)
            func complaints() -> [LogEntry] {
                node.log.filter { $0.message == "hsm not usable" && $0["hsm"] == "hsm-2" }
            }
            _ = try node.logEntry("the refused PIN") { $0.message == "hsm not usable" }

            // Two rounds of the other HSMs: each sees what the one before could not see yet.
            let client = try XKSClient(node)
            let tool = TokenTool(facts: node.facts, hsm: "hsm-1")
            for key in ["first-round", "second-round"] {
                try tool.makeKey(key)
                try eventually("a catalogue round", within: 15) { try client.metadata(key: key).status == 200 }
            }
            #expect(complaints().count == 1)
            #expect(complaints().first?["reason"]?.contains("refused the PIN") == true)
            #expect(node.workers.keys.sorted() == ["hsm-1", "hsm-3"], "nobody tries again")
            let flags = try TokenTool(facts: node.facts, hsm: "hsm-2").tokens()
            #expect(flags.contains("user PIN count low"))
            #expect(!flags.contains("final user PIN try") && !flags.contains("user PIN locked"))
            #expect(!node.process.errors.contains("not-the-pin"))

            let health = try client.post("\(node.facts.prefix)/kms/xks/v1/health", Body.health)
            #expect(health.text.components(separatedBy: "\"ACTIVE\"").count == 3)
            #expect(health.text.components(separatedBy: "\"UNAVAILABLE\"").count == 2)
            #expect(try node.health().verdict == "DEGRADED")
            #expect(try node.health().hsm("hsm-2")?.reason?.contains("refused the PIN") == true)
            for _ in 0..<10 { #expect(try client.encrypt([1]).status == 200) }

            // The same PIN is not tried again, and a reload says so; another one is.
            let op = Operator(configuration)
            let again = try op.call("reload")
            #expect(again.end == .exited(1) && (again.output + again.errors).contains("hsm-2"), "\(again)")
            #expect(node.workers["hsm-2"] == nil)
            var corrected = configuration
            corrected.set("pin", right, in: "[[hsm]]", number: 1)
            _ = try corrected.write()
            #expect(try op.done("reload").contains("hsm-2"))
            try eventually("hsm-2 serves", within: 20) { try node.health().active.count == 3 }
            #expect(try node.stop() == .exited(0))

            let check = try ClavigerBinary.run(["check", "--config", try configuration.write()])
            #expect(check.end == .exited(2))
            let line = configuration.lineNumber(of: "[[hsm]]", number: 1)
            #expect(check.errors.contains("claviger.toml:\(line): hsm[1]: token \"claviger-dev-hsm-2\""))
            #expect(check.errors.contains("refused the PIN"))
            #expect(!check.errors.contains("not-the-pin"))
        }
    }
}

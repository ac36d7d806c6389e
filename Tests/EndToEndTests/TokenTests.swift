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
            #expect(check.end == .exited(0), "the others serve")
            // The node's try has been kept: a check is none more.
            #expect(check.errors.contains(": hsm[1]: hsm-2: its token refused this PIN on "), "\(check)")
            #expect(check.errors.contains("no login was tried"), "\(check)")
            #expect(!check.errors.contains("not-the-pin"))
        }

        /// 16631be: "HSMs changed", status 0, ACTIVE on the old workers; the next restart lost the HSM.
        @Test("a new PIN that is refused leaves the HSM by its former one; reload, status and log say so")
        func wrongPINByReload() throws {
            var configuration = try self.configuration()
            let node = try Node.serve(configuration, activeHSMs: 3)
            let op = Operator(configuration)
            let former = configuration
            let wrong = try scratch.write("not-the-pin\n", to: "wrong-pin")
            configuration.set("pin", "{ file = \"\(wrong)\" }", in: "[[hsm]]", number: 1)
            _ = try configuration.write()
            let reload = try op.call("reload")
            #expect(reload.end == .exited(1), "\(reload)")
            #expect((reload.output + reload.errors).contains("HSM hsm-2 goes on by its former settings"), "\(reload)")
            let status = try op.call("status")
            #expect(status.output.contains("DEGRADED") && status.output.contains("[hsm-settings-refused]"))
            #expect(try node.health().active.count == 3)
            _ = try node.logEntry("the condition") {
                $0.message == "condition began" && $0["code"] == "hsm-settings-refused"
            }
            // The same again is not tried again, and is no success.
            let again = try op.call("reload")
            #expect(again.end == .exited(1) && (again.output + again.errors).contains("hsm-2"), "\(again)")
            let flags = try TokenTool(facts: node.facts, hsm: "hsm-2").tokens()
            #expect(!flags.contains("final user PIN try") && !flags.contains("user PIN locked"))
            for _ in 0..<10 { #expect(try XKSClient(node).encrypt([1]).status == 200) }
            #expect(!node.process.errors.contains("not-the-pin"))
            _ = try former.write()
            try op.done("reload")
            try eventually("nothing is wrong any more", within: 20) { try node.health().verdict == "ACTIVE" }
            #expect(try node.stop() == .exited(0))
        }

        /// 16631be: workers logged in before the ports were bound, so that each restart of the unit spent a try of the PIN;
        /// and what the store said of the running node was overwritten by the one that could not begin.
        @Test("a start that fails on a port has tried no PIN, and has left the store as it was")
        func portBeforePIN() throws {
            var configuration = try self.configuration()
            let node = try Node.serve(configuration, activeHSMs: 3)
            let op = Operator(configuration)
            try op.proven(on: ["hsm-1", "hsm-2", "hsm-3"])
            let before = try op.status()
            let wrong = try scratch.write("not-the-pin\n", to: "wrong-pin")
            configuration.set("pin", "{ file = \"\(wrong)\" }", in: "[[hsm]]", number: 1)
            let second = try ClavigerBinary.run(["serve", "--config", try configuration.write()])
            #expect(!second.isSuccess && second.errors.contains("another process listens there"), "\(second)")
            #expect(!second.errors.contains("refused the PIN"))
            let flags = try TokenTool(facts: node.facts, hsm: "hsm-2").tokens()
            #expect(!flags.contains("user PIN count low"))
            #expect(try op.status().keys.map(\.label) == before.keys.map(\.label))
            #expect(try node.stop() == .exited(0))
            let stored = try op.status()
            #expect(!stored.running)
            for key in stored.keys { #expect(!key.cells.values.contains("absent"), "\(key)") }
        }

        /// 16631be: `A absent` for every key, with the advice to replicate them.
        @Test("what an HSM holds that has never logged in is not known, and not absent")
        func unknownIsNotAbsent() throws {
            var configuration = try self.configuration()
            let wrong = try scratch.write("not-the-pin\n", to: "wrong-pin")
            configuration.set("pin", "{ file = \"\(wrong)\" }", in: "[[hsm]]", number: 1)
            let node = try Node.serve(configuration, activeHSMs: 2)
            let op = Operator(configuration)
            try op.proven(on: ["hsm-1", "hsm-3"])
            for key in try op.status().keys { #expect(key.cells["hsm-2"] == "unproven", "\(key)") }
            #expect(try node.stop() == .exited(0))
        }

        /// 16631be: no row, no line, ACTIVE; `check` said "no AES-256 key of label pair" and not what it was.
        @Test("each key that a key store names has a row, and what is none that could serve is named as what it is")
        func namedKeys() throws {
            var configuration = try self.configuration()
            configuration.set("keys", "[\"foo\", \"pair\", \"short\", \"nowhere\"]", in: "[[keystore]]")
            configuration.setInAll("[[hsm]]", "catalogue_interval", "\"1s\"")
            for hsm in ["hsm-1", "hsm-2", "hsm-3"] {
                let tool = TokenTool(facts: configuration.facts, hsm: hsm)
                try tool.makePair("pair")
                try tool.makeKey("short", bytes: 16)
            }
            let node = try Node.serve(configuration, activeHSMs: 3)
            let op = Operator(configuration)
            try op.proven(on: ["hsm-1", "hsm-2", "hsm-3"])
            for label in ["pair", "short", "nowhere"] {
                try eventually("\(label) is absent everywhere", within: 20) {
                    try op.status().key(label)?.cells == ["hsm-1": "absent", "hsm-2": "absent", "hsm-3": "absent"]
                }
            }
            #expect(try node.health().verdict == "DEGRADED")
            for code in ["key-unserved", "key-absent", "key-odd"] {
                try eventually("status says \(code)", within: 20, every: 0.2) {
                    try op.call("status").output.contains("[\(code)]")
                }
            }
            let pair = try XKSClient(node).metadata(key: "pair")
            #expect(pair.text.contains("is an RSA private key"), "\(pair)")
            #expect(try XKSClient(node).metadata(key: "short").text.contains("128 bits"))
            #expect(try node.stop() == .exited(0))
            let check = try ClavigerBinary.run(["check", "--config", try configuration.write()])
            #expect(check.end == .exited(2) && check.errors.contains("is an RSA private key"), "\(check)")
        }
    }
}

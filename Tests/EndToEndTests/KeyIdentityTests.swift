// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

// What a key is: neither its handle nor its label, and not what one copy of it may do.

extension EndToEnd {
    @Suite("which key it is")
    struct KeyIdentity {
        /// Two tokens that nobody else uses, and a configuration for them whose key store names these keys.
        private func configuration(_ keys: String, hsms: Int = 2) throws -> ServeConfiguration {
            let node = try Node.dev(["--plaintext", "--hsms", "\(hsms)"])
            try node.stop()
            var configuration = try ServeConfiguration(from: node)
            configuration.set("keys", keys, in: "[[keystore]]")
            configuration.set("request_deadline", "\"2s\"", in: "[xks]")
            configuration.setInAll("[[hsm]]", "catalogue_interval", "\"1s\"")
            return configuration
        }

        private func tools(_ node: Node, hsms: [String] = ["hsm-1", "hsm-2"]) -> [TokenTool] {
            hsms.map { TokenTool(facts: node.facts, hsm: $0) }
        }

        /// A node of 16631be answered 404 to all 20 requests.
        @Test("a second key under a proven key's label, on every token, changes nothing")
        func second() throws {
            let configuration = try configuration("[\"foo\", \"later\"]")
            let node = try Node.serve(configuration, activeHSMs: 2)
            let op = Operator(configuration)
            try op.proven(on: ["hsm-1", "hsm-2"])
            let client = try XKSClient(node)
            let made = try (0..<10).map { _ in try client.encrypted([1, 2, 3]) }
            for tool in tools(node) { try tool.makeKey("foo") }
            // A key that is made after it serves: so the other one has been seen, too.
            let later = randomBytes(32)
            for tool in tools(node) { try tool.write(later, as: "later") }
            try op.proven("later", on: ["hsm-1", "hsm-2"])
            for one in made {
                #expect(try client.encrypt([1]).status == 200)
                #expect(try client.decrypt(one).status == 200)
            }
            #expect(try op.status().key("foo")?.cells == ["hsm-1": "proven", "hsm-2": "proven"])
            #expect(try node.stop() == .exited(0))
        }

        /// A node of 16631be refused all ten encryptions with 400, and informed nobody.
        @Test("a copy that may not encrypt leaves that to the other one, and people are informed")
        func usage() throws {
            let key = "decrypt_only_key"
            let configuration = try configuration("[\"\(key)\"]")
            let copy = TokenTool(facts: configuration.facts, hsm: "hsm-1")
            let value = try DevKeyFile(configuration.facts).value(of: key)
            try copy.delete(key)
            try copy.write(value, as: key)
            let node = try Node.serve(configuration, activeHSMs: 2)
            let op = Operator(configuration)
            try op.proven(key, on: ["hsm-1", "hsm-2"])
            let client = try XKSClient(node)
            for _ in 0..<10 {
                let reply = try client.encrypt([1, 2, 3], key: key)
                #expect(reply.status == 200, "\(reply.refusal)")
                guard reply.status == 200 else { continue }
                #expect(try client.decrypted(reply.decoded(), key: key) == [1, 2, 3])
            }
            #expect(try client.metadata(key: key).text.contains("ENCRYPT"))
            #expect(try op.call("status").output.contains("hsm-2 may not encrypt with it (CKA_ENCRYPT is false)"))
            #expect(try node.stop() == .exited(0))
        }

        /// A node of 16631be served `K` with the key that bears the Kelvin sign.
        @Test("labels are bytes: the Kelvin sign is no K, and neither hides the other")
        func labels() throws {
            let configuration = try configuration("[\"K\", \"foo\", \"later\"]", hsms: 1)
            let node = try Node.serve(configuration, activeHSMs: 1)
            let client = try XKSClient(node)
            let op = Operator(configuration)
            let tool = TokenTool(facts: node.facts, hsm: "hsm-1")
            try tool.makeKey("\u{212A}")
            try tool.makeKey("later")
            try op.proven("later", on: ["hsm-1"])
            #expect(try client.encrypt([1], key: "K").refusal == "404 KeyNotFoundException")
            try tool.makeKey("K")
            try eventually("both are on the token, and K serves", within: 15) {
                try client.encrypt([1], key: "K").status == 200
            }
            #expect(try node.stop() == .exited(0))
        }
    }

    @Suite("a key that is made anew under its handle", .devTokens(3))
    struct KeyMadeAnew {
        private let faults: Faults

        init() throws { faults = try Faults() }

        /// A node of 16631be did not notice: in 10 s it called 400 of 1,120 good ciphertexts invalid, and of what it encrypted
        /// meanwhile some did not open afterwards.
        @Test("it is noticed with the next look at the token, and reported with the time in between")
        func swapped() throws {
            let configuration = try ServeConfiguration(with: faults)
            try faults.clear()
            let node = try Node.serve(configuration)
            let op = Operator(configuration)
            try op.proven()
            let client = try XKSClient(node)
            let made = try (0..<20).map { _ in try client.encrypted([1, 2, 3]) }
            try faults.set(["hsm-2": ["swap-value foo bar"]])
            var answers: [String: Int] = [:]
            func swap() -> LogEntry? { node.log.first { $0.message.hasPrefix("KEY SWAPPED") } }
            // Some ten looks at the token.
            let end = ContinuousClock.now + .seconds(10)
            while swap() == nil, ContinuousClock.now < end {
                for one in made {
                    answers["encrypt \(try client.encrypt([1, 2, 3]).status)", default: 0] += 1
                    let reply = try client.decrypt(one)
                    answers[reply.status == 200 ? "decrypt 200" : reply.refusal, default: 0] += 1
                }
            }
            print("while a key is another one: \(answers)")
            #expect(answers["400 InvalidCiphertextException"] == nil, "\(answers)")
            #expect(swap()?["key"] == "foo" && swap()?["hsm"] == "hsm-2")
            #expect(try op.status().key("foo")?.cells == ["hsm-1": "proven", "hsm-2": "different", "hsm-3": "proven"])
            let after = try (0..<20).map { _ in try client.encrypted([1, 2, 3]) }
            try faults.clear()
            try op.done("hsm", "drain", "hsm-2")
            for one in made + after { #expect(try client.decrypted(one) == [1, 2, 3]) }
            #expect(try node.stop() == .exited(0))
        }
    }
}

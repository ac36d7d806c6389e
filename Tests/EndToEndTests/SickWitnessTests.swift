// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

// KMS takes InvalidCiphertextException for the last word. It needs witnesses that are well.

extension EndToEnd {
    @Suite("good ciphertext before sick HSMs", .devTokens(3))
    struct SickWitnesses {
        private static let hsms = ["hsm-1", "hsm-2", "hsm-3"]
        private let faults: Faults

        init() throws { faults = try Faults() }

        private func everywhere(_ lines: String...) -> [String: [String]] {
            Dictionary(uniqueKeysWithValues: Self.hsms.map { ($0, lines) })
        }

        /// A node with the deadline of the field: what cannot be had in time is not waited for.
        private func node(hsms: Int) throws -> Node {
            var configuration = try ServeConfiguration(with: faults)
            configuration.set("request_deadline", "\"200ms\"", in: "[xks]")
            let node = try Node.serve(configuration)
            let op = Operator(configuration)
            try op.proven()
            for hsm in Self.hsms.dropFirst(hsms) { try op.done("hsm", "drain", hsm) }
            return node
        }

        /// Statuses and error names that good ciphertext was answered with, one request after another.
        private func answers(
            _ count: Int, to made: [Encrypted], _ client: XKSClient
        ) throws -> [String: Int] {
            var answers: [String: Int] = [:]
            for number in 0..<count {
                let reply = try client.decrypt(made[number % made.count])
                answers[reply.status == 200 ? "200" : reply.refusal, default: 0] += 1
            }
            return answers
        }

        private func forged(_ encrypted: Encrypted) -> Encrypted {
            var forged = encrypted
            forged.authenticationTag = base64(randomBytes(16))
            return forged
        }

        /// Once the HSMs are well, bad ciphertext is called so, and good ciphertext opens.
        private func expectWell(_ made: [Encrypted], _ node: Node, _ client: XKSClient, hsms: Int) throws {
            try faults.clear()
            // Some of their last answers were failures, which is reported until there are enough good ones.
            try eventually("the HSMs serve", within: 30) {
                let serving = try node.health().hsms.filter { ["active", "degraded"].contains($0.state) }.map(\.name)
                return Set(serving).isSuperset(of: Self.hsms.prefix(hsms))
            }
            try eventually("good ciphertext opens", within: 10) { try client.decrypt(made[0]).status == 200 }
            // What a machine that is busy has no time to confirm is not called invalid.
            try eventually("bad ciphertext is called invalid", within: 30) {
                try client.decrypt(forged(made[0])).refusal == "400 InvalidCiphertextException"
            }
            for one in made { #expect(try client.decrypted(one) == [1, 2, 3]) }
        }

        /// A node of 16631be called 99 of 200 invalid with three HSMs, and 100 of 200 with two.
        @Test("every second call is refused as busy: nothing is called invalid that is not", arguments: [3, 2])
        func busyEverySecondTime(hsms: Int) throws {
            try faults.clear()
            let node = try node(hsms: hsms)
            let client = try XKSClient(node)
            let made = try (0..<20).map { _ in try client.encrypted([1, 2, 3]) }
            try faults.set(everywhere("vendor busy CKR_FUNCTION_FAILED every 2"))
            let answers = try answers(200, to: made, client)
            print("every second call is busy, \(hsms) HSMs: \(answers)")
            #expect(answers.keys.allSatisfy { $0 == "200" || $0.hasPrefix("5") }, "\(answers)")
            #expect(answers["200", default: 0] > 0)
            try expectWell(made, node, client, hsms: hsms)
            #expect(try node.stop() == .exited(0))
        }

        /// A node of 16631be called 97 of 100 invalid.
        @Test("every HSM answers GENERAL_ERROR to everything: nothing is called invalid")
        func generalError() throws {
            try faults.clear()
            let node = try node(hsms: 3)
            let client = try XKSClient(node)
            let made = try (0..<20).map { _ in try client.encrypted([1, 2, 3]) }
            try faults.set(
                everywhere(
                    "return CKR_GENERAL_ERROR C_Encrypt", "return CKR_GENERAL_ERROR C_Decrypt",
                    "return CKR_GENERAL_ERROR C_GenerateRandom"))
            let answers = try answers(100, to: made, client)
            print("all HSMs answer GENERAL_ERROR: \(answers)")
            #expect(answers.keys.allSatisfy { $0.hasPrefix("5") }, "\(answers)")
            try expectWell(made, node, client, hsms: 3)
            #expect(try node.stop() == .exited(0))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    /// `claviger check --against`: old ciphertexts open, at every HSM, before anything is switched.
    @Suite("old ciphertexts", .devTokens(3))
    struct OldCiphertexts {
        private let configuration: ServeConfiguration
        private let keys: DevKeyFile
        private static let metadata = Array("v0.0.1".utf8)
        private let ours: [UInt8] = [0x43, 0x4C, 0x56, 1]

        init() throws {
            let node = try sharedNode()
            var configuration = try ServeConfiguration(from: node)
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set("aad", "\"digest\"", in: "[[keystore]]")
            self.configuration = configuration
            keys = try DevKeyFile(node.facts)
        }

        private struct Entry: Encodable {
            var keyStore: String?
            var externalKeyId = "foo"
            var ciphertext: String
            var initializationVector: String
            var authenticationTag: String
            var ciphertextMetadata: String?
            var additionalAuthenticatedData: String?
            var requestMetadata = ["kmsOperation": "Decrypt"]

            init(_ sealed: Encrypted, aad: [UInt8]?, id: String = "foo", keyStore: String? = nil) {
                self.keyStore = keyStore
                externalKeyId = id
                ciphertext = sealed.ciphertext
                initializationVector = sealed.initializationVector
                authenticationTag = sealed.authenticationTag
                ciphertextMetadata = sealed.ciphertextMetadata
                additionalAuthenticatedData = aad.map(base64)
            }
        }

        private func sealed(
            _ form: DevKeyFile.Form, aad: [UInt8]?, metadata: [UInt8]? = OldCiphertexts.metadata, id: String = "foo",
            key: String = "foo", keyStore: String? = nil
        ) throws -> Entry {
            Entry(
                try keys.seal(randomBytes(24), key: key, aad: aad, metadata: metadata, form: form), aad: aad, id: id,
                keyStore: keyStore)
        }

        private func check(_ lines: [String], _ configuration: ServeConfiguration? = nil) throws -> CommandResult {
            let configuration = configuration ?? self.configuration
            let file = configuration.scratch.file("ciphertexts.json")
            try configuration.scratch.write(lines.joined(separator: "\n") + "\n", to: "ciphertexts.json")
            return try ClavigerBinary.run(["check", "--config", try configuration.write(), "--against", file])
        }

        private func lines(_ entries: [Entry]) throws -> [String] {
            try entries.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) }
        }

        @Test("each form opens at each HSM: with and without metadata, with AAD, with empty AAD, and with none")
        func good() throws {
            var entries: [Entry] = []
            for aad in [nil, [], randomBytes(40)] as [[UInt8]?] {
                for metadata in [nil, [], Self.metadata] as [[UInt8]?] {
                    entries.append(try sealed(.digest, aad: aad, metadata: metadata))
                }
                entries.append(
                    try sealed(.specification, aad: aad, metadata: ours, keyStore: try sharedNode().facts.prefix))
            }
            let result = try check(try lines(entries) + [" "])
            #expect(result.end == .exited(0), "\(result)")
            for hsm in 1...3 { #expect(result.output.contains("hsm-\(hsm) opens 12 of 12"), "\(result.output)") }
        }

        @Test("what does not open is named, with its line, the HSM and the mend; nothing of what opens is shown")
        func bad() throws {
            var altered = try sealed(.digest, aad: [1])
            altered.authenticationTag = base64(randomBytes(16))
            let result = try check(
                try lines([
                    try sealed(.digest, aad: [1]), altered, try sealed(.specification, aad: [1]),
                    try sealed(.digest, aad: nil, id: "nobody"), try sealed(.digest, aad: nil, keyStore: "/other"),
                    try sealed(.digest, aad: nil, id: "bar", key: "foo"),
                ]))
            #expect(result.end == .exited(1), "\(result)")
            for hsm in 1...3 {
                #expect(result.output.contains("hsm-\(hsm) opens 1 of 4"), "\(result.output)")
                let errors = result.errors
                #expect(errors.contains("line 2: hsm-\(hsm): key \"foo\" does not open it"), "\(errors)")
                #expect(
                    errors.contains("line 3: hsm-\(hsm): it opens with aad = \"spec\" only: set that in keystore[0]"))
                #expect(errors.contains("line 6: hsm-\(hsm): key \"bar\" does not open it"))
            }
            #expect(result.errors.contains("line 4: keystore[0].keys has no key for the external key id \"nobody\""))
            #expect(result.errors.contains("line 5: there is no key store of path_prefix \"/other\""))
        }

        @Test("an HSM that lacks the key, or cannot be asked, is named")
        func lacking() throws {
            var configuration = configuration
            configuration.set("token", "{ label = \"nowhere\" }", in: "[[hsm]]", number: 2)
            let result = try check(try lines([try sealed(.digest, aad: nil)]), configuration)
            #expect(result.end == .exited(1), "\(result)")
            #expect(result.errors.contains("hsm-3 cannot be asked") && result.output.contains("hsm-1 opens 1 of 1"))
        }

        @Test(
            "a file that is none is refused with the line and the field",
            arguments: [
                ("{\"externalKeyId\":\"foo\"", "line 1: "), ("[]", "line 1: the entry must be a JSON object"),
                ("{\"externalKeyId\":\"foo\",\"externalKeyId\":\"foo\"}", "externalKeyId occurs twice"),
                ("{\"externalKeyId\":\"foo\",\"ciphertext\":\"?\"}", "ciphertext is not valid Base64"),
                ("{\"externalKeyId\":\"foo\"}", "ciphertext is missing"), ("", "has no ciphertext"),
            ])
        func malformed(line: String, says: String) throws {
            let result = try check([line])
            #expect(result.end == .exited(2) && result.errors.contains(says), "\(result)")
            #expect(!result.output.contains("hsm-1"), "no HSM was asked")
        }

        @Test("what kms-play keeps opens")
        func kept() throws {
            let node = try Node.dev()
            let configuration = try ServeConfiguration(from: node)
            let file = configuration.scratch.file("kept.json")
            let play = try run([
                ClavigerBinary.path, "kms-play", "--url", node.facts.url + node.facts.prefix, "--key", "foo",
                "--credential-file", node.state + "/credential.json", "--ca", node.facts.ca, "--seconds", "1", "--rate",
                "5", "--mix", "generate-data-key=1", "--keep", file,
            ])
            #expect([.exited(0), .exited(1)].contains(play.end), "\(play)")
            #expect(try node.stop() == .exited(0))
            let kept = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map(String.init)
            #expect(kept.count >= 5)
            let result = try check(kept, configuration)
            #expect(result.end == .exited(0), "\(result)")
            #expect(result.output.contains("hsm-2 opens \(kept.count) of \(kept.count)"))
        }
    }
}

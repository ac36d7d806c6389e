// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

private func flipped(_ base64Text: String) throws -> String {
    var altered = try bytes(ofBase64: base64Text)
    altered[altered.count / 2] ^= 0x10
    return base64(altered)
}

extension EndToEnd {
    @Suite("ciphertext that was altered", .patientNode(plaintext: true))
    struct AlteredCiphertext {
        @Test("is called invalid whatever was altered, and no HSM is blamed")
        func anyPart() throws {
            let node = try sharedNode()
            let client = try XKSClient(node)
            let aad = base64(randomBytes(20))
            let good = try client.encrypted(randomBytes(64), aad: aad)
            for part in [\Encrypted.ciphertext, \.initializationVector, \.authenticationTag] {
                var altered = good
                altered[keyPath: part] = try flipped(altered[keyPath: part])
                #expect(try client.decrypt(altered, aad: aad).refusal == "400 InvalidCiphertextException")
            }
            var altered = good
            for metadata in ["Q0xWAg==", "Q0xXAQ==", nil] {
                altered.ciphertextMetadata = metadata
                #expect(try client.decrypt(altered, aad: aad).refusal == "400 InvalidCiphertextException")
            }
            for otherAAD in [try flipped(aad), base64(randomBytes(21)), nil] {
                #expect(try client.decrypt(good, aad: otherAAD).refusal == "400 InvalidCiphertextException")
            }
            #expect(try client.decrypt(good, aad: aad).status == 200)
            #expect(try node.health().active.count == 3)
        }

        @Test("takes no HSM out, not even five hundred times")
        func flood() throws {
            let node = try sharedNode()
            let client = try XKSClient(node)
            let workers = node.workers
            let good = try client.encrypted(randomBytes(32))
            var bad = good
            bad.authenticationTag = try flipped(bad.authenticationTag)
            var refusals: [String: Int] = [:]
            for _ in 0..<500 { refusals[try client.decrypt(bad).refusal, default: 0] += 1 }
            #expect(refusals == ["400 InvalidCiphertextException": 500])
            #expect(try client.decrypt(good).status == 200)
            #expect(try node.health().active.count == 3)
            #expect(node.workers == workers, "no worker was replaced")
        }
    }

    @Suite("ciphertext of other proxies, and the longest AAD")
    struct OtherCiphertext {
        @Test("the digest form opens where the key store says so; AAD above 65,535 bytes are refused, not fatal")
        func digestFormAndLongAAD() throws {
            let dev = try Node.dev(["--plaintext"])
            let keys = try DevKeyFile(dev.facts)
            let devClient = try XKSClient(dev)
            let aad = randomBytes(33)
            let metadata = Array("v0.0.1".utf8)
            let plaintext = randomBytes(40)
            let foreign = try keys.seal(plaintext, key: "foo", aad: aad, metadata: metadata, form: .digest)
            // The key store of a development node takes the specification's form.
            #expect(try devClient.decrypt(foreign, aad: base64(aad)).refusal == "400 InvalidCiphertextException")
            let ours = try devClient.encrypted(plaintext, aad: base64(aad))
            #expect(try dev.stop() == .exited(0))

            var configuration = try ServeConfiguration(from: dev)
            configuration.set("aad", "\"digest\"", in: "[[keystore]]")
            configuration.set("max_aad_bytes", "65535", in: "[xks]")
            let node = try Node.serve(configuration)
            let client = try XKSClient(node)
            #expect(try client.decrypted(foreign, aad: base64(aad)) == plaintext)
            // Present but empty AAD contribute a digest, absent ones do not.
            let empty = try keys.seal(plaintext, key: "foo", aad: [], metadata: metadata, form: .digest)
            #expect(try client.decrypted(empty, aad: "") == plaintext)
            #expect(try client.decrypt(empty).refusal == "400 InvalidCiphertextException")
            let absent = try keys.seal(plaintext, key: "foo", metadata: nil, form: .digest)
            #expect(try client.decrypted(absent) == plaintext)
            // What bears the mark opens in its own form, whatever the setting.
            #expect(try client.decrypted(ours, aad: base64(aad)) == plaintext)

            let longest = base64(randomBytes(65_535))
            let encrypted = try client.encrypted(plaintext, aad: longest)
            #expect(try client.decrypted(encrypted, aad: longest) == plaintext)
            let tooLong = base64(randomBytes(65_536))
            for reply in [try client.decrypt(encrypted, aad: tooLong), try client.encrypt(plaintext, aad: tooLong)] {
                #expect(reply.refusal == "501 UnsupportedOperationException")
            }
            #expect(try client.decrypt(foreign, aad: tooLong).refusal == "501 UnsupportedOperationException")
            #expect(try client.decrypted(encrypted, aad: longest) == plaintext)
            #expect(try node.stop() == .exited(0))
        }
    }

    @Suite("ciphertext of later formats", .devTokens(1))
    struct LaterFormats {
        /// A node of 16631be called the ciphertext of formats 2 and 3 invalid, too.
        @Test("up to the format that the cluster has activated it is not called invalid; beyond, it was altered")
        func activated() throws {
            var configuration = try ServeConfiguration(from: try sharedNode())
            // A later version has run on this state directory, and made ciphertext of format 3.
            configuration.stateDirectory = configuration.scratch.file("node")
            try FileManager.default.createDirectory(
                atPath: configuration.stateDirectory, withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o700])
            try configuration.scratch.write("3\n", to: "node/ciphertext-format")
            let node = try Node.serve(configuration, activeHSMs: 1)
            let client = try XKSClient(node)
            let ours = try client.encrypted([1, 2, 3])
            var answers: [String] = []
            for format in 2...4 as ClosedRange<UInt8> {
                var later = ours
                later.ciphertextMetadata = base64([0x43, 0x4C, 0x56, format])
                answers.append(try client.decrypt(later).refusal)
            }
            let unknown = "500 InternalException"
            #expect(answers == [unknown, unknown, "400 InvalidCiphertextException"])
            #expect(try client.decrypted(ours) == [1, 2, 3])
            #expect(try node.stop() == .exited(0))
        }
    }
}

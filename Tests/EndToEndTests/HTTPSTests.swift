// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import Testing

/// GetKeyMetadata's answer.
private struct KeyMetadata: Decodable, Equatable {
    var keySpec: String
    var keyUsage: [String]
    var keyStatus: String
}

/// GetHealthStatus's answer.
private struct HealthStatus: Decodable {
    struct KeyManager: Decodable {
        var id: String
        var model: String
        var healthStatus: String
    }

    var xksProxyFleetSize: Int
    var xksProxyVendor: String
    var xksProxyModel: String
    var ekmVendor: String
    var ekmFleetDetails: [KeyManager]
}

private struct Plaintext: Decodable, Equatable {
    var plaintext: Data
}

extension EndToEnd {
    @Suite("the API over HTTPS, by curl", .patientNode(plaintext: false))
    struct HTTPS {
        static let versions = ["--http1.1", "--http2"]

        @Test("metadata, encrypt, decrypt", arguments: versions)
        func roundTrip(version: String) throws {
            let curl = try Curl(sharedNode())
            let metadata = try curl.post(
                "/keys/foo/metadata", #"{"requestMetadata":\#(Body.metadata("DescribeKey"))}"#, options: [version])
            #expect(metadata.version == (version == "--http2" ? "2" : "1.1"))
            #expect(
                try metadata.decoded()
                    == KeyMetadata(keySpec: "AES_256", keyUsage: ["ENCRYPT", "DECRYPT"], keyStatus: "ENABLED"))

            let plaintext = randomBytes(32)
            let aad = base64(Array("project=nile,department=marketing".utf8))
            let encryption = try curl.post("/keys/foo/encrypt", Body.encrypt(plaintext, aad: aad), options: [version])
            let encrypted: Encrypted = try encryption.decoded()
            #expect(encrypted.ciphertextDataIntegrityValue == nil)
            #expect(encrypted.ciphertextMetadata == "Q0xWAQ==", "docs/reference/ciphertext.md")
            let decryption = try curl.post("/keys/foo/decrypt", Body.decrypt(encrypted, aad: aad), options: [version])
            #expect(try decryption.decoded() == Plaintext(plaintext: Data(plaintext)))
        }

        @Test("the integrity value covers AAD, metadata, vector, ciphertext and tag", arguments: versions)
        func integrityValue(version: String) throws {
            let aad = randomBytes(40)
            let body = Body.encrypt(randomBytes(100), aad: base64(aad), integrity: true)
            let encrypted: Encrypted = try Curl(sharedNode()).post("/keys/bar/encrypt", body, options: [version])
                .decoded()
            var covered = aad
            covered += try bytes(ofBase64: encrypted.ciphertextMetadata ?? "")
            covered += try bytes(ofBase64: encrypted.initializationVector)
            covered += try bytes(ofBase64: encrypted.ciphertext)
            covered += try bytes(ofBase64: encrypted.authenticationTag)
            #expect(encrypted.ciphertextDataIntegrityValue == base64(Array(SHA256.hash(data: covered))))
        }

        @Test("health names three active HSMs", arguments: versions)
        func health(version: String) throws {
            let reply = try Curl(sharedNode()).post("/health", Body.health, options: [version])
            #expect(reply.status == 200)
            let health: HealthStatus = try reply.decoded()
            #expect(health.xksProxyFleetSize == 1)
            #expect(health.xksProxyVendor == "Claviger")
            #expect(health.xksProxyModel.hasPrefix("Claviger "))
            #expect(health.ekmVendor.contains("SoftHSM"))
            #expect(health.ekmFleetDetails.map(\.healthStatus) == ["ACTIVE", "ACTIVE", "ACTIVE"])
            #expect(Set(health.ekmFleetDetails.map(\.id)).count == 3)
        }

        @Test(
            "keys serve what their usage allows",
            arguments: [
                ("foo", "200", "200"), ("bar", "200", "200"),
                ("encrypt_only_key", "200", "400 InvalidKeyUsageException"),
                ("decrypt_only_key", "400 InvalidKeyUsageException", "200"),
                ("impotent_key", "400 InvalidKeyUsageException", "400 InvalidKeyUsageException"),
            ])
        func usages(key: String, encrypting: String, decrypting: String) throws {
            let node = try sharedNode()
            let curl = try Curl(node)
            let encryption = try curl.post("/keys/\(key)/encrypt", Body.encrypt([1, 2, 3]))
            #expect((encryption.status == 200 ? "200" : encryption.refusal) == encrypting)
            // The key's value is known to a development node's state, so a ciphertext can be had for every key.
            let encrypted = try DevKeyFile(node.facts).seal([1, 2, 3], key: key)
            let decryption = try curl.post("/keys/\(key)/decrypt", Body.decrypt(encrypted))
            #expect((decryption.status == 200 ? "200" : decryption.refusal) == decrypting)
        }

        @Test("a key that nobody has is not found; one of another name is no substitute")
        func unknownKey() throws {
            let curl = try Curl(sharedNode())
            #expect(try curl.post("/keys/nothing/encrypt", Body.encrypt([1])).refusal == "404 KeyNotFoundException")
            let encrypted: Encrypted = try curl.post("/keys/foo/encrypt", Body.encrypt([1])).decoded()
            #expect(
                try curl.post("/keys/bar/decrypt", Body.decrypt(encrypted)).refusal
                    == "400 InvalidCiphertextException")
        }

        @Test("what KMS sends at most goes both ways", arguments: versions)
        func largestOfKMS(version: String) throws {
            let curl = try Curl(sharedNode())
            let plaintext = randomBytes(4_300)
            let aad = base64(randomBytes(8_192))
            let encrypted: Encrypted = try curl.post(
                "/keys/foo/encrypt", Body.encrypt(plaintext, aad: aad, integrity: true), options: [version]
            ).decoded()
            let reply = try curl.post("/keys/foo/decrypt", Body.decrypt(encrypted, aad: aad), options: [version])
            #expect(try reply.decoded() == Plaintext(plaintext: Data(plaintext)))
        }

        @Test("more than this node takes is refused, on decrypt as on encrypt")
        func limits() throws {
            let node = try sharedNode()
            let curl = try Curl(node)
            let keys = try DevKeyFile(node.facts)
            let largest: Encrypted = try curl.post("/keys/foo/encrypt", Body.encrypt(randomBytes(8_192))).decoded()
            #expect(try curl.post("/keys/foo/decrypt", Body.decrypt(largest)).status == 200)
            let refused = "501 UnsupportedOperationException"
            #expect(try curl.post("/keys/foo/encrypt", Body.encrypt(randomBytes(8_193))).refusal == refused)
            let larger = try keys.seal(randomBytes(8_193), key: "foo")
            #expect(try curl.post("/keys/foo/decrypt", Body.decrypt(larger)).refusal == refused)
            let aad = randomBytes(16_385)
            #expect(try curl.post("/keys/foo/encrypt", Body.encrypt([1], aad: base64(aad))).refusal == refused)
            let withLongAAD = try keys.seal([1], key: "foo", aad: aad)
            #expect(
                try curl.post("/keys/foo/decrypt", Body.decrypt(withLongAAD, aad: base64(aad))).refusal == refused)
        }
    }
}

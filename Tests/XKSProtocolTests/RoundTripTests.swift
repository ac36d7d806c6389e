// SPDX-License-Identifier: Apache-2.0
import Chance
import SecureMemory
import SeededRandom
import Testing
import XKSProtocol

/// What is written in any legal way is read as what it was.
@Suite struct RoundTripTests {
    @Test(arguments: 0..<4) func encrypt(seed: UInt64) throws {
        var writer = RandomWriter(generator: RandomChoice(seed: seed))
        for _ in 0..<300 {
            let metadata = writer.metadata()
            let plaintext = writer.generator.bytes(1 + writer.generator.below(60))
            let aad = writer.generator.below(3) == 0 ? nil : writer.generator.bytes(writer.generator.below(30))
            let wantsValue = writer.generator.below(2) == 0
            var fields = [
                ("requestMetadata", writer.json(metadata)), ("plaintext", writer.data(plaintext)),
                ("encryptionAlgorithm", writer.string("AES_GCM")),
            ]
            if let aad { fields.append(("additionalAuthenticatedData", writer.data(aad))) }
            if wantsValue { fields.append(("ciphertextDataIntegrityValueAlgorithm", writer.string("SHA_256"))) }
            let request = try EncryptRequest(body: secret(writer.object(fields)), limits: .standard)
            #expect(request.metadata == metadata)
            #expect(request.plaintext.array == plaintext)
            #expect(request.additionalAuthenticatedData?.array == aad)
            #expect(request.wantsIntegrityValue == wantsValue)
        }
    }

    @Test(arguments: 0..<4) func decrypt(seed: UInt64) throws {
        var writer = RandomWriter(generator: RandomChoice(seed: seed))
        for _ in 0..<300 {
            let metadata = writer.metadata()
            let ciphertext = writer.generator.bytes(1 + writer.generator.below(60))
            let vector = writer.generator.bytes(writer.generator.below(2) == 0 ? 12 : 16)
            let tag = writer.generator.bytes(16)
            let aad = writer.generator.below(3) == 0 ? nil : writer.generator.bytes(writer.generator.below(30))
            let mark = writer.generator.below(3) == 0 ? nil : writer.generator.bytes(writer.generator.below(21))
            var fields = [
                ("requestMetadata", writer.json(metadata)), ("ciphertext", writer.data(ciphertext)),
                ("encryptionAlgorithm", writer.string("AES_GCM")), ("initializationVector", writer.data(vector)),
                ("authenticationTag", writer.data(tag)),
            ]
            if let aad { fields.append(("additionalAuthenticatedData", writer.data(aad))) }
            if let mark { fields.append(("ciphertextMetadata", writer.data(mark))) }
            let request = try DecryptRequest(body: secret(writer.object(fields)), limits: .standard)
            #expect(request.metadata == metadata)
            #expect(request.ciphertext.array == ciphertext)
            #expect(request.initializationVector == vector)
            #expect(request.authenticationTag == tag)
            #expect(request.additionalAuthenticatedData?.array == aad)
            #expect(request.ciphertextMetadata == mark)
        }
    }

    @Test(arguments: 0..<4) func metadataAndHealth(seed: UInt64) throws {
        var writer = RandomWriter(generator: RandomChoice(seed: seed))
        for _ in 0..<300 {
            var metadata = writer.metadata()
            let body = writer.object([("requestMetadata", writer.json(metadata))])
            #expect(try GetKeyMetadataRequest(body: secret(body), limits: .standard).metadata == metadata)
            metadata.awsPrincipalArn = nil
            metadata.kmsKeyArn = nil
            let health = writer.object([("requestMetadata", writer.json(metadata))])
            #expect(try HealthRequest(body: secret(health), limits: .standard).metadata == metadata)
        }
    }
}

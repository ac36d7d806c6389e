// SPDX-License-Identifier: Apache-2.0
import Foundation
import KeyStoreCredentials
import SecureMemory
import SigV4
import Testing

@Suite struct CredentialGenerationTests {
    @Test func generatedCredentialsHaveTheSpecificationsForm() throws {
        for _ in 0..<200 {
            let credential = Credential.generate()
            #expect(credential.accessKeyID.utf8.count == 28)
            #expect(credential.secret.count == 44)
            #expect(throws: Never.self) {
                try Credential(accessKeyID: credential.accessKeyID, secret: credential.secret)
            }
            // 32 bytes in canonical base64: what decodes to 32 bytes and encodes to the same text.
            let text = credential.secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
            let bytes = try #require(Data(base64Encoded: text))
            #expect(bytes.count == 32)
            #expect(bytes.base64EncodedString() == text)
        }
    }

    @Test func everyBitOfTheSecretIsRandom() throws {
        var alwaysSet = [UInt8](repeating: 0xFF, count: 32)
        var everSet = [UInt8](repeating: 0, count: 32)
        for _ in 0..<200 {
            let text = Credential.generate().secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
            let bytes = try #require(Data(base64Encoded: text))
            for (index, byte) in bytes.enumerated() {
                alwaysSet[index] &= byte
                everSet[index] |= byte
            }
        }
        // A bit that is fair stays the same in 200 draws with a probability of 2^-199.
        #expect(alwaysSet.allSatisfy { $0 == 0 })
        #expect(everSet.allSatisfy { $0 == 0xFF })
    }

    @Test func twoCredentialsDiffer() {
        let first = Credential.generate()
        let second = Credential.generate()
        #expect(first.accessKeyID != second.accessKeyID)
        #expect(!first.secret.constantTimeEquals(second.secret))
    }

    @Test func aCredentialDoesNotPrintItsSecret() {
        let credential = Credential.generate()
        let secret = credential.secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        #expect(!"\(credential)".contains(secret))
        #expect(!String(reflecting: credential).contains(secret))
    }
}

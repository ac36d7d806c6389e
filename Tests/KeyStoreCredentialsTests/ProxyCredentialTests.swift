// SPDX-License-Identifier: Apache-2.0
import Foundation
import KeyStoreCredentials
import SecureMemory
import Testing

@Suite struct ProxyCredentialTests {
    @Test func generatedCredentialsHaveTheSpecificationsForm() throws {
        for _ in 0..<200 {
            let credential = ProxyCredential.generate()
            #expect(credential.accessKeyID.utf8.count == 28)
            #expect(ProxyCredential.isAccessKeyID(credential.accessKeyID))
            #expect(credential.secret.count == 44)
            #expect(ProxyCredential.isSecret(credential.secret))
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
            let text = ProxyCredential.generate().secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
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
        let first = ProxyCredential.generate()
        let second = ProxyCredential.generate()
        #expect(first.accessKeyID != second.accessKeyID)
        #expect(!first.secret.constantTimeEquals(second.secret))
    }

    @Test(arguments: [
        ("ABCDEFGHIJKLMNOPQRST", true),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ2345", true),
        ("ABCDEFGHIJKLMNOPQRS", false),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ23456", false),
        ("ABCDEFGHIJKLMNOPQRS1", false),
        ("ABCDEFGHIJKLMNOPQRS8", false),
        ("abcdefghijklmnopqrst", false),
        ("ABCDEFGHIJKLMNOPQRSÄ", false),
        ("", false),
    ])
    func accessKeyIDs(text: String, isGood: Bool) {
        #expect(ProxyCredential.isAccessKeyID(text) == isGood)
    }

    @Test(arguments: [
        (String(repeating: "a", count: 43), true),
        (String(repeating: "/", count: 64), true),
        (String(repeating: "a", count: 42), false),
        (String(repeating: "a", count: 65), false),
        (String(repeating: "a", count: 43) + " ", false),
        (String(repeating: "a", count: 43) + "\n", false),
        (String(repeating: "-", count: 44), false),
    ])
    func secrets(text: String, isGood: Bool) {
        let secret = SecretBytes(Array(text.utf8))
        #expect(ProxyCredential.isSecret(secret) == isGood)
        #expect((ProxyCredential(accessKeyID: "ABCDEFGHIJKLMNOPQRST", secret: secret) != nil) == isGood)
    }

    @Test func aCredentialDoesNotPrintItsSecret() {
        let credential = ProxyCredential.generate()
        let secret = credential.secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        #expect(!"\(credential)".contains(secret))
        #expect(!String(reflecting: credential).contains(secret))
    }
}

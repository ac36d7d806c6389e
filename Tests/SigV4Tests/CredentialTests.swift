// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import SigV4
import Testing

@Suite struct CredentialTests {
    private static let secret = String(repeating: "s", count: 43)
    private static let accessKeyID = String(repeating: "K", count: 20)

    private func failure(_ accessKeyID: String, _ secret: String) -> CredentialError? {
        do {
            _ = try Credential(accessKeyID: accessKeyID, secret: SecretBytes(Array(secret.utf8)))
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        ("ABCDEFGHIJKLMNOPQRST", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs"),
        ("UVWXYZ234567UVWXYZ234567UVWXYZ", "tuvwxyz0123456789+/=tuvwxyz0123456789+/=0123"),
        ("ABCDEFGHIJKLMNOPQRST", String(repeating: "/", count: 64)), ("ABCDEFGHIJKLMNOPQRST", Self.secret),
    ])
    func takesTheFormOfTheSpecification(accessKeyID: String, secret: String) throws {
        let credential = try Credential(accessKeyID: accessKeyID, secret: SecretBytes(Array(secret.utf8)))
        #expect(credential.accessKeyID == accessKeyID)
        #expect(credential.secret.constantTimeEquals(SecretBytes(Array(secret.utf8))))
    }

    @Test func refusesOtherAccessKeyIDs() {
        #expect(failure("", Self.secret) == .accessKeyIDLength(0))
        #expect(failure(String(repeating: "A", count: 19), Self.secret) == .accessKeyIDLength(19))
        #expect(failure(String(repeating: "A", count: 31), Self.secret) == .accessKeyIDLength(31))
        for character in ["a", "0", "1", "8", "9", "-", "/", " "] {
            let id = String(repeating: "A", count: 20) + character
            #expect(failure(id, Self.secret) == .accessKeyIDCharacter(position: 21))
        }
        #expect(
            failure("K" + String(repeating: "K\u{212A}", count: 7), Self.secret) == .accessKeyIDCharacter(position: 3))
    }

    @Test func refusesOtherSecrets() {
        #expect(failure(Self.accessKeyID, "") == .secretLength(0))
        #expect(failure(Self.accessKeyID, String(repeating: "s", count: 42)) == .secretLength(42))
        #expect(failure(Self.accessKeyID, String(repeating: "s", count: 65)) == .secretLength(65))
        for character in ["-", "_", " ", "\n", "\"", "\u{0}"] {
            #expect(failure(Self.accessKeyID, Self.secret + character) == .secretCharacter(position: 44))
        }
    }

    @Test func neverShowsTheSecret() throws {
        let secret = "Geheim/" + String(repeating: "x", count: 40)
        let credential = try Credential(accessKeyID: Self.accessKeyID, secret: SecretBytes(Array(secret.utf8)))
        var dumped = ""
        dump(credential, to: &dumped)
        for text in ["\(credential)", String(reflecting: credential), dumped] {
            #expect(text.contains(Self.accessKeyID))
            #expect(!text.contains("Geheim"))
        }
        // The two exchanged: the secret stands where the access key id belongs.
        let error = try #require(failure(secret, Self.accessKeyID))
        #expect(!"\(error) \(String(reflecting: error))".contains("Geheim"))
        let other = try #require(failure(Self.accessKeyID, secret + "\n"))
        #expect(!"\(other) \(String(reflecting: other))".contains("Geheim"))
    }

    @Test func aVerifierNeedsDistinctCredentials() throws {
        let first = try Scenario.credential()
        let other = try Scenario.credential("ABCDEFGHIJKLMNOPQRST")
        #expect(throws: CredentialError.noCredentials) { try SigV4Verifier(credentials: []) }
        #expect(throws: CredentialError.repeatedAccessKeyID(first: 1, second: 3)) {
            try SigV4Verifier(credentials: [first, other, first])
        }
    }

    @Test(arguments: [
        (CredentialError.accessKeyIDLength(7), "7 characters"), (.accessKeyIDCharacter(position: 4), "Character 4"),
        (.secretLength(9), "9 bytes"), (.secretCharacter(position: 5), "Byte 5"), (.noCredentials, "at least one"),
        (.repeatedAccessKeyID(first: 1, second: 3), "1 and 3"),
    ])
    func saysWhatIsWrong(error: CredentialError, part: String) {
        #expect(error.description.contains(part))
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import KeyStoreCredentials
import SecureMemory
import Testing

@Suite struct CredentialDocumentsTests {
    private struct Credential: Decodable, Equatable {
        var AccessKeyId: String
        var RawSecretAccessKey: String
    }

    private struct ConsoleFile: Decodable {
        var XksProxyUriPath: String
        var XksProxyAuthenticationCredential: Credential
    }

    private let credential: ProxyCredential
    private let expected: Credential

    init() throws {
        expected = Credential(
            AccessKeyId: "ABCDEFGHIJKLMNOPQRSTUVWX2345",
            RawSecretAccessKey: "dGhpcnR5LXR3byBieXRlcyBvZiBhIHNlY3JldCEhISE=")
        credential = try #require(
            ProxyCredential(
                accessKeyID: expected.AccessKeyId, secret: SecretBytes(Array(expected.RawSecretAccessKey.utf8))))
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ text: SecretBytes) throws -> Value {
        try text.withUnsafeBytes { try JSONDecoder().decode(type, from: Data($0)) }
    }

    @Test func theDocumentIsOneLineOfJSON() throws {
        let document = credential.document()
        #expect(try decode(Credential.self, document) == expected)
        #expect(document.withUnsafeBytes { $0.filter { $0 == UInt8(ascii: "\n") }.count } == 1)
    }

    @Test func theConsoleFileNamesPathAndCredential() throws {
        let file = try decode(ConsoleFile.self, try #require(credential.consoleFile(pathPrefix: "/a-b/c_d")))
        #expect(file.XksProxyUriPath == "/a-b/c_d/kms/xks/v1")
        #expect(file.XksProxyAuthenticationCredential == expected)
        let bare = try decode(ConsoleFile.self, try #require(credential.consoleFile(pathPrefix: "")))
        #expect(bare.XksProxyUriPath == "/kms/xks/v1")
    }

    @Test(arguments: ["a", "/", "/a/", "//a", "/a\"b", "/a b", "/ä", "/a\n", "/" + String(repeating: "x", count: 117)])
    func aPrefixOfAnotherFormIsRefused(prefix: String) {
        #expect(credential.consoleFile(pathPrefix: prefix) == nil)
    }

    @Test func theLongestPathIs128Characters() {
        let prefix = "/" + String(repeating: "x", count: 116)
        #expect(KeyStorePath.uriPath(prefix: prefix)?.utf8.count == 128)
    }
}

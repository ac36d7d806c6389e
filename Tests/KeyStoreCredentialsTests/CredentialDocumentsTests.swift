// SPDX-License-Identifier: Apache-2.0
import Foundation
import KeyStoreCredentials
import SecureMemory
import SigV4
import Testing

@Suite struct CredentialDocumentsTests {
    private struct Fields: Decodable, Equatable {
        var AccessKeyId: String
        var RawSecretAccessKey: String
    }

    private struct ConsoleFile: Decodable {
        var XksProxyUriPath: String
        var XksProxyAuthenticationCredential: Fields
    }

    private let credential: Credential
    private let expected: Fields

    init() throws {
        expected = Fields(
            AccessKeyId: "ABCDEFGHIJKLMNOPQRSTUVWX2345",
            RawSecretAccessKey: "dGhpcnR5LXR3byBieXRlcyBvZiBhIHNlY3JldCEhISE=")
        credential = try Credential(
            accessKeyID: expected.AccessKeyId, secret: SecretBytes(Array(expected.RawSecretAccessKey.utf8)))
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ text: SecretBytes) throws -> Value {
        try text.withUnsafeBytes { try JSONDecoder().decode(type, from: Data($0)) }
    }

    @Test func theDocumentIsOneLineOfJSON() throws {
        let document = credential.document()
        #expect(try decode(Fields.self, document) == expected)
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

    @Test func theLongestPathIs128Characters() throws {
        let prefix = "/" + String(repeating: "x", count: 116)
        let file = try decode(ConsoleFile.self, try #require(credential.consoleFile(pathPrefix: prefix)))
        #expect(file.XksProxyUriPath.utf8.count == 128)
    }

    @Test func readsWhatItWrites() throws {
        for document in [credential.document(), try #require(credential.consoleFile(pathPrefix: "/a"))] {
            let read = try #require(try Credential.read(document: document))
            #expect(read.accessKeyID == credential.accessKeyID)
            #expect(read.secret == credential.secret)
        }
    }

    @Test(
        arguments: [
            "", "{}", #"{"AccessKeyId":"ABCDEFGHIJKLMNOPQRSTUVWX2345"}"#,
            #"{"AccessKeyId":1,"RawSecretAccessKey":"x"}"#,
            #"{"AccessKeyId":"A","AccessKeyId":"B","RawSecretAccessKey":"x"}"#,
            #"{"AccessKeyId":"A","RawSecretAccessKey":"x\u0041"}"#, #"{"AccessKeyId":"A","RawSecretAccessKey":"x"#,
            #""AccessKeyId"#, #""AccessKeyId""#,
        ])
    func readsNothingElse(text: String) throws {
        #expect(try Credential.read(document: SecretBytes(text.utf8)) == nil)
    }

    @Test func namesWhatIsNotOfKMSsForm() {
        let document = SecretBytes(#"{"AccessKeyId":"short","RawSecretAccessKey":"x"}"#.utf8)
        #expect(throws: CredentialError.accessKeyIDLength(5)) { try Credential.read(document: document) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import SecureMemory
import SigV4
import XKSProtocol

/// What KMS keeps of an encryption (XKS 1.0.3, "Encrypt"); bytes in base64.
struct Encrypted: Codable, Equatable, Sendable {
    var ciphertext: String
    var initializationVector: String
    var authenticationTag: String
    var ciphertextMetadata: String?
    var ciphertextDataIntegrityValue: String?
}

/// An error as the API reports it.
struct XKSFailure: Decodable, Equatable {
    var errorName: String
    var errorMessage: String?
}

extension HTTPReply {
    func decoded<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw HarnessError("status \(status), not a \(type): \(text.prefix(500))")
        }
    }

    /// Status and error name, for comparisons.
    var refusal: String { "\(status) \((try? decoded(XKSFailure.self))?.errorName ?? "without error name")" }
}

/// Speaks the API as KMS does, over one plain connection: signed requests, one after another.
final class XKSClient {
    let facts: NodeFacts
    let connection: HTTPConnection
    private let signer: SigV4Signer

    init(_ node: Node) throws {
        facts = node.facts
        connection = try HTTPConnection(url: node.facts.url)
        signer = SigV4Signer(credential: try node.credential(), region: "us-east-1")
    }

    func target(_ operation: String, key: String) -> String { "\(facts.prefix)/kms/xks/v1/keys/\(key)/\(operation)" }

    /// Sends a signed request.
    func post(_ target: String, _ body: String, now: Int64 = Int64(Date().timeIntervalSince1970)) throws -> HTTPReply {
        let body = Array(body.utf8)
        let headers = try signer.sign(
            method: "POST", target: target, headers: [HeaderField(name: "host", value: connection.host)],
            body: SecretBytes(body), now: now)
        return try connection.send("POST", target, headers: headers.map { ($0.name, $0.value) }, body: body)
    }

    /// - Parameters:
    ///   - aad: in base64.
    func encrypt(
        _ plaintext: [UInt8], key: String = "foo", aad: String? = nil, integrity: Bool = false,
        requestID: String = "4112f4d6-db54-4af4-ae30-c55a22a8dfae"
    ) throws -> HTTPReply {
        try post(
            target("encrypt", key: key),
            Body.encrypt(plaintext, aad: aad, integrity: integrity, requestID: requestID))
    }

    func decrypt(_ encrypted: Encrypted, key: String = "foo", aad: String? = nil) throws -> HTTPReply {
        try post(target("decrypt", key: key), Body.decrypt(encrypted, aad: aad))
    }

    func metadata(key: String) throws -> HTTPReply {
        try post(target("metadata", key: key), #"{"requestMetadata":\#(Body.metadata("DescribeKey"))}"#)
    }

    /// Encrypts, and fails when that is refused.
    func encrypted(_ plaintext: [UInt8], key: String = "foo", aad: String? = nil) throws -> Encrypted {
        try encrypt(plaintext, key: key, aad: aad).decoded()
    }

    /// Decrypts, and fails when that is refused.
    func decrypted(_ encrypted: Encrypted, key: String = "foo", aad: String? = nil) throws -> [UInt8] {
        struct Plaintext: Decodable { var plaintext: Data }
        return Array(try decrypt(encrypted, key: key, aad: aad).decoded(Plaintext.self).plaintext)
    }
}

/// Request bodies.
enum Body {
    static func metadata(_ operation: String, requestID: String = "4112f4d6-db54-4af4-ae30-c55a22a8dfae") -> String {
        """
        {"awsPrincipalArn":"arn:aws:iam::123456789012:user/Alice",\
        "kmsKeyArn":"arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",\
        "kmsOperation":"\(operation)","kmsRequestId":"\(requestID)","kmsViaService":"ebs"}
        """
    }

    static func encrypt(
        _ plaintext: [UInt8], aad: String? = nil, integrity: Bool = false,
        requestID: String = "4112f4d6-db54-4af4-ae30-c55a22a8dfae"
    ) -> String {
        #"{"requestMetadata":\#(metadata("Encrypt", requestID: requestID)),"plaintext":"\#(base64(plaintext))","#
            + #""encryptionAlgorithm":"AES_GCM""#
            + (aad.map { #","additionalAuthenticatedData":"\#($0)""# } ?? "")
            + (integrity ? #","ciphertextDataIntegrityValueAlgorithm":"SHA_256""# : "") + "}"
    }

    static func decrypt(_ encrypted: Encrypted, aad: String? = nil) -> String {
        #"{"requestMetadata":\#(metadata("Decrypt")),"ciphertext":"\#(encrypted.ciphertext)","#
            + #""initializationVector":"\#(encrypted.initializationVector)","#
            + #""authenticationTag":"\#(encrypted.authenticationTag)","encryptionAlgorithm":"AES_GCM""#
            + (encrypted.ciphertextMetadata.map { #","ciphertextMetadata":"\#($0)""# } ?? "")
            + (aad.map { #","additionalAuthenticatedData":"\#($0)""# } ?? "") + "}"
    }

    static let health = #"{"requestMetadata":{"kmsRequestId":"health-check","kmsOperation":"KmsHealthCheck"}}"#
}

func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

func bytes(ofBase64 text: String) throws -> [UInt8] {
    guard let data = Data(base64Encoded: text) else { throw HarnessError("not base64: \(text.prefix(80))") }
    return Array(data)
}

func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
}

// SPDX-License-Identifier: Apache-2.0
import AsyncHTTPClient
import CPlatform
import Foundation
import Glibc
import NIOCore
import NIOSSL
import NodeConfig
import SecureMemory
import SigV4
import XKSProtocol

/// Signed requests to the XKS listener of this host's node, as KMS would send them.
struct XKSCall {
    /// What was answered otherwise than with 200.
    struct Refused: Error, CustomStringConvertible {
        var status: UInt
        var name: String?
        var message: String?

        var description: String {
            ["answered with \(status)", name, message].compactMap(\.self).joined(separator: ", ")
        }
    }

    let http: HTTPClient
    let target: NodeConfig.ListenAddress
    let isTLS: Bool
    let region: String
    let patience: TimeAmount
    private let signer: SigV4Signer
    /// By which the node's log knows all of them.
    let requestID: String

    init(
        http: HTTPClient, target: NodeConfig.ListenAddress, isTLS: Bool, credential: Credential, region: String,
        requestID: String, patience: TimeAmount
    ) {
        self.requestID = requestID
        self.http = http
        self.target = target
        self.isTLS = isTLS
        self.region = region
        self.patience = patience
        signer = SigV4Signer(credential: credential, region: region)
    }

    /// No answer of the two operations is longer, bytes.
    private static let longestAnswer = 64 * 1024

    /// - Returns: the answer, and how long it took, milliseconds.
    func post<Answer: Decodable>(
        _ path: String, _ body: some DiagnosticRequest, as: Answer.Type
    ) async throws -> (Answer, Double) {
        var body = body
        body.requestMetadata = Metadata(kmsOperation: body.operation, kmsRequestId: requestID, region: region)
        let bytes = try JSONEncoder().encode(body)
        let host = "\(target)"
        let headers = try signer.sign(
            method: "POST", target: path, headers: [HeaderField(name: "host", value: host)],
            body: SecretBytes(Array(bytes)), now: Int64(time(nil)))
        var request = HTTPClientRequest(url: "\(isTLS ? "https" : "http")://\(host)\(path)")
        request.method = .POST
        for header in headers { request.headers.add(name: header.name, value: header.value) }
        request.headers.add(name: "content-type", value: "application/json")
        request.body = .bytes(ByteBuffer(bytes: bytes))
        let begin = claviger_monotonic_nanoseconds()
        let response = try await http.execute(request, timeout: patience)
        let answer = Data(try await response.body.collect(upTo: Self.longestAnswer).readableBytesView)
        let elapsed = Double(claviger_monotonic_nanoseconds() &- begin) / 1e6
        guard response.status.code == 200 else {
            let failure = try? JSONDecoder().decode(Failure.self, from: answer)
            throw Refused(
                status: response.status.code, name: failure?.errorName, message: failure?.errorMessage)
        }
        return (try JSONDecoder().decode(Answer.self, from: answer), elapsed)
    }

    private struct Failure: Decodable {
        var errorName: String
        var errorMessage: String?
    }

    /// - Parameter client: PEM files with which to meet `xks.client_ca`.
    static func makeClient(_ client: (certificate: String, key: String)?, patience: TimeAmount) throws -> HTTPClient {
        var tls = TLSConfiguration.makeClientConfiguration()
        // The node of this host is asked, whose certificate bears the name by which KMS reaches it.
        tls.certificateVerification = .none
        if let client {
            tls.certificateChain = try NIOSSLCertificate.fromPEMFile(client.certificate).map { .certificate($0) }
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: client.key, format: .pem))
        }
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(3), read: patience))
        configuration.httpVersion = .http1Only
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }
}

/// What KMS tells of its own request (XKS 1.0.3, "Common request metadata"); by the names nobody takes it for KMS's.
struct Metadata: Encodable {
    static let principal = "arn:aws:iam::000000000000:role/claviger-diagnose"

    var awsPrincipalArn = principal
    var kmsKeyArn: String
    var kmsOperation: String
    var kmsRequestId: String

    init(kmsOperation: String, kmsRequestId: String, region: String) {
        kmsKeyArn = "arn:aws:kms:\(region):000000000000:key/claviger-diagnose"
        self.kmsOperation = kmsOperation
        self.kmsRequestId = kmsRequestId
    }
}

protocol DiagnosticRequest: Encodable {
    var operation: String { get }
    var requestMetadata: Metadata? { get set }
}

/// The bodies of the two operations (XKS 1.0.3, "Encrypt", "Decrypt"); `Data` is base64 in JSON.
struct Encryption: DiagnosticRequest {
    var operation: String { "Encrypt" }
    var requestMetadata: Metadata?
    var plaintext: Data
    var encryptionAlgorithm = "AES_GCM"

    init(plaintext: Data) { self.plaintext = plaintext }

    private enum CodingKeys: CodingKey { case requestMetadata, plaintext, encryptionAlgorithm }
}

struct Sealed: Decodable {
    var ciphertext: Data
    var initializationVector: Data
    var authenticationTag: Data
    var ciphertextMetadata: Data?
}

struct Decryption: DiagnosticRequest {
    var operation: String { "Decrypt" }
    var requestMetadata: Metadata?
    var ciphertext: Data
    var initializationVector: Data
    var authenticationTag: Data
    var ciphertextMetadata: Data?
    var encryptionAlgorithm = "AES_GCM"

    init(_ sealed: Sealed) {
        ciphertext = sealed.ciphertext
        initializationVector = sealed.initializationVector
        authenticationTag = sealed.authenticationTag
        ciphertextMetadata = sealed.ciphertextMetadata
    }

    private enum CodingKeys: CodingKey {
        case requestMetadata, ciphertext, initializationVector, authenticationTag, ciphertextMetadata,
            encryptionAlgorithm
    }
}

struct Opened: Decodable {
    var plaintext: Data
}

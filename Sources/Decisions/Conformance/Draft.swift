// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import SigV4
import XKSCalls
import XKSProtocol

/// A request of a case: an operation as KMS asks for it, and what is different.
package struct DraftRequest: Sendable {
    package let operation: XKSOperation
    let alter: @Sendable (inout Draft) -> Void

    init(_ operation: XKSOperation, _ alter: @escaping @Sendable (inout Draft) -> Void = { _ in }) {
        self.operation = operation
        self.alter = alter
    }
}

/// Whose signature a request bears.
enum SigningKeyChoice: Sendable {
    case own
    /// The right access key id, and a secret that is not its.
    case wrongSecret
    /// An access key id that nobody has.
    case unknownID
    case second
}

/// How the end of a body is told.
enum DraftFraming: Sendable, Equatable {
    case length
    /// Content-Length is so much larger or smaller than the body.
    case lengthOff(Int)
    /// In chunks of so many bytes, with an extension where there is one.
    case chunked(Int, chunkExtension: String)
    /// No header says it.
    case none
}

/// A request while a case changes it: first what is said, then what is signed, then what is sent.
struct Draft {
    let operation: XKSOperation
    let subject: ConformanceSubject
    /// What was encrypted last, for a decryption.
    var sealed: SealedFields
    /// What the case has had so far.
    var memory = CaseMemory()
    /// Binary parts.
    var plaintext: [UInt8]
    var additionalData: [UInt8]?
    var integrity = false
    var key: String
    /// Changes of `requestMetadata`, and of the body; done in order.
    var metadata: [(inout JSONObject) -> Void] = []
    var body: [(inout JSONObject) -> Void] = []
    /// Instead of the body.
    var rawBody: [UInt8]?

    // What is signed.
    var signedBy = SigningKeyChoice.own
    var service = SigV4Verifier.xksService
    var region: String
    /// Seconds from now.
    var signedAt: Int64 = 0
    /// Instead of the moment, in `x-amz-date` and in what is signed.
    var dateText: String?
    /// Of the credential scope, where it is not the date's.
    var scopeDay: String?
    /// Instead of the hash of the body.
    var payloadHash: String?
    var signedMethod: String?
    var signedTarget: String?
    var signedHost: String?
    var signedBody: [UInt8]?
    /// Headers that are signed as well.
    var signedHeaders: [HeaderField] = []
    /// Of `host` and `x-amz-date`, what is sent and not signed.
    var unsigned: Set<String> = []

    // What is sent.
    var method = "POST"
    var target: String
    var version = "HTTP/1.1"
    /// Changes of the finished headers, in order.
    var headers: [(inout [HeaderField]) -> Void] = []
    var framing = DraftFraming.length
    /// After the body's bytes are made; the length follows.
    var sentBody: [UInt8]?
    /// Bytes of each piece in which the request is sent; 0: all at once.
    var pieceBytes = 0
    /// Bytes that come before it.
    var before: [UInt8] = []
    /// Blanks and line breaks around the parts of the JSON.
    var spaced = false
    /// Of several connections at a time, which one this is, from 0.
    var lane = 0

    // MARK: Words of the cases

    mutating func metadata(_ name: String, _ value: String?) { metadata.append { $0[name] = value } }
    mutating func field(_ name: String, _ value: String?) { body.append { $0[name] = value } }
    mutating func duplicate(_ name: String, _ value: String) { body.append { $0.fields.append((name, value)) } }
    mutating func text(_ text: String) { rawBody = Array(text.utf8) }
    mutating func addHeader(_ name: String, _ value: String) {
        headers.append { $0.append(HeaderField(name: name, value: value)) }
    }
    mutating func removeHeader(_ name: String) { headers.append { $0.removeAll { $0.name.lowercased() == name } } }
    mutating func changeHeader(_ name: String, _ change: @escaping (String) -> String) {
        headers.append { headers in
            for index in headers.indices where headers[index].name.lowercased() == name {
                headers[index].value = change(headers[index].value)
            }
        }
    }
    mutating func authorization(_ change: @escaping (String) -> String) { changeHeader("authorization", change) }
    /// Of the Authorization header, everything from `mark` to the next comma.
    mutating func authorization(_ mark: String, _ value: String) {
        authorization { text in
            guard let start = text.firstRange(of: mark) else { return text }
            let end = text[start.upperBound...].firstIndex(of: ",") ?? text.endIndex
            return text[..<start.upperBound] + value + text[end...]
        }
    }
}

/// A request that is made: bytes for HTTP/1.1, parts for HTTP/2.
package struct ComposedRequest: Sendable {
    package var head: RequestHead
    package var body: [UInt8]
    /// Over HTTP/1.1, with the head.
    package var bytes: [UInt8]
    /// Bytes of each piece; 0: all at once.
    package var pieceBytes: Int
    /// Whether its answer has no body.
    package var isHead: Bool { head.method == "HEAD" }
}

extension Draft {
    /// - Parameter now: Unix seconds.
    func composed(now: Int64, requestID: String) -> ComposedRequest {
        let body = rawBody ?? Array(bodyText(requestID: requestID).utf8)
        var fields = signed(body: signedBody ?? body, now: now)
        fields.append(HeaderField(name: "content-type", value: "application/json"))
        for change in headers { change(&fields) }
        let sent = sentBody ?? body
        var head = RequestHead(method: method, target: target, headers: fields)
        head.version = version
        return ComposedRequest(
            head: head, body: sent, bytes: before + framed(head, sent), pieceBytes: pieceBytes)
    }

    private func framed(_ head: RequestHead, _ body: [UInt8]) -> [UInt8] {
        switch framing {
        case .length: return head.bytes(bodyLength: body.count) + body
        case .lengthOff(let difference): return head.bytes(bodyLength: max(body.count + difference, 0)) + body
        case .none: return head.bytes(bodyLength: nil) + body
        case .chunked(let size, let chunkExtension):
            var head = head
            head.headers.append(HeaderField(name: "transfer-encoding", value: "chunked"))
            var bytes = head.bytes(bodyLength: nil)
            var rest = body[...]
            while !rest.isEmpty {
                let chunk = rest.prefix(max(size, 1))
                bytes += Array("\(String(chunk.count, radix: 16))\(chunkExtension)\r\n".utf8) + chunk + [0x0D, 0x0A]
                rest = rest.dropFirst(chunk.count)
            }
            return bytes + Array("0\r\n\r\n".utf8)
        }
    }

    private func bodyText(requestID: String) -> String {
        let told = CallMetadata(
            principal: ConformanceSubject.principal, keyARN: subject.keyARN, operation: Self.kmsOperation(operation),
            requestID: requestID)
        var metadata = operation == .health ? told.ofHealth : told.object
        for change in self.metadata { change(&metadata) }
        var body: JSONObject
        switch operation {
        case .health: body = CallBody.health(told)
        case .metadata: body = CallBody.metadata(told)
        case .encrypt:
            body = CallBody.encrypt(told, plaintext: plaintext, additionalData: additionalData, integrity: integrity)
        case .decrypt: body = CallBody.decrypt(told, sealed, additionalData: additionalData)
        }
        body["requestMetadata"] = metadata.text
        for change in self.body { change(&body) }
        guard spaced else { return body.text }
        let fields = body.fields.map { " \n\t\"\($0.name)\" :\r\n \($0.value) " }
        return " {\r\n" + fields.joined(separator: ",") + "}\n"
    }

    private static func kmsOperation(_ operation: XKSOperation) -> String {
        switch operation {
        case .health: "KmsHealthCheck"
        case .metadata: "DescribeKey"
        case .encrypt: "Encrypt"
        case .decrypt: "Decrypt"
        }
    }

    /// `host`, `x-amz-date` and `Authorization`, and what else is signed.
    private func signed(body: [UInt8], now: Int64) -> [HeaderField] {
        let date = dateText ?? DraftSignature.text(ofDate: now + signedAt)
        let sent = [
            HeaderField(name: "host", value: subject.endpoint.authority), HeaderField(name: "x-amz-date", value: date),
        ]
        var covered = sent.filter { !unsigned.contains($0.name) } + signedHeaders
        for index in covered.indices where covered[index].name == "host" {
            covered[index].value = signedHost ?? covered[index].value
        }
        let signature = DraftSignature(
            accessKeyID: accessKeyID, secret: secret, date: date, day: scopeDay ?? String(date.prefix(8)),
            region: region, service: service)
        let authorization = signature.authorization(
            method: signedMethod ?? method, target: signedTarget ?? target, headers: covered,
            payloadHash: payloadHash ?? DraftSignature.hash(body))
        return sent + signedHeaders + [HeaderField(name: "Authorization", value: authorization)]
    }

    private var accessKeyID: String {
        switch signedBy {
        case .own, .wrongSecret: subject.credential.accessKeyID
        case .second: (subject.secondCredential ?? subject.credential).accessKeyID
        case .unknownID: "AAAAAAAAAAAAAAAAAAAAAAAA"
        }
    }

    private var secret: SecretBytes {
        switch signedBy {
        case .own, .unknownID: subject.credential.secret
        case .second: (subject.secondCredential ?? subject.credential).secret
        case .wrongSecret: SecretBytes("ThisIsNotTheSecretOfThisAccessKeyIDAtAll0123".utf8)
        }
    }
}

/// The proxy that is tried, and what it may be tried with.
package struct ConformanceSubject: Sendable {
    /// By the name nobody takes the requests for KMS's.
    package static let principal = "arn:aws:iam::000000000000:role/claviger-certify"

    package var endpoint: XKSEndpoint
    package var key: String
    package var credential: Credential
    package var region: String
    package var secondCredential: Credential?
    /// A key of the same key store, with other material.
    package var secondKey: String?
    /// Keys with fewer usages.
    package var decryptOnlyKey: String?
    package var encryptOnlyKey: String?
    package var unusableKey: String?

    package init(endpoint: XKSEndpoint, key: String, credential: Credential, region: String) {
        self.endpoint = endpoint
        self.key = key
        self.credential = credential
        self.region = region
    }

    var keyARN: String { "arn:aws:kms:\(region):000000000000:key/claviger-certify" }
}

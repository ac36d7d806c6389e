// SPDX-License-Identifier: Apache-2.0
import Chance
import Crypto
import SecureMemory
import SeededRandom
import SigV4
import XKSProtocol

/// A request with a signature made by the plainest possible code, and every part of it open to change.
///
/// Shares nothing with the room under test: what the two agree on, they agree on by the specification.
struct Scenario {
    /// 2023-11-14T22:13:20Z, the moment of the default date.
    static let now: Int64 = 1_700_000_000
    static let accessKeyID = "CLAVIGER234567ABCDEF"
    static let secret = "c2VjcmV0IG9mIHRoZSB0ZXN0IGNhc2VzIG9mIGNsYXY="

    var accessKeyID = Self.accessKeyID
    var secret = Self.secret
    var method = "POST"
    var target = "/example/kms/xks/v1/keys/foo/encrypt"
    /// Headers but for Authorization. Values must be in canonical form already, names may have any case.
    var headers = [
        HeaderField(name: "Host", value: "xks.example.com:8443"),
        HeaderField(name: "Content-Type", value: "application/json"),
        HeaderField(name: "X-Amz-Date", value: "20231114T221320Z"),
    ]
    var body = Array(#"{"requestMetadata":{}}"#.utf8)
    var signedHeaders = ["content-type", "host", "x-amz-date"]
    var scopeDate = "20231114"
    var region = "eu-central-1"
    var service = "kms-xks-proxy"

    var date: String {
        get { value(of: "x-amz-date") }
        set { set("X-Amz-Date", newValue) }
    }

    mutating func set(_ name: String, _ value: String) {
        headers.removeAll { $0.name.lowercased() == name.lowercased() }
        headers.append(HeaderField(name: name, value: value))
    }

    func value(of name: String) -> String {
        headers.filter { $0.name.lowercased() == name }.map(\.value).joined(separator: ",")
    }

    /// The right signature for the scenario, whatever the scenario.
    var signature: String {
        let canonicalHeaders = signedHeaders.map { "\($0):\(value(of: $0 == ":authority" ? "host" : $0))\n" }.joined()
        let list = signedHeaders.joined(separator: ";")
        let canonical = "\(method)\n\(target)\n\n\(canonicalHeaders)\n\(list)\n\(hex(SHA256.hash(data: body)))"
        let text =
            "AWS4-HMAC-SHA256\n\(date)\n\(scopeDate)/\(region)/\(service)/aws4_request\n"
            + hex(SHA256.hash(data: Array(canonical.utf8)))
        var key = Array("AWS4\(secret)".utf8)
        for part in [scopeDate, region, service, "aws4_request", text] {
            key = Array(HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: SymmetricKey(data: key)))
        }
        return hex(key)
    }

    var credentialElement: String { "Credential=\(accessKeyID)/\(scopeDate)/\(region)/\(service)/aws4_request" }
    var signedHeadersElement: String { "SignedHeaders=\(signedHeaders.joined(separator: ";"))" }
    var signatureElement: String { "Signature=\(signature)" }
    var authorization: String {
        "AWS4-HMAC-SHA256 \(credentialElement), \(signedHeadersElement), \(signatureElement)"
    }

    /// The request; `authorization` stands in for the right header, an empty array for none.
    func request(authorization: [String]? = nil) -> ProxyRequest {
        var all = headers
        for value in authorization ?? [self.authorization] {
            all.append(HeaderField(name: "Authorization", value: value))
        }
        return ProxyRequest(
            method: method, target: target, headers: all, body: SecretBytes(body), receivedAt: 0, peer: "test")
    }

    /// What the verifier of the default credential says to the request at `now`.
    func refusal(
        authorization: [String]? = nil, now: Int64 = Self.now, allowedRegions: [String]? = nil
    ) throws -> AuthenticationFailure? {
        let verifier = try Self.verifier(allowedRegions: allowedRegions)
        return refusalOf(request(authorization: authorization), by: verifier, now: now)
    }

    static func credential(_ accessKeyID: String = Self.accessKeyID, _ secret: String = Self.secret) throws
        -> Credential
    {
        try Credential(accessKeyID: accessKeyID, secret: SecretBytes(Array(secret.utf8)))
    }

    static func verifier(allowedRegions: [String]? = nil) throws -> SigV4Verifier {
        try SigV4Verifier(credentials: [credential()], allowedRegions: allowedRegions)
    }
}

/// Why `verifier` refuses the request; nil when it does not.
func refusalOf(_ request: ProxyRequest, by verifier: SigV4Verifier, now: Int64) -> AuthenticationFailure? {
    do {
        _ = try verifier.verify(request, now: now)
        return nil
    } catch {
        return error
    }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}

extension RandomChoice {
    /// One random change to `text`: a byte replaced, inserted, removed, or two exchanged.
    mutating func mutated(_ text: String) -> String {
        var bytes = Array(text.utf8)
        let alphabet = Array("aZ09/;=, \t-:?&%.\u{0}\u{7F}+".utf8)
        let byte = below(3) == 0 ? UInt8(below(256)) : alphabet[below(alphabet.count)]
        switch below(4) {
        case 0 where !bytes.isEmpty: bytes[below(bytes.count)] = byte
        case 1 where !bytes.isEmpty: bytes.remove(at: below(bytes.count))
        case 2 where bytes.count > 1: bytes.swapAt(below(bytes.count), below(bytes.count))
        default: bytes.insert(byte, at: below(bytes.count + 1))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Crypto
import SecureMemory
import XKSProtocol

/// Why a request cannot be signed.
package enum SigningError: Error, Equatable, Sendable {
    /// The moment lies outside the years 0001 to 9999.
    case timeOutOfRange
    /// The request already has a header that signing adds.
    case alreadySigned(String)
    /// More than 32 headers to sign, or a header name that no SignedHeaders list can hold.
    case unsignableHeaders
    /// The verifier's side of the same rules would refuse the request.
    case unacceptable(AuthenticationFailure)
}

/// Signs requests with AWS Signature Version 4 as KMS does: for trying out a proxy, and for tests and benchmarks.
package struct SigV4Signer: Sendable {
    private let credential: Credential
    private let region: String
    private let service: String
    /// One for each day: most requests are signed on the day of the one before.
    private let keys = SigningKeyCache()

    /// - Parameters:
    ///   - region: the region of the credential scope, `[a-z0-9-]`.
    ///   - service: the service of the credential scope.
    package init(credential: Credential, region: String, service: String = SigV4Verifier.xksService) {
        self.credential = credential
        self.region = region
        self.service = service
    }

    /// Signs a request; all its headers are covered, and must include `host`.
    ///
    /// - Parameter now: the moment to sign for, Unix seconds.
    /// - Returns: `headers` followed by `x-amz-date` and `Authorization`.
    package func sign(
        method: String, target: String, headers: [HeaderField], body: SecretBytes, now: Int64
    ) throws(SigningError) -> [HeaderField] {
        guard let timestamp = SigV4Timestamp(unixSeconds: now) else { throw .timeOutOfRange }
        for header in headers {
            if ASCII.isHeader(header.name, "authorization") { throw .alreadySigned("Authorization") }
            if ASCII.isHeader(header.name, "x-amz-date") { throw .alreadySigned("x-amz-date") }
        }
        let time = timestamp.bytes
        var result = headers
        result.append(HeaderField(name: "x-amz-date", value: ASCII.string(time.span, 0..<time.count)))
        let list = try SignedHeaderList(result)
        let canonical: [UInt8]
        do {
            canonical = try CanonicalRequest.bytes(
                method: method, target: target, headers: result, list: list.bytes.span,
                listRange: 0..<list.bytes.count, names: list.names, bodyHash: SHA256.digest(of: body))
        } catch {
            throw .unacceptable(error)
        }
        result.append(HeaderField(name: "Authorization", value: authorization(canonical, timestamp, list)))
        return result
    }

    private func signingKey(of number: Int32, _ day: some Sequence<UInt8>) -> SigningKey {
        if let known = keys.key(of: .credential(0), day: number, region: region) { return known }
        let key = SigningKey(secret: credential.secret, day: day, region: region, service: service)
        keys.remember(key, of: .credential(0), day: number, region: region)
        return key
    }

    private func authorization(
        _ canonical: [UInt8], _ timestamp: SigV4Timestamp, _ list: SignedHeaderList
    ) -> String {
        let time = timestamp.bytes
        let day = time.prefix(8)
        let scope = "\(ASCII.string(day.span, 0..<8))/\(region)/\(service)/aws4_request"
        let key = signingKey(of: timestamp.day, day)
        let signature = key.signature(of: canonical, timestamp: time.span, scope: scope.utf8Span.span)
        var hex: [UInt8] = []
        signature.withUnsafeBytes { hex.appendLowerHex($0) }
        return "AWS4-HMAC-SHA256 Credential=\(credential.accessKeyID)/\(scope), "
            + "SignedHeaders=\(ASCII.string(list.bytes.span, 0..<list.bytes.count)), "
            + "Signature=\(ASCII.string(hex.span, 0..<hex.count))"
    }
}

/// The names of all headers in lower case, sorted, each once, joined by semicolons.
private struct SignedHeaderList {
    var bytes: [UInt8] = []
    var names: [Range<Int>] = []

    init(_ headers: [HeaderField]) throws(SigningError) {
        var sorted: [[UInt8]] = headers.map { $0.name.utf8.map(ASCII.lowercased) }
        sorted.sort { $0.lexicographicallyPrecedes($1) }
        var previous: [UInt8]?
        for name in sorted where name != previous {
            guard (1...AuthorizationHeader.maximumNameLength).contains(name.count), name.allSatisfy(ASCII.isToken)
            else { throw .unsignableHeaders }
            if !bytes.isEmpty { bytes.append(0x3B) }
            names.append(bytes.count..<bytes.count + name.count)
            bytes.append(contentsOf: name)
            previous = name
        }
        let fits = bytes.count <= AuthorizationHeader.maximumLength - 512
        guard fits, names.count <= AuthorizationHeader.maximumSignedHeaders else { throw .unsignableHeaders }
    }
}

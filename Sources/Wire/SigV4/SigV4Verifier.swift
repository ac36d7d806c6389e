// SPDX-License-Identifier: Apache-2.0
import Crypto
import SecureMemory
import XKSProtocol

/// Who signed a request. Only a verifier makes one.
package struct VerifiedIdentity: Equatable, Sendable {
    /// The access key id of the credential that signed.
    package let accessKeyID: String
    /// Of that credential among those of the verifier, from 0.
    package let position: Int
    /// The region of the credential scope: where KMS called from.
    package let region: String
    /// What the request's `x-amz-date` says, Unix seconds.
    package let signedAt: Int64
}

/// Verifies AWS Signature Version 4 on incoming requests for one key store (XKS 1.0.3, appendix A).
///
/// Immutable but for a bounded cache of signing keys; to change credentials, make a new one. Calls from any number of
/// threads run side by side. The work is linear in the size of the request.
package final class SigV4Verifier: Sendable {
    /// The service that KMS signs for.
    package static let xksService = "kms-xks-proxy"
    /// How far `x-amz-date` may be from now, in seconds, in either direction.
    package static let defaultTolerance: Int64 = 300

    private let credentials: [Credential]
    private let service: String
    private let allowedRegions: [String]?
    private let tolerance: Int64
    private let cache = SigningKeyCache()
    /// Signs in place of the secret of an access key id nobody has, so that the refusal takes the same way. What it
    /// yields is never accepted.
    private let standIn = SecretBytes([UInt8](repeating: 0x41, count: 44))

    /// - Parameters:
    ///   - credentials: all that may sign; several at once let them be changed without a pause.
    ///   - service: the service of the credential scope.
    ///   - allowedRegions: regions that may stand in the credential scope; nil for any.
    ///   - tolerance: see ``defaultTolerance``; a negative value counts as 0.
    /// - Throws: `noCredentials`, or `repeatedAccessKeyID` with the positions counted from 1.
    package init(
        credentials: [Credential], service: String = xksService, allowedRegions: [String]? = nil,
        tolerance: Int64 = defaultTolerance
    ) throws(CredentialError) {
        guard !credentials.isEmpty else { throw .noCredentials }
        for (index, credential) in credentials.enumerated() {
            if let first = credentials[..<index].firstIndex(where: { $0.accessKeyID == credential.accessKeyID }) {
                throw .repeatedAccessKeyID(first: first + 1, second: index + 1)
            }
        }
        self.credentials = credentials
        self.service = service
        self.allowedRegions = allowedRegions
        self.tolerance = max(tolerance, 0)
    }

    /// Verifies one request.
    ///
    /// - Parameter now: the present moment, Unix seconds.
    /// - Returns: who signed it.
    /// - Throws: the first rule that the request breaks; `docs/reference/authentication.md` has their order.
    package func verify(_ request: ProxyRequest, now: Int64) throws(AuthenticationFailure) -> VerifiedIdentity {
        try verify(request, at: now)
    }

    /// When a request was signed, Unix seconds, by one of the credentials, however far that is from now: a valid signature
    /// that is out of time says that one of two clocks is wrong. `nil` where the signature is not valid.
    package func signedTime(_ request: ProxyRequest) -> Int64? { (try? verify(request, at: nil))?.signedAt }

    /// - Parameter now: `nil` for whatever time.
    private func verify(_ request: ProxyRequest, at now: Int64?) throws(AuthenticationFailure) -> VerifiedIdentity {
        let security = try SecurityHeaders(request.headers)
        let authorization = security.authorization.utf8Span.span
        let date = security.date.utf8Span.span
        return try verify(
            request, checkingPayloadHash: security.hasPayloadHash,
            authorization: authorization.extracting(ASCII.trimmedRange(authorization)),
            date: date.extracting(ASCII.trimmedRange(date)), now: now)
    }

    private func verify(
        _ request: ProxyRequest, checkingPayloadHash: Bool, authorization: Span<UInt8>, date: Span<UInt8>, now: Int64?
    ) throws(AuthenticationFailure) -> VerifiedIdentity {
        let header = try Self.parse(authorization)
        guard let timestamp = SigV4Timestamp(date, 0..<date.count) else { throw .malformedDate }
        if let now { try checkSkew(timestamp, now: now) }
        let region = try checkScope(header, authorization, date)
        try Self.checkSignedHeaders(header, authorization)
        let bodyHash = SHA256.digest(of: request.body)
        if checkingPayloadHash {
            try SecurityHeaders.checkPayloadHash(request.headers, bodyHash: bodyHash.lowerHex)
        }
        let canonical = try CanonicalRequest.bytes(
            method: request.method, target: request.target, headers: request.headers, list: authorization,
            listRange: header.signedHeaders, names: header.signedHeaderNames, bodyHash: bodyHash)

        let known = position(of: authorization, header.accessKeyID)
        let owner = known.map(SigningKeyCache.Owner.credential) ?? .standIn
        let cached = cache.key(of: owner, day: timestamp.day, region: region)
        let key = cached ?? derivedKey(of: owner, timestamp, region)
        let expected = key.signature(of: canonical, timestamp: date, scope: authorization.extracting(header.scope))
        let matches = Self.matches(expected, header.signature)
        guard let known else { throw .unknownAccessKeyID(Self.quotable(authorization, header.accessKeyID)) }
        guard matches else { throw .signatureMismatch(accessKeyID: credentials[known].accessKeyID) }
        if cached == nil, now != nil { remember(key, of: owner, timestamp, region) }
        return VerifiedIdentity(
            accessKeyID: credentials[known].accessKeyID, position: known, region: region,
            signedAt: timestamp.unixSeconds)
    }

    /// Of the credentials, in their order.
    package var accessKeyIDs: [String] { credentials.map(\.accessKeyID) }

    /// How many signing keys are held, for tests.
    package var cachedKeyCount: Int { cache.count }

    /// The access key id that a request names, for the log: nothing is proven. `nil` where it is none by its form, for a
    /// secret may stand in the wrong place, or where there is not exactly one Authorization header that can be read.
    package static func claimedAccessKeyID(_ headers: [HeaderField]) -> String? {
        guard let value = try? SecurityHeaders(headers).authorization else { return nil }
        let bytes = value.utf8Span.span
        let authorization = bytes.extracting(ASCII.trimmedRange(bytes))
        guard let header = try? AuthorizationHeader(authorization) else { return nil }
        return quotable(authorization, header.accessKeyID)
    }
}

// The rules, in the order in which they are applied.
extension SigV4Verifier {
    private static func parse(_ authorization: Span<UInt8>) throws(AuthenticationFailure) -> AuthorizationHeader {
        do {
            return try AuthorizationHeader(authorization)
        } catch {
            throw .malformedAuthorization(error)
        }
    }

    private func checkSkew(_ timestamp: SigV4Timestamp, now: Int64) throws(AuthenticationFailure) {
        let (difference, overflow) = now.subtractingReportingOverflow(timestamp.unixSeconds)
        let skew = overflow ? (now < 0 ? Int64.min : Int64.max) : difference
        guard skew.magnitude <= tolerance.magnitude else { throw .clockSkew(seconds: skew, tolerance: tolerance) }
    }

    /// Checks the credential scope against the date header, and gives its region.
    private func checkScope(
        _ header: AuthorizationHeader, _ authorization: Span<UInt8>, _ date: Span<UInt8>
    ) throws(AuthenticationFailure) -> String {
        guard ASCII.equal(authorization, header.date, date, 0..<8) else { throw .scopeDateMismatch }
        let expected = service.utf8Span.span
        guard ASCII.equal(authorization, header.service, expected, 0..<expected.count) else {
            throw .scopeServiceMismatch(expected: service)
        }
        let region = ASCII.string(authorization, header.region)
        if let allowedRegions, !allowedRegions.contains(region) { throw .regionNotAllowed(region) }
        return region
    }

    private static func checkSignedHeaders(
        _ header: AuthorizationHeader, _ authorization: Span<UInt8>
    ) throws(AuthenticationFailure) {
        var signsHost = false
        var signsDate = false
        for name in header.signedHeaderNames {
            if ASCII.equal(authorization, name, "host") || ASCII.equal(authorization, name, ":authority") {
                signsHost = true
            } else if ASCII.equal(authorization, name, "x-amz-date") {
                signsDate = true
            }
        }
        guard signsHost else { throw .headerNotSigned("host") }
        guard signsDate else { throw .headerNotSigned("x-amz-date") }
    }

    private func position(of authorization: Span<UInt8>, _ accessKeyID: Range<Int>) -> Int? {
        for (index, credential) in credentials.enumerated() {
            let bytes = credential.accessKeyID.utf8Span.span
            if ASCII.equal(authorization, accessKeyID, bytes, 0..<bytes.count) { return index }
        }
        return nil
    }

    private static func matches(_ expected: HMAC<SHA256>.MAC, _ signature: InlineArray<32, UInt8>) -> Bool {
        expected.withUnsafeBytes { ours in
            Swift.withUnsafeBytes(of: signature) { theirs in constantTimeEquals(ours, theirs) }
        }
    }

    /// The access key id for the log, if it has the form of one: a secret has not.
    private static func quotable(_ authorization: Span<UInt8>, _ accessKeyID: Range<Int>) -> String? {
        guard Credential.accessKeyIDLengths.contains(accessKeyID.count) else { return nil }
        for index in accessKeyID where !Credential.isAccessKeyIDCharacter(authorization[index]) { return nil }
        return ASCII.string(authorization, accessKeyID)
    }
}

// Signing keys.
extension SigV4Verifier {
    private func derivedKey(
        of owner: SigningKeyCache.Owner, _ timestamp: SigV4Timestamp, _ region: String
    ) -> SigningKey {
        let secret =
            switch owner {
            case .credential(let position): credentials[position].secret
            case .standIn: standIn
            }
        return SigningKey(secret: secret, day: timestamp.bytes.prefix(8), region: region, service: service)
    }

    /// Keeps the key that has just verified a request, and the stand-in's for the same day and region: its absence
    /// would distinguish unknown access key ids from known ones by the time that a refusal takes.
    private func remember(
        _ key: SigningKey, of owner: SigningKeyCache.Owner, _ timestamp: SigV4Timestamp, _ region: String
    ) {
        cache.remember(key, of: owner, day: timestamp.day, region: region)
        guard cache.key(of: .standIn, day: timestamp.day, region: region) == nil else { return }
        let standInKey = derivedKey(of: .standIn, timestamp, region)
        cache.remember(standInKey, of: .standIn, day: timestamp.day, region: region)
    }
}

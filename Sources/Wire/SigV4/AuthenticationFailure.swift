// SPDX-License-Identifier: Apache-2.0

/// Why a request was refused before anything in it was believed.
///
/// Made for the log: no case holds a secret, a signature, or the signature that would have been right. What a case
/// quotes from the request is bounded and plain ASCII. The caller sees ``clientMessage``.
package enum AuthenticationFailure: Error, Equatable, Sendable {
    /// The method is no token, or the target is not in origin form or too long.
    case malformedRequestLine
    case missingAuthorization
    case repeatedAuthorization
    case malformedAuthorization(AuthorizationDefect)
    case missingDate
    case repeatedDate
    /// `x-amz-date` is not `yyyymmddThhmmssZ`, or names a moment that does not exist.
    case malformedDate
    /// `seconds` is what must be added to the request's time to get ours: positive when the request is old.
    case clockSkew(seconds: Int64, tolerance: Int64)
    /// The day of the credential scope is not the day of `x-amz-date`.
    case scopeDateMismatch
    case scopeServiceMismatch(expected: String)
    case regionNotAllowed(String)
    /// A header that must be signed is not among SignedHeaders.
    case headerNotSigned(String)
    /// A header among SignedHeaders is not in the request.
    case signedHeaderMissing(String)
    /// `x-amz-content-sha256` says that the payload is not covered (`UNSIGNED-PAYLOAD`, `STREAMING-…`).
    case unsignedPayload
    /// `x-amz-content-sha256` is not the SHA-256 of the body.
    case payloadHashMismatch
    /// The access key id is quoted only if it has the form of one: it might be a secret in the wrong place.
    case unknownAccessKeyID(String?)
    case signatureMismatch(accessKeyID: String)
}

/// What is wrong with an Authorization header.
package enum AuthorizationDefect: String, Error, Equatable, Sendable {
    case tooLong = "it is longer than 4096 bytes"
    case algorithm = "it does not begin with AWS4-HMAC-SHA256 and a blank"
    case unknownElement = "it has an element other than Credential, SignedHeaders and Signature"
    case repeatedElement = "it has Credential, SignedHeaders or Signature twice"
    case missingElement = "it lacks Credential, SignedHeaders or Signature"
    case credentialForm = "Credential is not <access key id>/<yyyymmdd>/<region>/<service>/aws4_request"
    case tooManySignedHeaders = "SignedHeaders has more than 32 names"
    case signedHeaderForm = "SignedHeaders has a name that is empty, longer than 128 bytes or not in lower case"
    case signedHeaderOrder = "SignedHeaders is not sorted, or has a name twice"
    case signatureForm = "Signature is not 64 lower-case hexadecimal digits"
}

extension AuthenticationFailure {
    /// The stable short name of the reason, for logs and metrics.
    package var code: String {
        switch self {
        case .malformedRequestLine: "malformed-request-line"
        case .missingAuthorization: "missing-authorization"
        case .repeatedAuthorization: "repeated-authorization"
        case .malformedAuthorization: "malformed-authorization"
        case .missingDate: "missing-date"
        case .repeatedDate: "repeated-date"
        case .malformedDate: "malformed-date"
        case .clockSkew: "clock-skew"
        case .scopeDateMismatch: "scope-date-mismatch"
        case .scopeServiceMismatch: "scope-service-mismatch"
        case .regionNotAllowed: "region-not-allowed"
        case .headerNotSigned: "header-not-signed"
        case .signedHeaderMissing: "signed-header-missing"
        case .unsignedPayload: "unsigned-payload"
        case .payloadHashMismatch: "payload-hash-mismatch"
        case .unknownAccessKeyID: "unknown-access-key-id"
        case .signatureMismatch: "signature-mismatch"
        }
    }

    /// The errorMessage of the AuthenticationFailedException: printable ASCII, under 512 characters (XKS 1.0.3, error
    /// codes). It is the same for an unknown access key id and for a wrong signature.
    package var clientMessage: String {
        switch self {
        case .malformedRequestLine: "The request line is malformed."
        case .missingAuthorization: "The Authorization header is missing."
        case .repeatedAuthorization: "The Authorization header occurs more than once."
        case .malformedAuthorization(let defect): "The Authorization header is malformed: \(defect.rawValue)."
        case .missingDate: "The x-amz-date header is missing."
        case .repeatedDate: "The x-amz-date header occurs more than once."
        case .malformedDate: "x-amz-date must be an existing UTC time of the form yyyymmddThhmmssZ."
        case .clockSkew(let seconds, let tolerance): Self.skewMessage(seconds, tolerance)
        case .scopeDateMismatch: "The date of the credential scope is not the day of x-amz-date."
        case .scopeServiceMismatch(let expected): "The service of the credential scope must be \(expected)."
        case .regionNotAllowed(let region): "Region \(region) of the credential scope is not allowed here."
        case .headerNotSigned(let name): "The \(name) header must be among SignedHeaders."
        case .signedHeaderMissing(let name): "Header \(name) is among SignedHeaders but not in the request."
        case .unsignedPayload: "The signature must cover the body: x-amz-content-sha256 must be the body's SHA-256."
        case .payloadHashMismatch: "x-amz-content-sha256 is not the SHA-256 of the body."
        case .unknownAccessKeyID, .signatureMismatch:
            "The access key id is unknown, or the signature does not match the request."
        }
    }

    private static func skewMessage(_ seconds: Int64, _ tolerance: Int64) -> String {
        let direction = seconds < 0 ? "ahead of" : "behind"
        return "x-amz-date is \(seconds.magnitude) s \(direction) the proxy's clock; \(tolerance) s are allowed."
    }
}

extension AuthenticationFailure: CustomStringConvertible {
    /// The reason for the log.
    package var description: String {
        switch self {
        case .unknownAccessKeyID(let id?): "Access key id \(id) is not one of this key store's."
        case .unknownAccessKeyID(nil): "The access key id is not one of this key store's and has not the form of one."
        case .signatureMismatch(let id):
            "The signature with access key id \(id) does not match the request: the secret is another one, or something "
                + "between KMS and here changes what was signed (the Host header and the path as they came here are in "
                + "this line)."
        default: clientMessage
        }
    }
}

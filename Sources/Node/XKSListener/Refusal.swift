// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import XKSProtocol

/// Why the listener itself turns a request away, before anybody else has seen it.
package enum Refusal: String, Sendable, Equatable, CaseIterable, Error {
    /// Not HTTP, or a header that two readers could understand in two ways (RFC 9112 section 11.2).
    case malformed
    /// HTTP/1.1 asks for exactly one Host (RFC 9112 section 3.2).
    case hostMissingOrRepeated
    /// Content-Length and Transfer-Encoding contradict each other, are repeated, or are not understood.
    case ambiguousLength
    /// The target is not a path.
    case targetNotAPath
    case headerTooLarge
    case bodyTooLarge
    case bodyTooSlow
    /// An `Expect` other than `100-continue` (RFC 9110 section 10.1.1).
    case unknownExpectation
    case tooManyInFlight
    case tooMuchBuffered

    /// HTTP status code.
    package var status: Int {
        switch self {
        case .malformed, .hostMissingOrRepeated, .ambiguousLength, .targetNotAPath: 400
        case .headerTooLarge: 431
        case .bodyTooLarge: 413
        case .bodyTooSlow: 408
        case .unknownExpectation: 417
        case .tooManyInFlight, .tooMuchBuffered: 429
        }
    }

    /// The error of the XKS API (XKS 1.0.3, "Error Codes").
    package var error: XKSError.Name {
        switch self {
        case .tooManyInFlight, .tooMuchBuffered: .throttling
        default: .validation
        }
    }

    /// For the client: printable ASCII without quotes, so that it needs no escaping.
    package var message: String {
        switch self {
        case .malformed: "the request is not well-formed HTTP"
        case .hostMissingOrRepeated: "exactly one Host header is needed"
        case .ambiguousLength: "the length of the body is ambiguous"
        case .targetNotAPath: "the request target must be a path"
        case .headerTooLarge: "the request header is too large"
        case .bodyTooLarge: "the request body is too large"
        case .bodyTooSlow: "the request body did not arrive in time"
        case .unknownExpectation: "only the expectation 100-continue is known"
        case .tooManyInFlight: "too many requests in flight"
        case .tooMuchBuffered: "too many request bodies at a time"
        }
    }

    /// The answer in the form of the XKS API.
    package var response: ProxyResponse {
        let json = "{\"errorName\":\"\(error.rawValue)\",\"errorMessage\":\"\(message)\"}"
        return ProxyResponse(status: status, body: SecretBytes(json.utf8))
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Why a request was refused, in the terms of the API (XKS 1.0.3, "Error codes").
///
/// KMS chooses what it answers its caller by the name; the message is for the log of the calling account. So a message
/// never holds anything of the request's content.
package struct XKSError: Error, Sendable, Equatable {
    /// The error names of the API; each has one HTTP status.
    package enum Name: String, Sendable, CaseIterable {
        case validation = "ValidationException"
        case invalidState = "InvalidStateException"
        case invalidCiphertext = "InvalidCiphertextException"
        case invalidKeyUsage = "InvalidKeyUsageException"
        case authenticationFailed = "AuthenticationFailedException"
        case accessDenied = "AccessDeniedException"
        case keyNotFound = "KeyNotFoundException"
        case invalidURIPath = "InvalidUriPathException"
        case throttling = "ThrottlingException"
        case unsupportedOperation = "UnsupportedOperationException"
        case dependencyTimeout = "DependencyTimeoutException"
        case internalFailure = "InternalException"

        /// The HTTP status that goes with the name.
        package var status: Int {
            switch self {
            case .validation, .invalidState, .invalidCiphertext, .invalidKeyUsage: 400
            case .authenticationFailed: 401
            case .accessDenied: 403
            case .keyNotFound, .invalidURIPath: 404
            case .throttling: 429
            case .internalFailure: 500
            case .unsupportedOperation: 501
            case .dependencyTimeout: 503
            }
        }
    }

    /// Longest message, characters: the API wants fewer than 512.
    package static let longestMessage = 511

    package let name: Name
    /// HTTP status code: the name's own, except for `methodNotAllowed`.
    package let status: Int
    /// Printable ASCII, at most `longestMessage` characters.
    package let message: String

    /// Any other character of the message than printable ASCII becomes `?`; what is too long is cut.
    package init(_ name: Name, _ message: String) {
        self.init(name, status: name.status, message)
    }

    private init(_ name: Name, status: Int, _ message: String) {
        self.name = name
        self.status = status
        self.message = Self.printable(message)
    }

    /// The answer to any method but POST: status 405 (XKS 1.0.3, "API operations").
    ///
    /// The API has no error name of its own for it. "The operation is not implemented" comes nearest, and a body with
    /// a known name is one that KMS can interpret.
    package static let methodNotAllowed = XKSError(
        .unsupportedOperation, status: 405, "method not allowed: every operation of this API is a POST")

    private static func printable(_ message: String) -> String {
        var kept = ""
        for scalar in message.unicodeScalars.prefix(longestMessage) {
            kept.unicodeScalars.append((0x20...0x7e).contains(scalar.value) ? scalar : "?")
        }
        return kept
    }
}

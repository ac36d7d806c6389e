// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

/// Why a call failed.
package enum PlayedFault: Sendable, Equatable {
    /// What the proxy called it.
    case error(XKSError.Name)
    /// No answer within 250 ms, and none at the second try.
    case silence
    case noConnection, noTLS
    /// What came is no answer of the API.
    case wrongAnswer
    /// The integrity value is not that of the fields.
    case integrity
    case keySpec, keyStatus, keyUsage
    /// Every key manager is called UNAVAILABLE.
    case allUnavailable
    /// Another plaintext came back than was encrypted.
    case otherPlaintext
}

/// What KMS's caller sees of a fault (XKS 1.0.3, Error codes, "KMS Considerations").
package struct CallerView: Sendable, Hashable, Codable {
    /// The exception of KMS's API; of a health poll, which has no caller, CloudWatch's ExceptionName.
    package var exception: String
    /// What explains it: an id of `KMSWord`. `nil` for what KMS has no sentence for.
    package var word: String?
    /// What the proxy did.
    package var cause: String

    package init(_ fault: PlayedFault, _ operation: PlayedOperation) {
        (word, cause) = Self.meaning(of: fault)
        exception =
            switch operation {
            case .healthPoll: Self.pollException(fault)
            case .createKey: Self.createException(fault)
            case .generateDataKey, .decrypt, .reEncrypt: "KMSInvalidStateException"
            }
    }

    private static func meaning(of fault: PlayedFault) -> (word: String?, cause: String) {
        switch fault {
        case .error(let name):
            let word =
                switch name {
                case .validation: "answer-unreadable"
                case .invalidState: "key-not-enabled"
                case .invalidCiphertext: "ciphertext-refused"
                case .invalidKeyUsage: "key-usage"
                case .authenticationFailed: "not-authenticated"
                case .accessDenied: "access-denied"
                case .keyNotFound: "key-not-found"
                case .invalidURIPath: "invalid-path"
                case .throttling: "too-many-requests"
                case .unsupportedOperation: "unsupported"
                case .dependencyTimeout: "out-of-time"
                case .internalFailure: "no-hsm"
                }
            return (word, "\(name.status) \(name.rawValue)")
        case .silence: return ("no-answer", "no answer within 250 ms, twice")
        case .noConnection: return ("no-connection", "no TCP connection")
        case .noTLS: return ("no-tls", "no TLS connection")
        case .wrongAnswer: return ("answer-unreadable", "no answer of the API")
        case .integrity: return ("answer-unreadable", "an integrity value that is not that of the fields")
        case .keySpec: return ("key-spec", "keySpec is not AES_256")
        case .keyStatus: return ("key-status", "keyStatus is not ENABLED")
        case .keyUsage: return ("key-usages", "keyUsage lacks ENCRYPT or DECRYPT")
        case .allUnavailable: return ("create-unreachable", "every key manager is UNAVAILABLE")
        case .otherPlaintext: return (nil, "another plaintext than was encrypted: the caller is not told")
        }
    }

    private static func createException(_ fault: PlayedFault) -> String {
        switch fault {
        case .error(.keyNotFound): "XksKeyNotFoundException"
        case .error(.invalidState), .error(.invalidKeyUsage), .keySpec, .keyStatus, .keyUsage:
            "XksKeyInvalidConfigurationException"
        case .error(.unsupportedOperation): "XksKeyInvalidResponseException"
        case .error(.accessDenied): "KMSInvalidStateException"
        default: "CustomKeyStoreInvalidStateException"
        }
    }

    private static func pollException(_ fault: PlayedFault) -> String {
        switch fault {
        case .error(let name): name.rawValue
        case .silence: "XksProxyUnreachableException"
        case .noConnection, .noTLS: "XksProxyUnreachableException"
        default: "XksProxyInvalidResponseException"
        }
    }
}

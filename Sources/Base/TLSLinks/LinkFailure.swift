// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore

/// Why a connection to another process failed, in words: what the network and TLS libraries say is made for their authors,
/// and may name the paths of their build.
package enum LinkFailure {
    /// - Parameters:
    ///   - error: what connecting, shaking hands or reading has thrown. One of Claviger's own is as it describes itself.
    ///   - authority: whose certificates are trusted, for example `this cluster's CA`.
    package static func words(_ error: any Error, authority: String) -> String {
        if let error = error as? IOError { return words(errno: error.errnoCode) }
        if let error = error as? ChannelError { return words(error) }
        if error is SocketAddressError.UnknownHost { return "its name has no address" }
        guard String(reflecting: type(of: error)).hasPrefix("NIOSSL.") else { return "\(error)" }
        return words(tls: "\(error)", authority: authority)
    }

    private static func words(errno code: Int32) -> String {
        let text = String(cString: strerror(code))
        return text.prefix(1).lowercased() + text.dropFirst()
    }

    private static func words(_ error: ChannelError) -> String {
        switch error {
        case .connectTimeout, .connectPending: "no answer in time"
        case .ioOnClosedChannel, .alreadyClosed, .eof, .inputClosed, .outputClosed: "the connection was closed"
        default: "\(error)"
        }
    }

    /// - Parameter text: NIOSSL's description of an error, with BoringSSL's codes.
    package static func words(tls text: String, authority: String) -> String {
        for (code, words) in causes where text.contains(code) { return words }
        if text.contains("CERTIFICATE_VERIFY_FAILED") || text.contains("unableToValidateCertificate") {
            return "its certificate is not of \(authority), or not valid now"
        }
        return "the TLS handshake failed" + (code(in: text).map { " (\($0))" } ?? "")
    }

    private static let causes: [(code: String, words: String)] = [
        ("ALERT_UNKNOWN_CA", refused), ("ALERT_BAD_CERTIFICATE", refused), ("ALERT_CERTIFICATE_EXPIRED", refused),
        ("ALERT_CERTIFICATE_UNKNOWN", refused), ("ALERT_CERTIFICATE_REVOKED", refused),
        ("ALERT_CERTIFICATE_REQUIRED", refused), ("ALERT_ACCESS_DENIED", refused),
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "it shows no certificate"),
        ("WRONG_VERSION_NUMBER", notTLS), ("HTTP_REQUEST", notTLS),
        ("UNSUPPORTED_PROTOCOL", version), ("ALERT_PROTOCOL_VERSION", version),
        ("NO_SHARED_CIPHER", algorithms), ("NO_SHARED_GROUP", algorithms),
        ("NO_COMMON_SIGNATURE_ALGORITHMS", algorithms), ("ALERT_HANDSHAKE_FAILURE", algorithms),
        ("eofDuringHandshake", "it closed the connection in the TLS handshake"),
        ("uncleanShutdown", "the connection was closed"),
    ]
    private static let refused = "it refuses the certificate that it is shown"
    private static let notTLS = "what answers there does not speak TLS"
    private static let version = "it speaks no version of TLS that is accepted here"
    private static let algorithms = "it has no TLS algorithms in common with this side"

    /// BoringSSL's name of the reason: `…:SSL routines:OPENSSL_internal:DECRYPT_ERROR at /path`.
    private static func code(in text: String) -> String? {
        guard let mark = text.firstRange(of: "OPENSSL_internal:") else { return nil }
        let code = text[mark.upperBound...].prefix { $0.isASCII && ($0.isUppercase || $0.isNumber || $0 == "_") }
        return code.isEmpty ? nil : String(code)
    }
}

// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits

extension RefusalKind {
    /// The words of BoringSSL, as they stand in the error that a handshake ends with, and what they mean here.
    private static let causes: [(words: String, kind: RefusalKind)] = [
        ("HTTP_REQUEST", .plainHTTP), ("HTTPS_PROXY_REQUEST", .plainHTTP), ("WRONG_VERSION_NUMBER", .notTLS),
        ("UNSUPPORTED_PROTOCOL", .tlsVersion), ("UNEXPECTED_RECORD", .notTLS), ("UNEXPECTED_MESSAGE", .notTLS),
        ("NO_SHARED_CIPHER", .noSharedCipher), ("NO_SHARED_GROUP", .noSharedCipher),
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", .clientCertificateMissing),
        ("CERTIFICATE_VERIFY_FAILED", .clientCertificateUntrusted), ("unableToValidate", .clientCertificateUntrusted),
        ("ALERT_UNKNOWN_CA", .serverCertificateRefused), ("ALERT_BAD_CERTIFICATE", .serverCertificateRefused),
        ("ALERT_CERTIFICATE", .serverCertificateRefused), ("no node's name", .clientCertificateName),
        ("took too long", .handshakeTimeout), ("eofDuringHandshake", .handshakeAbandoned),
        ("uncleanShutdown", .handshakeAbandoned), ("EOF", .handshakeAbandoned), ("ECONNRESET", .handshakeAbandoned),
        ("reset by peer", .handshakeAbandoned),
    ]

    /// Why the handshake of a peer that came here has failed.
    init(_ failure: PeerFailure) {
        switch failure {
        case .handshake(let reason), .tls(let reason, _):
            self = Self.causes.first { reason.contains($0.words) }?.kind ?? .handshakeFailed
        case .closed: self = .handshakeAbandoned
        case .timeout: self = .handshakeTimeout
        default: self = .handshakeFailed
        }
    }
}

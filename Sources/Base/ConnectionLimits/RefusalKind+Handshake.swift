// SPDX-License-Identifier: Apache-2.0

extension RefusalKind {
    /// What was wrong with a handshake by the words of the TLS library (BoringSSL's reasons, NIOSSL's errors).
    package init(handshakeError error: String) {
        self = Self.causes.first { error.contains($0.text) }?.kind ?? .handshakeFailed
    }

    /// Those that have a cause which a person can mend.
    private static let causes: [(text: String, kind: RefusalKind)] = [
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", .clientCertificateMissing),
        ("ClientNameMismatch", .clientCertificateName),
        ("the client certificate is for", .clientCertificateName),
        ("CERTIFICATE_VERIFY_FAILED", .clientCertificateUntrusted),
        ("unableToValidateCertificate", .clientCertificateUntrusted),
        ("UNSUPPORTED_PROTOCOL", .tlsVersion),
        ("NO_SHARED_CIPHER", .noSharedCipher),
        ("NO_SHARED_GROUP", .noSharedCipher),
        ("NO_COMMON_SIGNATURE_ALGORITHMS", .noSharedCipher),
        ("ALERT_UNKNOWN_CA", .serverCertificateRefused),
        ("ALERT_BAD_CERTIFICATE", .serverCertificateRefused),
        ("ALERT_CERTIFICATE_EXPIRED", .serverCertificateRefused),
        ("ALERT_CERTIFICATE_UNKNOWN", .serverCertificateRefused),
        // OpenSSL's clients of TLS 1.3 send this alert in the clear; for the encrypted record that is due it is too short.
        ("BAD_PACKET_LENGTH", .serverCertificateRefused),
        ("HTTP_REQUEST", .plainHTTP),
        ("WRONG_VERSION_NUMBER", .notTLS),
    ]
}

// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits

extension RefusalKind {
    /// What was wrong with a handshake.
    ///
    /// - Parameters:
    ///   - firstBytes: the first that came in place of TLS, some sixteen of them; empty when none came.
    ///   - error: the TLS library's words; nil when the client closed the connection.
    init(firstBytes: [UInt8], error: String?) {
        if let kind = RefusalKind(foreignProtocol: firstBytes) {
            self = kind
        } else if let error {
            self = Self.causes.first { error.contains($0.text) }?.kind ?? .handshakeFailed
        } else {
            self = firstBytes.isEmpty ? .tcpProbe : .handshakeAbandoned
        }
    }

    /// The reasons of BoringSSL that have a cause which a person can mend.
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
    ]

    private init?(foreignProtocol bytes: [UInt8]) {
        guard let first = bytes.first else { return nil }
        if bytes.starts(with: "PROXY ".utf8) || bytes.starts(with: ProxyHeader.signature) {
            self = .proxyHeaderUnexpected
        } else if ["GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "CONNECT ", "PRI "].contains(where: {
            bytes.starts(with: $0.utf8)
        }) {
            self = .plainHTTP
        } else if first != 0x16 {
            // Every handshake begins with a record of the type handshake (RFC 8446 section 5.1).
            self = .notTLS
        } else {
            return nil
        }
    }
}

extension Refusal {
    /// As it is counted for all listeners.
    var kind: RefusalKind {
        switch self {
        case .malformed, .hostMissingOrRepeated, .ambiguousLength, .targetNotAPath, .unknownExpectation:
            .malformedRequest
        case .headerTooLarge: .headerTooLarge
        case .bodyTooLarge: .bodyTooLarge
        case .bodyTooSlow: .bodyTimeout
        case .tooManyInFlight: .requestsFull
        case .tooMuchBuffered: .bodiesFull
        }
    }
}

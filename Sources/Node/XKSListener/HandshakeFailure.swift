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
            self = RefusalKind(handshakeError: error)
        } else {
            self = firstBytes.isEmpty ? .tcpProbe : .handshakeAbandoned
        }
    }

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

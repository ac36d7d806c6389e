// SPDX-License-Identifier: Apache-2.0

/// Which listener a peer came to.
package enum ListenerName: String, Sendable, Hashable, CaseIterable, Codable {
    case xks, control, cluster, admin
}

/// Why a listener has turned a peer away. The raw values stand in the log and in `status --json`.
package enum RefusalKind: String, Sendable, Hashable, CaseIterable, Codable {
    // Connections.
    /// There was no room, and every connection that is open has authenticated.
    case connectionsFull = "connections-full"
    /// The peer's address has as many connections as one may have that have not authenticated.
    case addressFull = "address-full"
    /// Closed before it authenticated, so that a newer connection finds room.
    case evicted
    /// As many streams as a connection may have that has not authenticated, or as all of those may have together.
    case streamsFull = "streams-full"

    // What stands before TLS.
    /// A PROXY protocol header, from an address that is not named as a balancer.
    case proxyHeaderUnexpected = "proxy-header-unexpected"
    /// None, from an address that is named as a balancer.
    case proxyHeaderMissing = "proxy-header-missing"
    /// One that cannot be read, or not of version 2.
    case proxyHeaderMalformed = "proxy-header-malformed"

    // The TLS handshake.
    case plainHTTP = "plain-http"
    case notTLS = "not-tls"
    case handshakeTimeout = "handshake-timeout"
    case handshakeAbandoned = "handshake-abandoned"
    /// Closed by the client without a byte.
    case tcpProbe = "tcp-probe"
    case tlsVersion = "tls-version"
    case noSharedCipher = "no-shared-cipher"
    case clientCertificateMissing = "client-certificate-missing"
    case clientCertificateUntrusted = "client-certificate-untrusted"
    case clientCertificateName = "client-certificate-name"
    case serverCertificateRefused = "server-certificate-refused"
    case handshakeFailed = "handshake-failed"

    // Requests.
    case headerTimeout = "header-timeout"
    case malformedRequest = "malformed-request"
    case headerTooLarge = "header-too-large"
    case bodyTooLarge = "body-too-large"
    case bodyTimeout = "body-timeout"
    case requestsFull = "requests-full"
    case bodiesFull = "bodies-full"
    case unauthenticated
    /// No key store has its path, so that there is no credential that it could be signed with.
    case unknownPath = "unknown-path"
    case forbidden
    /// The connection was closed before the answer could be written. Of requests that were signed, and of those that
    /// nobody has looked at.
    case answerUndelivered = "answer-undelivered"

    /// Why this happens most often and what to do, for people: the end of a sentence.
    package var likelyCause: String {
        switch self {
        case .connectionsFull:
            "[xks] max_connections is reached; raise it, or find out who holds so many"
        case .addressFull:
            "one client opens connections without sending requests, as many as [xks] max_unauthenticated_per_address; "
                + "where clients share an address behind a balancer, have the balancer send the PROXY protocol and name "
                + "it in [xks] proxy_protocol_from"
        case .evicted:
            "more connections are open than requests are sent on; a flood, a scanner, or [xks] max_connections is low"
        case .streamsFull:
            "an HTTP/2 client begins many requests at once before its first is answered; a flood, or a client that "
                + "should wait"
        case .proxyHeaderUnexpected:
            "a load balancer sends the PROXY protocol and is not named; name its network in "
                + "[xks] proxy_protocol_from, or turn it off at the balancer"
        case .proxyHeaderMissing:
            "an address of [xks] proxy_protocol_from sends no PROXY header; turn version 2 on at the balancer, or take "
                + "the address out"
        case .proxyHeaderMalformed:
            "the balancer speaks version 1 of the PROXY protocol, or something else; only version 2 is read"
        case .plainHTTP:
            "HTTP without TLS: a health check or a client with http:// instead of https://"
        case .notTLS:
            "something that is not TLS: a port scan, or a health check of another protocol"
        case .handshakeTimeout:
            "a connection without a TLS handshake within [xks] handshake_timeout: a TCP health check, a port scan, or a very "
                + "slow network"
        case .handshakeAbandoned:
            "the client went away in its handshake: a deadline of its own, or it does not trust the certificate"
        case .tcpProbe:
            "a connection that the client closed without a byte: a TCP health check, or a port scan"
        case .tlsVersion:
            "the client speaks no version of TLS from 1.2 on"
        case .noSharedCipher:
            "the client offers none of the cipher suites, groups or signature algorithms that are allowed"
        case .clientCertificateMissing:
            "the client shows no certificate: mutual TLS is on here and off there, or a balancer ends TLS in between"
        case .clientCertificateUntrusted:
            "the client's certificate comes from another authority than the one configured, or has expired"
        case .clientCertificateName:
            "the client's certificate bears none of the names that are let in"
        case .serverCertificateRefused:
            "the client does not accept this node's certificate: its name, its authority or its dates"
        case .handshakeFailed:
            "the TLS handshake failed"
        case .headerTimeout:
            "a client stops in the header of its request, or is slower with it than [xks] header_timeout"
        case .malformedRequest:
            "what came is not HTTP as the standard has it, or has larger header fields over HTTP/2 than [xks] "
                + "max_header_bytes"
        case .headerTooLarge:
            "a request has a larger header than [xks] max_header_bytes, or more than 64 header fields"
        case .bodyTooLarge:
            "a request has a larger body than [xks] max_body_bytes"
        case .bodyTimeout:
            "a client stops in the body of its request, or is slower with it than [xks] body_timeout"
        case .requestsFull:
            "[xks] max_requests_in_flight is reached: more is asked than the HSMs do in time, or the HSMs are slow"
        case .bodiesFull:
            "the bodies of all requests together take more memory than they may, those of clients that have not "
                + "authenticated more than [node] max_unauthenticated_bytes leaves; or a client sends many requests "
                + "without waiting for answers"
        case .unauthenticated:
            "a wrong secret, an unknown access key id, or a clock that is wrong here or there"
        case .unknownPath:
            "a path prefix that no key store here has, or a scanner"
        case .forbidden:
            "who asks is known and may not do this"
        case .answerUndelivered:
            "the client does not wait for its answers: KMS gives up 250 ms after it began to connect; lower [xks] "
                + "request_deadline where the way to KMS is long, and find out why answers come late"
        }
    }
}

extension RefusalKind {
    /// As `likelyCause`, where it depends on the listener.
    package func likelyCause(at listener: ListenerName) -> String {
        switch (self, listener) {
        case (_, .xks): likelyCause
        case (.connectionsFull, _):
            "more requests are in work at a time than this listener takes connections"
        case (.evicted, _):
            "more connections are open than this listener takes, and they ask for nothing: a flood, a scanner, or a client "
                + "that does not close them"
        case (.headerTimeout, _):
            "a connection on which nothing is asked: a scanner, or a check of the port that does not close it"
        case (.handshakeTimeout, _):
            "a connection without a TLS handshake: a TCP health check, a port scan, or a very slow network"
        case (.handshakeAbandoned, .control):
            "the client went away in its handshake: a check of the port, or it does not trust the certificate"
        case (.unauthenticated, .control):
            "a request without the token of [control], or with another one; a browser's first request has none yet"
        case (.clientCertificateUntrusted, .cluster), (.clientCertificateName, .cluster):
            "who asks has no certificate of a node from this cluster's CA"
        default: likelyCause
        }
    }
}

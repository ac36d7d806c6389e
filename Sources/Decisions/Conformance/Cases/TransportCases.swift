// SPDX-License-Identifier: Apache-2.0
import XKSCalls

extension ConformanceCase {
    static let transport: [ConformanceCase] = versions + certificates + clients + protocols + times

    private static let versions = [
        ConformanceCase(
            "transport-named-suite", .transport, .must, Section.content,
            "TLS 1.2 or 1.3 is spoken with one of the four suites", needs: [.tls],
            [.probe([.tls12, .tls13], .servedByNamedSuite)]),
        ConformanceCase(
            "transport-tls-1-3", .transport, .note, Section.content, "TLS 1.3 is spoken", needs: [.tls],
            [.probe([.tls13], .reading("TLS 1.2 or TLS 1.3 would do"))]),
        ConformanceCase(
            "transport-tls-1-2", .transport, .note, Section.content, "TLS 1.2 is spoken", needs: [.tls],
            [.probe([.tls12], .reading("TLS 1.2 or TLS 1.3 would do"))]),
        ConformanceCase(
            "transport-tls-1-1", .transport, .hardening, "RFC 8996, 5", "TLS 1.1 is refused", needs: [.tls],
            [.probe([.tls11], .refused)]),
        ConformanceCase(
            "transport-tls-1-0", .transport, .hardening, "RFC 8996, 4", "TLS 1.0 is refused", needs: [.tls],
            [.probe([.tls10], .refused)]),
        ConformanceCase(
            "transport-forward-secrecy", .transport, .hardening, Section.content,
            "A suite without forward secrecy is refused", needs: [.tls], [.probe([.withoutForwardSecrecy], .refused)]),
        ConformanceCase(
            "transport-plain-http", .transport, .must, Section.authentication,
            "Plain HTTP on the port of HTTPS gets no answer of the API", needs: [.tls],
            [.probe([.plainHTTP], .refused)]),
    ]

    private static let certificates = [
        ConformanceCase(
            "transport-certificate", .transport, .must, Section.authentication,
            "The server's certificate is valid, has the name of the URL, and leads to a CA that is trusted",
            needs: [.tls], [.probe([.verified], .served)]),
        ConformanceCase(
            "transport-name", .transport, .must, Section.operations,
            "The proxy is reached by a domain name, and the longest URI has at most 256 characters", needs: [.name],
            [.call(DraftRequest(.health), .shortName)]),
    ]

    private static let clients = [
        ConformanceCase(
            "transport-client-accepted", .transport, .should, Section.authentication,
            "A client with the right certificate is served (mutual TLS)", needs: [.tls, .clientCertificate],
            [.health()]),
        ConformanceCase(
            "transport-client-without-certificate", .transport, .must, Section.authentication,
            "With mutual TLS, the handshake with a client without a certificate ends",
            needs: [.tls, .clientCertificate],
            [.probe([.withoutCertificate], .refused)]),
        ConformanceCase(
            "transport-client-self-signed", .transport, .must, Section.authentication,
            "With mutual TLS, the handshake with a client of another CA ends, whatever its name",
            needs: [.tls, .clientCertificate], [.probe([.selfSigned], .refused)]),
        ConformanceCase(
            "transport-client-other-name", .transport, .must, Section.authentication,
            "With mutual TLS, the handshake with a client of another subject name ends",
            needs: [.tls, .clientCertificate, .otherClientCertificate], [.probe([.otherName], .refused)]),
    ]

    private static let protocols = [
        ConformanceCase(
            "transport-http-1-1", .transport, .must, Section.content,
            "HTTP/1.1 is spoken where a client offers nothing else (ALPN)", needs: [.tls],
            [.probe([.offersHTTP1], .served)]),
        ConformanceCase(
            "transport-no-alpn", .transport, .must, Section.content,
            "HTTP/1.1 is spoken with a client that offers no protocol", [.health()]),
        ConformanceCase(
            "transport-http-2", .transport, .note, Section.content, "HTTP/2 is chosen where it is offered",
            needs: [.tls], [.probe([.offersBoth], .reading("HTTP/1.1 must, HTTP/2 may be spoken"))]),
        ConformanceCase(
            "transport-http-2-health", .transport, .must, Section.content, "Over HTTP/2, health is answered",
            needs: [.tls, .http2], [.callHTTP2(DraftRequest(.health), .health)]),
        ConformanceCase(
            "transport-http-2-round-trip", .transport, .must, Section.canonical,
            "Over HTTP/2, where the authority takes the place of the host, a round trip works", needs: [.tls, .http2],
            [.callHTTP2(DraftRequest(.encrypt), .encrypted), .callHTTP2(DraftRequest(.decrypt), .decrypted)]),
        ConformanceCase(
            "transport-http-2-signature", .transport, .must, Section.matching,
            "Over HTTP/2, a wrong signature is refused", needs: [.tls, .http2],
            [.callHTTP2(DraftRequest(.encrypt) { $0.signedBy = .wrongSecret }, .refused(.authenticationFailed))]),
        ConformanceCase(
            "transport-http-2-get", .transport, .must, Section.operations, "Over HTTP/2, a GET is refused with 405",
            needs: [.tls, .http2],
            [
                .callHTTP2(
                    DraftRequest(.health) {
                        $0.method = "GET"; $0.rawBody = []
                    }, .status(405))
            ]),
        ConformanceCase(
            "transport-http-2-path", .transport, .must, Section.errors, "Over HTTP/2, a path that is none is refused",
            needs: [.tls, .http2],
            [.callHTTP2(DraftRequest(.health) { $0.target += "x" }, .refused(.invalidURIPath))]),
    ]

    /// KMS waits for 250 ms, connecting included; retries are its own.
    private static let times = [
        ConformanceCase(
            "transport-time-connect", .transport, .should, Section.metadata,
            "A connection of TCP and TLS is there within 105 ms: three round trips of at most 35 ms",
            [.call(DraftRequest(.health), .connectedInTime)]),
        ConformanceCase(
            "transport-time-health", .transport, .should, Section.health,
            "Health is answered within KMS's 250 ms, connecting included", [.call(DraftRequest(.health), .inTime)]),
        ConformanceCase(
            "transport-time-metadata", .transport, .should, Section.metadata,
            "GetKeyMetadata is answered within KMS's 250 ms, connecting included",
            [.call(DraftRequest(.metadata), .inTime)]),
        ConformanceCase(
            "transport-time-encrypt", .transport, .should, Section.encrypt,
            "The largest encryption with an integrity value is answered within KMS's 250 ms, connecting included",
            [
                .call(
                    DraftRequest(.encrypt) {
                        $0.plaintext = Draft.largestPlaintext
                        $0.additionalData = Draft.largestAdditionalData
                        $0.integrity = true
                    }, .inTime)
            ]),
        ConformanceCase(
            "transport-time-decrypt", .transport, .should, Section.decrypt,
            "A decryption is answered within KMS's 250 ms, connecting included",
            [.encrypt(), .reconnect, .call(DraftRequest(.decrypt), .inTime)]),
    ]
}

extension Expectation {
    /// KMS's patience, milliseconds (XKS 1.0.3, GetKeyMetadata, "KMS Considerations").
    static let patienceOfKMS = 250.0

    static let inTime = Expectation("an answer within 250 ms") { judged in
        guard judged.answer?.status == 200 else { return judged.seen }
        let taken = judged.observation.milliseconds + judged.observation.connectMilliseconds
        return taken < patienceOfKMS ? nil : "\(Int(taken)) ms"
    }

    static let connectedInTime = Expectation("a connection within 105 ms") { judged in
        guard judged.answer?.status == 200 else { return judged.seen }
        let taken = judged.observation.connectMilliseconds
        return taken < 105 ? nil : "\(Int(taken)) ms"
    }

    static let shortName = Expectation("a domain name, and URIs of at most 256 characters") { judged in
        guard judged.answer?.status == 200 else { return judged.seen }
        let subject = judged.draft.subject
        guard !subject.endpoint.isAddress, subject.endpoint.host.contains(".") else {
            return "the host is no fully qualified name"
        }
        let longest = "https://\(subject.endpoint.host)" + subject.endpoint.target(.metadata, key: subject.key)
        return longest.utf8.count <= 256 ? nil : "a URI of \(longest.utf8.count) characters"
    }
}

extension Draft {
    /// What a proxy has to take at least (XKS 1.0.3, Encrypt), bytes.
    static let largestPlaintext = (0..<4_300).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    static let largestAdditionalData = (0..<8_192).map { UInt8(truncatingIfNeeded: $0 &* 11) }
}

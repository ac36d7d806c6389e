// SPDX-License-Identifier: Apache-2.0
import XKSCalls
import XKSProtocol

extension ConformanceCase {
    static let http: [ConformanceCase] = connections + bodies + headers + hostileRequests + contentTypes

    private static let connections = [
        ConformanceCase(
            "http-keep-alive", .http, .should, Section.http1("9.3"),
            "A connection carries several requests, one after another",
            [.health(.keptOpen), .health(.keptOpen), .health()]),
        ConformanceCase(
            "http-keep-alive-after-refusal", .http, .note, Section.http1("9.3"),
            "A connection outlives a request that was refused",
            [
                .health(.refused(.authenticationFailed)) { $0.signedBy = .wrongSecret },
                .health(.reading("the proxy may close a connection after a refusal, or keep it")),
            ]),
        ConformanceCase(
            "http-pipelining", .http, .must, Section.http1("9.3.2"),
            "Requests that come without waiting are answered in their order",
            [
                .pipeline(
                    [DraftRequest(.metadata), DraftRequest(.health), DraftRequest(.metadata)],
                    [.metadata, .health, .metadata])
            ]),
        ConformanceCase(
            "http-close", .http, .must, Section.http1("9.6"),
            "A request with Connection: close is answered, and the connection ends",
            [.health(.health) { $0.addHeader("connection", "close") }, .health(.closedConnection)]),
        ConformanceCase(
            "http-slow-pieces", .http, .must, Section.http1("2.2"), "A request that comes in small pieces is answered",
            [.encrypt { $0.pieceBytes = 61 }, .decrypt()]),
        ConformanceCase(
            "http-1-0", .http, .note, Section.http("2.5"), "A request of HTTP/1.0",
            [.health(.reading("HTTP/1.0 is not asked for; answered or refused")) { $0.version = "HTTP/1.0" }]),
    ]

    private static let bodies = [
        ConformanceCase(
            "http-chunked", .http, .must, Section.http1("7.1"), "A request's body may come in chunks",
            [.encrypt { $0.framing = .chunked(64, chunkExtension: "") }, .decrypt()]),
        ConformanceCase(
            "http-chunk-extension", .http, .must, Section.http1("7.1.1"), "An extension of a chunk is ignored",
            [.health(.health) { $0.framing = .chunked(16, chunkExtension: ";a=b") }]),
        ConformanceCase(
            "http-chunked-signature", .http, .must, Section.canonical,
            "The signature covers what chunks make together",
            [
                .encrypt(.refused(.authenticationFailed)) {
                    $0.framing = .chunked(64, chunkExtension: "")
                    $0.signedBody = Array("{}".utf8)
                }
            ]),
        ConformanceCase(
            "http-expect-continue", .http, .must, Section.http("10.1.1"),
            "A request that expects 100-continue is answered",
            [.health(.health) { $0.addHeader("expect", "100-continue") }]),
        ConformanceCase(
            "http-leading-line", .http, .should, Section.http1("2.2"), "An empty line before a request is ignored",
            [.health(.health) { $0.before = [0x0D, 0x0A] }]),
        ConformanceCase(
            "http-body-of-get", .http, .must, Section.operations, "A GET with a body is refused like one without",
            [.health(.status(405)) { $0.method = "GET" }]),
    ]

    private static let headers = [
        ConformanceCase(
            "http-header-case", .http, .must, Section.http("5.1"), "The case of header names does not count",
            [
                .health(.health) {
                    $0.headers.append { headers in
                        for index in headers.indices { headers[index].name = headers[index].name.uppercased() }
                    }
                }
            ]),
        ConformanceCase(
            "http-header-order", .http, .must, Section.http("5.3"), "The order of headers does not count",
            [.health(.health) { $0.headers.append { $0.reverse() } }]),
        ConformanceCase(
            "http-unknown-headers", .http, .must, Section.http("5.1"), "Headers that nobody knows are ignored",
            [
                .health(.health) {
                    for number in 0..<20 { $0.addHeader("x-certify-\(number)", "a value that says nothing") }
                }
            ]),
        ConformanceCase(
            "http-content-type-missing", .http, .note, Section.content, "A request without a content type",
            [
                .health(.reading("KMS always sends one; the proxy need not ask for it")) {
                    $0.removeHeader("content-type")
                }
            ]),
        ConformanceCase(
            "http-content-type-other", .http, .note, Section.content, "A request with another content type",
            [
                .health(.reading("requests MUST be JSON; whether the header is looked at is the proxy's choice")) {
                    $0.changeHeader("content-type") { _ in "text/plain" }
                }
            ]),
        ConformanceCase(
            "http-content-type-charset", .http, .should, Section.content,
            "A content type with a charset is taken for JSON's",
            [.health(.health) { $0.changeHeader("content-type") { _ in "application/json; charset=utf-8" } }]),
    ]

    /// Each is followed by an ordinary request: the proxy has to stay what it was.
    private static let hostileRequests = [
        hostile(
            "http-host-missing", .must, Section.http1("3.2"), "A request without a host is refused",
            .refusedOrClosed
        ) { $0.removeHeader("host") },
        hostile(
            "http-host-twice", .must, Section.http1("3.2"), "A request with two hosts is refused", .refusedOrClosed
        ) {
            $0.addHeader("host", "other.example.com")
        },
        hostile(
            "http-two-lengths", .must, Section.http1("6.3"), "A request with two lengths that differ is refused",
            .refusedOrClosed
        ) { $0.addHeader("content-length", "3") },
        hostile(
            "http-length-and-chunks", .hardening, Section.http1("6.1"),
            "A request with a length and chunks is refused, or its connection ends after the answer", .noReuse
        ) {
            $0.framing = .chunked(64, chunkExtension: "")
            $0.addHeader("content-length", "3")
        },
        hostile(
            "http-unknown-coding", .must, Section.http1("6.1"), "A transfer coding that nobody knows is refused",
            .refusedOrClosed
        ) {
            $0.framing = .none
            $0.addHeader("transfer-encoding", "certify")
        },
        hostile(
            "http-length-negative", .must, Section.http1("6.3"), "A negative length is refused", .refusedOrClosed
        ) {
            $0.framing = .none
            $0.addHeader("content-length", "-1")
        },
        hostile(
            "http-length-overflow", .must, Section.http1("6.3"), "A length that no number holds is refused",
            .refusedOrClosed
        ) {
            $0.framing = .none
            $0.addHeader("content-length", "99999999999999999999999999")
        },
        hostile(
            "http-chunk-malformed", .must, Section.http1("7.1"), "A chunk whose size is no number is refused",
            .refusedOrClosed
        ) {
            $0.framing = .none
            $0.addHeader("transfer-encoding", "chunked")
            $0.sentBody = Array("xyz\r\n{}\r\n0\r\n\r\n".utf8)
        },
        hostile(
            "http-header-name", .must, Section.http1("5.1"), "A blank between a header's name and its colon is refused",
            .refusedOrClosed
        ) { $0.addHeader("x-certify ", "1") },
        hostile(
            "http-header-null", .hardening, Section.http("5.5"), "A header with a byte of zero is refused",
            .refusedOrClosed
        ) { $0.addHeader("x-certify", "a\0b") },
        hostile(
            "http-long-header", .hardening, Section.http("5.4"),
            "A header of 256 KiB is refused, and not collected without end", .refusedOrClosed
        ) {
            $0.addHeader("x-certify", String(repeating: "a", count: 262_144))
        },
        hostile(
            "http-many-headers", .hardening, Section.http("5.4"), "20,000 headers are refused", .refusedOrClosed
        ) {
            $0.headers.append { headers in
                headers += (0..<20_000).map { HeaderField(name: "x-certify-\($0)", value: "1") }
            }
        },
        hostile(
            "http-request-line", .must, Section.http1("3"), "What is no request line is refused", .refusedOrClosed
        ) {
            $0.method = "this is"
            $0.target = "no request line"
        },
        hostile(
            "http-other-version", .hardening, Section.http("2.5"),
            "A request of a version that nobody knows is refused",
            .refusedOrClosed
        ) { $0.version = "HTTP/7.7" },
        hostile(
            "http-not-http", .hardening, Section.http1("3"), "Bytes that are no HTTP end the connection",
            .refusedOrClosed
        ) { $0.before = (0..<4_096).map { UInt8(truncatingIfNeeded: $0 &* 37 | 0x80) } + [0x0D, 0x0A] },
    ]

    static func hostile(
        _ id: String, _ level: Bindingness, _ section: String, _ title: String, _ expectation: Expectation,
        group: CaseGroup = .http, operation: XKSOperation = .health, _ alter: @escaping @Sendable (inout Draft) -> Void
    ) -> ConformanceCase {
        ConformanceCase(
            id, group, level, section, title,
            [.call(DraftRequest(operation, alter), expectation), .reconnect, .health()])
    }

    private static let contentTypes = [
        ConformanceCase(
            "http-answer-type-health", .http, .must, Section.content, "GetHealthStatus is answered as application/json",
            [.health(.health.typed)]),
        ConformanceCase(
            "http-answer-type-metadata", .http, .must, Section.content,
            "GetKeyMetadata is answered as application/json",
            [.metadata(.metadata.typed)]),
        ConformanceCase(
            "http-answer-type-encrypt", .http, .must, Section.content, "Encrypt is answered as application/json",
            [.encrypt(.encrypted.typed)]),
        ConformanceCase(
            "http-answer-type-decrypt", .http, .must, Section.content, "Decrypt is answered as application/json",
            [.encrypt(), .decrypt(.decrypted.typed)]),
    ]
}

extension Expectation {
    /// With the content type of JSON.
    var typed: Expectation { and("application/json") { $0.contentTypeFlaw } }

    static let keptOpen = health.and("a connection that stays open") { judged in
        judged.answer?.closes == true ? "the proxy says that the connection ends" : nil
    }

    static let closedConnection = Expectation("the end of the connection") { judged in
        if case .ended = judged.observation.outcome { nil } else { judged.seen }
    }

    /// What two parties could take for two requests.
    static let noReuse = Expectation("a refusal, or an answer with which the connection ends") { judged in
        switch judged.observation.outcome {
        case .ended: nil
        case .answer(let answer) where answer.status >= 400 || answer.closes: nil
        default: judged.seen
        }
    }
}

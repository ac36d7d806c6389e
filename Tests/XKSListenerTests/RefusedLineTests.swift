// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Glibc
import Synchronization
import Testing
import XKSListener
import XKSProtocol

/// Keeps what the listener says of the requests that it refuses.
private final class LineKeeper: RefusalObserver {
    private let kept = Mutex<[RequestTrace]>([])
    private let isSilent: Bool

    init(isSilent: Bool = false) { self.isSilent = isSilent }

    func hasLine(peer: String, error: XKSError.Name) -> Bool { !isSilent }
    func refused(_ trace: RequestTrace) { kept.withLock { $0.append(trace) } }

    var lines: [RequestTrace] { kept.withLock { $0 } }

    /// The only one, once it is there.
    func line() async throws -> RequestTrace? {
        guard try await eventually({ !lines.isEmpty }) else { return nil }
        return lines.count == 1 ? lines.first : nil
    }
}

/// With 16631be there was no line of any of these.
@Suite struct RefusedLineTests {
    static let body = #"{"requestMetadata":{"kmsOperation":"Encrypt","kmsRequestId":"an-id"},"plaintext":"YQ=="}"#
    private static let path = "/a/kms/xks/v1/keys/foo/encrypt"
    private static let start = "POST \(path) HTTP/1.1\r\nHost: kms.example.com\r\n"

    /// A request of one kind of refusal, sent in these pieces.
    struct Input: Sendable, CustomTestStringConvertible {
        var name: String
        var pieces: [String]
        var status: Int
        /// What the reason names.
        var setting: String
        /// The parser has given the head.
        var hasHead = true
        var testDescription: String { name }
    }

    static let inputs: [Input] = [
        Input(
            name: "a body that says to be too large", pieces: [start + "Content-Length: 300000\r\n\r\n" + body],
            status: 413, setting: "[xks] max_body_bytes"),
        Input(
            name: "the same, head and body apart",
            pieces: [start + "Content-Length: 300000\r\n\r\n", String(body.prefix(60)), String(body.dropFirst(60))],
            status: 413, setting: "[xks] max_body_bytes"),
        Input(
            name: "the same, and a body without an end",
            pieces: [start + "Content-Length: 300000\r\n\r\n" + body + String(repeating: " ", count: 6_000)],
            status: 413, setting: "[xks] max_body_bytes"),
        Input(
            name: "a body that becomes too large",
            pieces: [
                start + "Transfer-Encoding: chunked\r\n\r\n40000\r\n\(body)"
                    + String(repeating: " ", count: 0x40000 - body.utf8.count) + "\r\n1\r\n \r\n0\r\n\r\n"
            ], status: 413, setting: "[xks] max_body_bytes"),
        Input(
            name: "a body that does not come", pieces: [start + "Content-Length: 300\r\n\r\n" + body], status: 408,
            setting: "[xks] body_timeout"),
        Input(
            name: "many header fields",
            pieces: [
                start + String(repeating: "X: a\r\n", count: 70)
                    + "Content-Length: \(body.utf8.count)\r\n\r\n" + body
            ], status: 431, setting: "[xks] max_header_bytes", hasHead: false),
        Input(
            name: "two lengths that may mean two things",
            pieces: [start + "Content-Length: 5, 5\r\n\r\n" + body], status: 400, setting: "HTTP", hasHead: false),
        Input(
            name: "an unknown expectation",
            pieces: [start + "Expect: 200-ok\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body], status: 417,
            setting: "HTTP"),
    ]

    private func configuration() -> ListenerConfiguration {
        var configuration = loopback()
        configuration.timeouts.body = 300
        configuration.timeouts.linger = 300
        return configuration
    }

    @Test(arguments: inputs)
    func aRefusedRequestHasALineWithTheIDThatItClaims(_ input: Input) async throws {
        let keeper = LineKeeper()
        try await withListener(configuration(), observer: keeper) { listener, port async throws in
            let client = try RawClient(port: port)
            for piece in input.pieces { client.send(piece) }
            let line = try #require(try await keeper.line(), "\(keeper.lines)")
            #expect(try client.answer()?.status == input.status)
            #expect(line.status == input.status && line.error == .validation)
            #expect(line.reason?.contains(input.setting) == true, "\(line.reason ?? "")")
            #expect(line.peer.hasPrefix("127.0.0.1:") && line.accessKeyID == nil)
            guard input.hasHead else {
                #expect(line.refused == nil)
                return
            }
            #expect(line.operation == .encrypt && line.keyStore == "/a" && line.externalKeyID == "foo")
            #expect(line.refused?.path == Self.path && line.refused?.host == "kms.example.com")
            #expect(line.refused?.requestID == "an-id")
            shutdown(client.descriptor, Int32(SHUT_RDWR))
            #expect(try await eventually { listener.statistics.connections == 0 })
            #expect(keeper.lines.count == 1)
        }
    }

    @Test func oneWithoutRoomHasALine() async throws {
        let (keeper, holding) = (LineKeeper(), HoldingHandler())
        var configuration = configuration()
        configuration.limits.requestsInFlight = 1
        try await withListener(configuration, handler: holding, observer: keeper) { _, port async throws in
            let first = try RawClient(port: port)
            first.send(post(Self.body, path: Self.path))
            try holding.waitForRequest()
            let second = try RawClient(port: port)
            second.send(post(Self.body, path: Self.path))
            #expect(try second.answer()?.status == 429)
            let line = try #require(try await keeper.line())
            #expect(line.status == 429 && line.error == .throttling && line.refused?.requestID == "an-id")
            #expect(line.reason?.contains("[xks] max_requests_in_flight") == true)
            holding.answerAll()
        }
    }

    @Test func oneWithoutRoomForItsBodyHasALine() async throws {
        let (keeper, holding) = (LineKeeper(), HoldingHandler())
        var configuration = configuration()
        configuration.limits.bufferedBodyBytes = 1_048_576
        try await withListener(configuration, handler: holding, observer: keeper) { _, port async throws in
            let clients = try (0..<4).map { _ in try RawClient(port: port) }
            for client in clients {
                client.send(post(String(repeating: " ", count: 262_144)))
                try holding.waitForRequest()
            }
            let second = try RawClient(port: port)
            second.send(post(Self.body, path: Self.path))
            #expect(try second.answer()?.status == 429)
            let line = try #require(try await keeper.line())
            #expect(line.error == .throttling && line.refused?.requestID == "an-id")
            holding.answerAll()
        }
    }

    @Test func oneWhoseHeadCannotBeReadHasALineWithoutAPath() async throws {
        let keeper = LineKeeper()
        try await withListener(configuration(), observer: keeper) { _, port async throws in
            let client = try RawClient(port: port)
            client.send("POST / HTTP/1.1\r\nHost: h\r\nX: \(String(repeating: "a", count: 40_000))")
            let line = try #require(try await keeper.line())
            #expect(line.status == 431 && line.refused == nil)
            #expect(line.reason?.contains("[xks] max_header_bytes") == true)
        }
    }

    /// Where there is no line, nothing of the request is kept for one.
    @Test func oneThatIsToHaveNoLineIsCountedOnly() async throws {
        let keeper = LineKeeper(isSilent: true)
        try await withListener(configuration(), observer: keeper) { listener, port async throws in
            let client = try RawClient(port: port)
            client.send(Self.start + "Content-Length: 300000\r\n\r\n" + Self.body)
            #expect(try client.answer()?.status == 413)
            shutdown(client.descriptor, Int32(SHUT_RDWR))
            #expect(try await eventually { listener.statistics.connections == 0 })
            #expect(keeper.lines.isEmpty && listener.statistics.refusals[.bodyTooLarge] == 1)
        }
    }

    /// Of clients that have gone while the loops stood still nobody gets the answer, and no HSM is asked.
    @Test func whatNobodyWaitsForHasALine() async throws {
        let keeper = LineKeeper()
        let tally = RefusalCounter { 0 }
        let handled = Mutex(0)
        let standing = Mutex(0)
        let handler = ImmediateHandler { request in
            // As after the whole node was frozen: the loop of this connection does nothing meanwhile.
            if request.target == "/stand-still" {
                standing.withLock { $0 += 1 }
                usleep(800_000)
            } else {
                handled.withLock { $0 += 1 }
            }
            return ProxyResponse(200, "{}")
        }
        try await withListener(configuration(), handler: handler, refusals: tally, observer: keeper) {
            listener, port async throws in
            let waiting = try (0..<4).map { _ in try RawClient(port: port) }
            #expect(try await eventually { listener.statistics.connections == 4 })
            for client in waiting { client.send("POST /stand-still HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n") }
            // Both loops.
            #expect(try await eventually { standing.withLock { $0 } >= 2 })
            for _ in 0..<8 {
                let gone = try RawClient(port: port)
                gone.send(post(Self.body, path: Self.path))
            }
            for client in waiting { #expect(try client.answer()?.status == 200) }
            #expect(try await eventually { keeper.lines.count + handled.withLock { $0 } == 8 })
            let line = try #require(keeper.lines.first)
            #expect(line.isUndelivered && line.status == 503 && line.refused?.requestID == "an-id")
            #expect(tally.counts.first { $0.kind == .answerUndelivered }?.count == keeper.lines.count)
        }
    }

    @Test func streamsOfHTTP2HaveLinesToo() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        let keeper = LineKeeper()
        var configuration = configuration()
        configuration.transport = .tls(try authority.material())
        try await withListener(configuration, observer: keeper) { _, port async throws in
            let client = try await RawHTTP2Client(port: port)
            client.send(RawFrame.post(1, fields: [("content-length", "300000")]))
            let bytes = Array(Self.body.utf8)
            client.send(RawFrame(type: RawFrame.data, stream: 1, payload: bytes))
            // The id may be in any of the frames; the end of the stream is the end of waiting for it.
            client.send(RawFrame(type: RawFrame.reset, stream: 1, payload: [0, 0, 0, 8]))
            let line = try #require(try await keeper.line())
            #expect(line.status == 413 && line.refused?.requestID == "an-id" && line.refused?.host == "test")
            client.send(RawFrame.post(3, flags: RawFrame.endHeaders, fields: [("host", "other")]))
            client.send(RawFrame(type: RawFrame.data, flags: RawFrame.endStream, stream: 3, payload: bytes))
            #expect(try await eventually { keeper.lines.count == 2 })
            #expect(keeper.lines.last?.status == 400 && keeper.lines.last?.refused?.requestID == "an-id")
            // An error of the whole connection, which was counted nowhere: HEADERS that announce more than is taken.
            client.send(
                RawFrame(
                    type: RawFrame.headers, flags: RawFrame.endHeaders, stream: 5,
                    payload: [UInt8](repeating: 0, count: 16_385)))
            #expect(try await eventually { client.isClosed && keeper.lines.count == 3 })
        }
    }
}

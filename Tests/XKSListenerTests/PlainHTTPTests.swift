// SPDX-License-Identifier: Apache-2.0
import Testing
import XKSListener
import XKSProtocol

@Suite struct PlainHTTPTests {
    @Test func answersManyRequestsOnOneConnection() async throws {
        try await withListener { listener, port async throws in
            let client = try RawClient(port: port)
            for number in 0..<20 {
                client.send(post("body \(number)", path: "/n/\(number)?q"))
                let answer = try #require(try client.answer())
                #expect(answer.status == 200)
                #expect(answer.body == "POST /n/\(number)?q body \(number)")
                #expect(answer.headers["content-type"] == "application/json")
                #expect(answer.headers["connection"] == nil)
                #expect(answer.headers["date"]?.hasSuffix(" GMT") == true)
            }
            #expect(listener.statistics.connectionsAccepted == 1)
            #expect(listener.statistics.requestsInFlight == 0)
            #expect(listener.statistics.bufferedBodyBytes == 0)
        }
    }

    @Test func answersFiftyPipelinedRequestsInOrder() async throws {
        let holding = HoldingHandler()
        for handler in [echo as any ProxyRequestHandler, holding] {
            try await withListener(handler: handler) { _, port async throws in
                let client = try RawClient(port: port)
                client.send((0..<50).map { post("\($0)") }.joined())
                for number in 0..<50 {
                    if handler is HoldingHandler {
                        try holding.waitForRequest()
                        holding.answerAll(ProxyResponse(200, "POST / \(number)"))
                    }
                    #expect(try client.answer()?.body == "POST / \(number)")
                }
            }
        }
    }

    @Test func handsOnOnePipelinedRequestAtATime() async throws {
        let holding = HoldingHandler()
        try await withListener(handler: holding) { listener, port async throws in
            let client = try RawClient(port: port)
            client.send(post("1") + post("2"))
            try holding.waitForRequest()
            #expect(listener.statistics.requestsInFlight == 1)
            holding.answerAll()
            #expect(try client.answer()?.status == 200)
            try holding.waitForRequest()
            holding.answerAll()
            #expect(try client.answer()?.status == 200)
        }
    }

    @Test func readsChunkedBodiesByteByByte() async throws {
        try await withListener { _, port async throws in
            let client = try RawClient(port: port)
            let request =
                "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "3;x=y\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: t\r\n\r\n"
            for byte in request.utf8 { client.send(bytes: [byte]) }
            #expect(try client.answer()?.body == "POST /c abc0123456789abcdef")
            client.send(request)
            #expect(try client.answer()?.body == "POST /c abc0123456789abcdef")
        }
    }

    @Test func saysContinueOnlyWithinTheLimits() async throws {
        try await withListener { _, port async throws in
            let client = try RawClient(port: port)
            client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            #expect(try client.answer()?.status == 100)
            client.send("abc")
            #expect(try client.answer()?.body == "POST / abc")
            client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 999999\r\n\r\n")
            let answer = try #require(try client.answer())
            #expect(answer.status == 413)
            #expect(answer.headers["connection"] == "close")
            try client.waitForEnd()
        }
    }

    @Test func obeysTheClientsWishesForTheConnection() async throws {
        try await withListener { _, port async throws in
            let closing = try RawClient(port: port)
            closing.send(post("a", extra: "Connection: close\r\n"))
            #expect(try closing.answer()?.headers["connection"] == "close")
            try closing.waitForEnd()

            let old = try RawClient(port: port)
            old.send("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\na")
            #expect(try old.answer()?.headers["connection"] == "close")
            try old.waitForEnd()

            let kept = try RawClient(port: port)
            for _ in 0..<2 {
                kept.send("POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na")
                #expect(try kept.answer()?.headers["connection"] == "keep-alive")
            }
        }
    }

    @Test func handsOnEveryMethodAndAnswersHeadWithoutABody() async throws {
        try await withListener { _, port async throws in
            let client = try RawClient(port: port)
            for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"] {
                client.send("\(method) /m HTTP/1.1\r\nHost: h\r\n\r\n")
                #expect(try client.answer()?.body == "\(method) /m ")
            }
            client.send("HEAD /m HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try client.answer(toHead: true)?.headers["content-length"] == "8")
            client.send(post("after"))
            #expect(try client.answer()?.body == "POST / after")
        }
    }

    @Test func answersAnUpgradeRequestAndCloses() async throws {
        try await withListener { _, port async throws in
            let client = try RawClient(port: port)
            client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
            client.send("whatever follows")
            let answer = try #require(try client.answer())
            #expect(answer.status == 200)
            #expect(answer.headers["connection"] == "close")
            try client.waitForEnd()
        }
    }

    /// Each of these, read by two programs, could end at two positions, or is not HTTP/1.
    static let ambiguous: [String] = [
        "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nX: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nX: b\u{0}c\r\nContent-Length: 0\r\n\r\n",
        "POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HTTP/3.1\r\nHost: a\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{0}\r\n\r\n",
    ]

    @Test(arguments: ambiguous)
    func refusesAmbiguousRequestsAndCloses(_ text: String) async throws {
        try await withListener { listener, port async throws in
            let client = try RawClient(port: port)
            client.send(text + post("smuggled", path: "/smuggled"))
            let answer = try #require(try client.answer())
            #expect(answer.status == 400)
            #expect(answer.body.hasPrefix("{\"errorName\":\"ValidationException\",\"errorMessage\":\""))
            #expect(answer.headers["connection"] == "close")
            #expect(try client.answer() == nil)
            #expect(listener.statistics.refusals.values.reduce(0, +) == 1)
        }
    }

    @Test func answersWhatCameBeforeAnAmbiguousRequest() async throws {
        let holding = HoldingHandler()
        try await withListener(handler: holding) { _, port async throws in
            let client = try RawClient(port: port)
            client.send(post("good") + "nonsense\r\n\r\n")
            try holding.waitForRequest()
            holding.answerAll(ProxyResponse(200, "good"))
            #expect(try client.answer()?.body == "good")
            #expect(try client.answer()?.status == 400)
            #expect(try client.answer() == nil)
        }
    }

    @Test func tellsWhenTheRequestBeganAndWhoSentIt() async throws {
        let handler = ImmediateHandler { ProxyResponse(200, "\($0.receivedAt) \($0.peer)") }
        try await withListener(handler: handler) { _, port async throws in
            let client = try RawClient(port: port)
            client.send("POST / HTTP/1.1\r\nHo")
            client.send("st: h\r\nContent-Length: 1\r\n\r\na")
            let first = try #require(try client.answer()).body.split(separator: " ")
            client.send(post("b"))
            let second = try #require(try client.answer()).body.split(separator: " ")
            #expect(try #require(UInt64(first[0])) < #require(UInt64(second[0])))
            #expect(first[1].hasPrefix("127.0.0.1:"))
        }
    }
}

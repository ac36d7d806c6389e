// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Testing
import XKSListener
import XKSProtocol

@Suite struct LimitTests {
    @Test func closesAConnectionWhoseHeaderDribbles() async throws {
        var configuration = loopback()
        configuration.timeouts.header = 200
        try await withListener(configuration) { listener, port async throws in
            let client = try RawClient(port: port)
            client.send("POST / HTTP/1.1\r\nHost: ")
            try client.waitForEnd()
            #expect(listener.statistics.connectionsTimedOut == 1)
        }
    }

    @Test func dribblingDoesNotProlongTheTimeForTheHeader() async throws {
        var configuration = loopback()
        configuration.timeouts.header = 200
        try await withListener(configuration) { listener, port async throws in
            let client = try RawClient(port: port)
            client.send("POST / HTTP/1.1\r\n")
            // One byte at a time, until the listener has had enough; the clock of the test is the listener's answer.
            var sent = 0
            while sent < 2_000, client.send("x") {
                sent += 1
                try await Task.sleep(nanoseconds: 10_000_000)
            }
            #expect(sent < 2_000)
            #expect(listener.statistics.connectionsTimedOut == 1)
        }
    }

    @Test func closesAnIdleConnectionQuietly() async throws {
        var configuration = loopback()
        // Long enough for the first request to come on a busy machine.
        configuration.timeouts.idle = 1_000
        try await withListener(configuration) { listener, port async throws in
            let client = try RawClient(port: port)
            client.send(post("a"))
            #expect(try client.answer()?.status == 200)
            #expect(try client.answer() == nil)
            #expect(client.sawEnd)
            #expect(listener.statistics.connectionsTimedOut == 0)
        }
    }

    @Test func answersASlowBodyWith408() async throws {
        var configuration = loopback()
        configuration.timeouts.body = 200
        try await withListener(configuration) { _, port async throws in
            let client = try RawClient(port: port)
            client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
            let answer = try #require(try client.answer())
            #expect(answer.status == 408)
            #expect(answer.body.contains("ValidationException"))
            try client.waitForEnd()
        }
    }

    @Test func refusesALargeHeader() async throws {
        try await withListener { _, port async throws in
            for text in [
                "POST / HTTP/1.1\r\nHost: h\r\nX: \(String(repeating: "a", count: 40_000))",
                "POST / HTTP/1.1\r\nHost: h\r\n"
                    + String(repeating: "X: \(String(repeating: "a", count: 500))\r\n", count: 40),
                "POST / HTTP/1.1\r\nHost: h\r\n" + String(repeating: "X: a\r\n", count: 70) + "\r\n",
                "POST /\(String(repeating: "a", count: 40_000))",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: \(String(repeating: "a", count: 40_000))",
            ] {
                let client = try RawClient(port: port)
                client.send(text)
                let answer = try #require(try client.answer())
                #expect(answer.status == 431)
                #expect(answer.body.contains("ValidationException"))
                try client.waitForEnd()
            }
        }
    }

    @Test func refusesALargeBodyWithoutKeepingIt() async throws {
        try await withListener { listener, port async throws in
            let before = try residentBytes()
            let piece = String(repeating: "a", count: 65_536)
            for head in [
                "Content-Length: 300000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n",
            ] {
                let client = try RawClient(port: port)
                client.send("POST / HTTP/1.1\r\nHost: h\r\n" + head)
                // Up to 300 MB, as long as anybody listens.
                for _ in 0..<4_500 {
                    guard client.send(head.hasPrefix("T") ? "10000\r\n\(piece)\r\n" : piece) else { break }
                }
                #expect(try client.answer()?.status == 413)
            }
            #expect(try residentBytes() - before < 50_000_000)
            #expect(try await eventually { listener.statistics.bufferedBodyBytes == 0 })
            #expect(listener.statistics.refusals[.bodyTooLarge] == 2)
        }
    }

    @Test func takesABodyOfExactlyTheLimit() async throws {
        let handler = ImmediateHandler { ProxyResponse(200, "\($0.body.count)") }
        try await withListener(handler: handler) { _, port async throws in
            let client = try RawClient(port: port)
            client.send(post(String(repeating: "a", count: 256 * 1024)))
            #expect(try client.answer()?.body == "262144")
            client.send(post(String(repeating: "a", count: 256 * 1024 + 1)))
            #expect(try client.answer()?.status == 413)
        }
    }

    /// In 16631be the newcomer was closed: whoever held silent connections kept KMS out.
    @Test func theOldestConnectionWithoutASignatureGoesWhenThereAreTooMany() async throws {
        var configuration = loopback()
        configuration.limits.connections = 3
        try await withListener(configuration, handler: authenticating) { listener, port async throws in
            let signed = try RawClient(port: port)
            signed.send(post("a"))
            #expect(try signed.answer()?.status == 200)
            let unsigned = try RawClient(port: port)
            unsigned.send(post("a", path: "/unsigned"))
            #expect(try unsigned.answer()?.status == 401)
            let silent = try RawClient(port: port)
            #expect(try await eventually { listener.budget.use.silent == 1 })
            // While a connection counted as authenticated only after its answer was written, a newcomer on another
            // thread could push out the one that had just been answered, in place of the silent one.
            // Which of the two goes first depends on how long the other one has been silent (`ConnectionLedger`).
            var kept: [RawClient] = []
            for _ in 0..<2 {
                let next = try RawClient(port: port)
                next.send(post("a"))
                #expect(try next.answer()?.status == 200)
                kept.append(next)
            }
            #expect(try unsigned.answer() == nil)
            #expect(try silent.answer() == nil)
            // All have signed: now the newcomer goes.
            #expect(try RawClient(port: port).answer() == nil)
            signed.send(post("a"))
            #expect(try signed.answer()?.status == 200)
            #expect(listener.statistics.connectionsEvicted == 2)
            #expect(listener.statistics.connectionsRefused == 1)
            kept.removeAll()
        }
    }

    /// In 16631be, 57 of 62 signed requests were refused during such a flood.
    @Test func signedRequestsGoOnDuringAFloodOfSilentConnections() async throws {
        var configuration = loopback()
        configuration.limits.connections = 50
        try await withListener(configuration, handler: authenticating) { listener, port async throws in
            var flood: [RawClient] = []
            for round in 0..<20 {
                for _ in 0..<60 { flood.append(try RawClient(port: port)) }
                let client = try RawClient(port: port)
                client.send(post("a"))
                #expect(try client.answer()?.status == 200, "round \(round)")
                flood.removeFirst(30)
            }
            #expect(listener.statistics.connectionsRefused == 0)
        }
    }

    @Test func oneAddressPushesOutItsOwnUntilItHasSigned() async throws {
        var configuration = loopback()
        configuration.limits.unauthenticatedPerAddress = 2
        try await withListener(configuration, handler: authenticating) { listener, port async throws in
            // One after the other: connections that come together are taken by several event loops.
            let first = try RawClient(port: port)
            #expect(try await eventually { listener.budget.use.connections == 1 })
            let second = try RawClient(port: port)
            #expect(try await eventually { listener.budget.use.connections == 2 })
            let third = try RawClient(port: port)
            #expect(try first.answer() == nil)
            third.send(post("a"))
            #expect(try third.answer()?.status == 200)
            // KMS and an attacker may come by the same balancer: no limit after a signed request.
            var more = try (0..<5).map { _ in try RawClient(port: port) }
            #expect(try await eventually { listener.statistics.connections == 7 })
            second.send(post("a"))
            #expect(try second.answer()?.status == 200)
            #expect(listener.statistics.connectionsEvicted == 1)
            more.removeAll()
        }
    }

    /// Bodies that nobody has signed have to fit, all together, beside the connections.
    @Test func bodiesWithoutASignatureAreBounded() async throws {
        var configuration = loopback()
        configuration.limits.unauthenticatedBytes = 1_048_576
        configuration.limits.connectionBytes = 10_000
        let refusals = RefusalCounter { 0 }
        try await withListener(configuration, handler: authenticating, refusals: refusals) {
            listener, port async throws in
            let half =
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200001\r\n\r\n" + String(repeating: "a", count: 200_000)
            let clients = try (0..<8).map { _ in try RawClient(port: port) }
            for client in clients { client.send(half) }
            #expect(try await eventually { listener.statistics.connectionsEvicted >= 5 })
            #expect(listener.budget.use.bytes <= 1_048_576)
            // The last one has kept its place.
            let last = try RawClient(port: port)
            last.send(post(String(repeating: "a", count: 200_000)))
            #expect(try last.answer()?.status == 200)
            #expect(refusals.counts.contains { $0.kind == .evicted && $0.count >= 5 })
        }
    }

    /// 16631be read as much as came for as long as it lingered; without the limit all 64 MiB were taken.
    @Test func readsLittleOfABodyAfterItsRefusal() async throws {
        var configuration = loopback()
        configuration.timeouts.linger = 60_000
        try await withListener(configuration) { _, port async throws in
            let client = try RawClient(port: port)
            client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n")
            let piece = [UInt8](repeating: 0x61, count: 65_536)
            var sent = 0
            while sent < 64 << 20, client.send(bytes: piece) { sent += piece.count }
            // 1 MiB is read; the rest is in the buffers of two sockets.
            #expect(sent < 16 << 20)
        }
    }

    @Test func answers429AboveTheLimitInFlight() async throws {
        var configuration = loopback()
        configuration.limits.requestsInFlight = 1
        let holding = HoldingHandler()
        try await withListener(configuration, handler: holding) { listener, port async throws in
            let first = try RawClient(port: port)
            first.send(post("a"))
            try holding.waitForRequest()
            let second = try RawClient(port: port)
            second.send(post("b"))
            let answer = try #require(try second.answer())
            #expect(answer.status == 429)
            #expect(answer.body.hasPrefix("{\"errorName\":\"ThrottlingException\""))
            holding.answerAll()
            #expect(try first.answer()?.status == 200)
            // The refused connection goes on.
            second.send(post("c"))
            try holding.waitForRequest()
            holding.answerAll()
            #expect(try second.answer()?.status == 200)
            #expect(listener.statistics.requestsInFlight == 0)
        }
    }

    @Test func boundsTheBodiesOfAllRequestsTogether() async throws {
        var configuration = loopback()
        configuration.limits.bufferedBodyBytes = 1_048_576
        let holding = HoldingHandler()
        try await withListener(configuration, handler: holding) { listener, port async throws in
            let large = post(String(repeating: "a", count: 256 * 1024))
            let clients = try (0..<4).map { _ in try RawClient(port: port) }
            for client in clients {
                client.send(large)
                try holding.waitForRequest()
            }
            let fifth = try RawClient(port: port)
            fifth.send(post("one more"))
            let answer = try #require(try fifth.answer())
            #expect(answer.status == 429)
            #expect(answer.body.contains("ThrottlingException"))
            holding.answerAll()
            for client in clients { #expect(try client.answer()?.status == 200) }
            #expect(listener.statistics.bufferedBodyBytes == 0)
        }
    }

    @Test func endsAConnectionThatPipelinesTooMuch() async throws {
        var configuration = loopback()
        configuration.limits.pipelinedRequests = 5
        let holding = HoldingHandler()
        try await withListener(configuration, handler: holding) { _, port async throws in
            let client = try RawClient(port: port)
            client.send((0..<50).map { _ in "GET / HTTP/1.1\r\nHost: h\r\n\r\n" }.joined())
            var answered = 0
            for _ in 0..<6 {
                try holding.waitForRequest()
                holding.answerAll()
                if try client.answer()?.status == 200 { answered += 1 }
            }
            #expect(answered == 6)
            #expect(try client.answer() == nil)
        }
    }

    @Test func closesAConnectionThatDoesNotReadItsAnswers() async throws {
        var configuration = loopback()
        configuration.timeouts.write = 200
        let large = String(repeating: "a", count: 1_000_000)
        let handled = Counter()
        let handler = ImmediateHandler { _ in
            handled.increment()
            return ProxyResponse(200, large)
        }
        try await withListener(configuration, handler: handler) { listener, port async throws in
            let client = try RawClient(port: port, receiveBuffer: 4_096)
            client.send((0..<100).map { _ in post("a") }.joined())
            #expect(try await eventually { listener.statistics.connectionsTimedOut == 1 })
            #expect(try await eventually { listener.statistics.connections == 0 })
            // What fits into the socket buffers was answered; the rest was never begun.
            #expect(handled.value < 20)
        }
    }

    @Test func namesTheSettingThatIsOutOfRange() {
        var configuration = loopback()
        configuration.limits.bodyBytes = 1
        let expected = ListenerConfigurationError.outOfRange(
            name: "body_bytes", value: 1, allowed: 16_384...4_194_304)
        #expect(throws: expected) { try configuration.validate() }
        #expect(expected.description == "body_bytes = 1 is out of range: use 16384 to 4194304")
        #expect(throws: ListenerConfigurationError.noAddress) {
            try ListenerConfiguration(addresses: [], transport: .plaintext).validate()
        }
    }
}

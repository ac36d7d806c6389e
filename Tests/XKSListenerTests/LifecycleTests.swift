// SPDX-License-Identifier: Apache-2.0
import NIOPosix
import Testing
import XKSListener
import XKSProtocol

@Suite struct LifecycleTests {
    @Test func survivesAClientThatLeavesWhileItsRequestIsInWork() async throws {
        let holding = HoldingHandler()
        try await withListener(handler: holding) { listener, port async throws in
            do {
                let client = try RawClient(port: port)
                client.send(post("a"))
                try holding.waitForRequest()
            }
            #expect(try await eventually { listener.statistics.connections == 0 })
            // Nobody waits for it: it takes no one's place. Its body is held by who works on it.
            #expect(listener.statistics.requestsInFlight == 0)
            #expect(listener.statistics.bufferedBodyBytes == 1)
            #expect(holding.callersHaveGone)
            holding.answerAll()
            #expect(try await eventually { listener.statistics.bufferedBodyBytes == 0 })
            #expect(listener.statistics.requestsInFlight == 0)
        }
    }

    @Test func takesOneAnswerForEachRequest() async throws {
        let holding = HoldingHandler()
        try await withListener(handler: holding) { listener, port async throws in
            let client = try RawClient(port: port)
            client.send(post("a") + post("b"))
            try holding.waitForRequest()
            holding.answerAll(ProxyResponse(200, "first"), times: 3)
            #expect(try client.answer()?.body == "first")
            try holding.waitForRequest()
            holding.answerAll(ProxyResponse(200, "second"))
            #expect(try client.answer()?.body == "second")
            #expect(listener.statistics.requestsInFlight == 0)
        }
    }

    @Test func finishesWhatIsInFlightWhenItShutsDown() async throws {
        let holding = HoldingHandler()
        // One thread, so that what has happened to one connection has happened to the other.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let listener = try await XKSListener.start(
            configuration: loopback(), handler: holding, group: group, logger: silentLogger)
        let port = listener.addresses[0].port
        let idle = try RawClient(port: port)
        idle.send(post("a"))
        try holding.waitForRequest()
        holding.answerAll()
        #expect(try idle.answer()?.status == 200)
        let busy = try RawClient(port: port)
        busy.send(post("b") + post("never begun"))
        try holding.waitForRequest()

        async let ended: Void = listener.shutdown(gracePeriod: .seconds(10))
        #expect(try idle.answer() == nil)
        #expect(throws: SocketTimeout.self) { try RawClient(port: port) }
        holding.answerAll(ProxyResponse(200, "done"))
        let answer = try #require(try busy.answer())
        #expect(answer.body == "done")
        #expect(answer.headers["connection"] == "close")
        #expect(try busy.answer() == nil)
        await ended
        #expect(listener.statistics.connections == 0)
        try await group.shutdownGracefully()
    }

    @Test func cutsOffWhatOutlastsTheGracePeriod() async throws {
        let holding = HoldingHandler()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let listener = try await XKSListener.start(
            configuration: loopback(), handler: holding, group: group, logger: silentLogger)
        let client = try RawClient(port: listener.addresses[0].port)
        client.send(post("a"))
        try holding.waitForRequest()
        await listener.shutdown(gracePeriod: .milliseconds(50))
        #expect(try client.answer() == nil)
        holding.answerAll()
        #expect(try await eventually { listener.statistics.requestsInFlight == 0 })
        try await group.shutdownGracefully()
    }

    @Test func saysWhichAddressCannotBeUsed() async throws {
        try await withListener { _, port async throws in
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            var configuration = loopback()
            configuration.addresses.append(ListenAddress(host: "127.0.0.1", port: port))
            do {
                _ = try await XKSListener.start(
                    configuration: configuration, handler: echo, group: group, logger: silentLogger)
                Issue.record("two listeners on one port")
            } catch {
                #expect("\(error)".hasPrefix("cannot listen on 127.0.0.1:\(port): "))
            }
            try await group.shutdownGracefully()
        }
    }

    @Test func listensOnSeveralAddresses() async throws {
        var configuration = loopback()
        configuration.addresses.append(ListenAddress(host: "127.0.0.1", port: 0))
        try await withListener(configuration) { listener, _ async throws in
            #expect(listener.addresses.count == 2)
            for address in listener.addresses {
                let client = try RawClient(port: address.port)
                client.send(post("a"))
                #expect(try client.answer()?.status == 200)
            }
        }
    }
}

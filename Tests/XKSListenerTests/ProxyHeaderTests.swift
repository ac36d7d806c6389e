// SPDX-License-Identifier: Apache-2.0
import Chance
import ConnectionLimits
import SeededRandom
import Testing
import XKSListener
import XKSProtocol

@Suite struct ProxyHeaderTests {
    /// A header of version 2 with a body of addresses and more.
    private static func header(command: UInt8 = 0x21, family: UInt8 = 0x11, _ body: [UInt8]) -> [UInt8] {
        ProxyHeader.signature + [command, family, UInt8(body.count >> 8), UInt8(body.count & 255)] + body
    }

    private static let four: [UInt8] = [192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0x20, 0xfb]
    private static let six: [UInt8] =
        [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [9]
        + [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [1] + [0x30, 0x39, 0x20, 0xfb]

    @Test func readsTheClientsAddress() throws {
        let v4 = Self.header(Self.four)
        #expect(
            ProxyHeader.read(v4) == .whole(.client(try #require(NetworkAddress("192.0.2.7")), port: 12_345), length: 28)
        )
        // Whatever follows, within the header or behind it, changes nothing.
        let values: [UInt8] = [0x03, 0x00, 0x04, 1, 2, 3, 4, 0xea, 0x00, 0x02, 1, 2]
        #expect(
            ProxyHeader.read(Self.header(Self.four + values) + [0x16, 3, 1])
                == .whole(.client(try #require(NetworkAddress("192.0.2.7")), port: 12_345), length: 40))
        #expect(
            ProxyHeader.read(Self.header(family: 0x21, Self.six))
                == .whole(.client(try #require(NetworkAddress("2001:db8::9")), port: 12_345), length: 52))
        #expect(ProxyHeader.read(Self.header(command: 0x20, family: 0, [])) == .whole(.local, length: 16))
        #expect(ProxyHeader.read(Self.header(command: 0x20, Self.four)) == .whole(.local, length: 28))
        for family in [0x00, 0x12, 0x22, 0x31, 0x32] as [UInt8] {
            #expect(ProxyHeader.read(Self.header(family: family, Self.four)) == .whole(.unknown, length: 28))
        }
    }

    @Test func refusesWhatItCannotRead() {
        func isMalformed(_ bytes: [UInt8]) -> Bool {
            if case .malformed = ProxyHeader.read(bytes) { true } else { false }
        }
        #expect(isMalformed(Self.header(command: 0x11, Self.four)))
        #expect(isMalformed(Self.header(command: 0x22, Self.four)))
        #expect(isMalformed(Self.header(family: 0x41, Self.four)))
        #expect(isMalformed(Self.header(Array(Self.four.dropLast()))))
        #expect(isMalformed(Self.header(family: 0x21, Self.four)))
        #expect(isMalformed(ProxyHeader.signature + [0x21, 0x11, 0xff, 0xff]))
        #expect(isMalformed(Array("PROXY TCP4 192.0.2.7 10.0.0.1 12345 8443\r\n".utf8)))
        #expect(ProxyHeader.read([0x16, 3, 1]) == .missing)
        #expect(ProxyHeader.read(Array("GET / HTTP/1.1\r\n".utf8)) == .missing)
        #expect(ProxyHeader.read([]) == .incomplete)
    }

    @Test func everyBeginningOfAHeaderIsIncomplete() {
        let whole = Self.header(Self.four + [0x04, 0, 1, 0])
        for length in 0..<whole.count { #expect(ProxyHeader.read(whole.prefix(length)) == .incomplete, "\(length)") }
        #expect(ProxyHeader.read(whole) != .incomplete)
    }

    @Test(arguments: 0..<200)
    func readsNoMoreThanThereIsOfMutatedHeaders(_ seed: Int) {
        var random = RandomChoice(seed: UInt64(seed))
        for _ in 0..<50 {
            var bytes = Self.header(
                command: 0x20 | UInt8(random.below(3)), family: [0x11, 0x21, 0x00, 0x31][random.below(4)],
                random.bytes(random.below(300)))
            for _ in 0..<random.below(4) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            bytes = Array(bytes.prefix(random.below(bytes.count + 1)))
            if case .whole(_, let length) = ProxyHeader.read(bytes) {
                #expect(length <= bytes.count && length >= 16 && length <= 16 + ProxyHeader.longestBody)
                // The header is the same without what follows it, and incomplete without its last byte.
                #expect(ProxyHeader.read(bytes.prefix(length)) == ProxyHeader.read(bytes))
                #expect(ProxyHeader.read(bytes.prefix(length - 1)) == .incomplete)
            }
        }
    }

    // MARK: At the listener

    private let peers = ImmediateHandler { ProxyResponse(200, $0.peer) }

    private func configuration(_ balancers: String...) -> ListenerConfiguration {
        var configuration = loopback()
        configuration.balancers = balancers.compactMap(Network.init)
        return configuration
    }

    /// Without the header's address each was 127.0.0.1.
    @Test func theClientOfANamedBalancerIsWhoItSaysItIs() async throws {
        try await withListener(configuration("127.0.0.0/8"), handler: peers) { listener, port async throws in
            let client = try RawClient(port: port)
            // In three pieces, the last one with the beginning of the request.
            let bytes = Self.header(Self.four + [0xea, 0, 1, 9]) + Array(post("a").utf8)
            for piece in [bytes.prefix(7), bytes.dropFirst(7).prefix(10), bytes.dropFirst(17)] {
                client.send(bytes: Array(piece))
            }
            #expect(try client.answer()?.body == "192.0.2.7:12345")
            client.send(post("b"))
            #expect(try client.answer()?.body == "192.0.2.7:12345")
            let sixth = try RawClient(port: port)
            sixth.send(bytes: Self.header(family: 0x21, Self.six) + Array(post("a").utf8))
            #expect(try sixth.answer()?.body == "[2001:db8::9]:12345")
            // A check of the balancer's own.
            let check = try RawClient(port: port)
            check.send(bytes: Self.header(command: 0x20, family: 0, []) + Array(post("a").utf8))
            #expect(try check.answer()?.body.hasPrefix("127.0.0.1:") == true)
            #expect(listener.statistics.handshakesFailed == 0)
        }
    }

    /// Where a header may be missing, the first was answered.
    @Test func aNamedBalancerWithoutHeaderIsRefusedAndCounted() async throws {
        let refusals = RefusalCounter { 1 }
        var configuration = configuration("127.0.0.1")
        configuration.timeouts.handshake = 200
        try await withListener(configuration, handler: peers, refusals: refusals) { listener, port async throws in
            for bytes in [Array(post("a").utf8), Array("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n".utf8), [0x0d, 0x0a], []] {
                let client = try RawClient(port: port)
                client.send(bytes: bytes)
                #expect(try client.answer() == nil)
            }
            #expect(listener.statistics.handshakesFailed == 4)
            let address = NetworkAddress("127.0.0.1")?.prefix
            let counts = Dictionary(uniqueKeysWithValues: refusals.counts.map { ($0.kind, $0.count) })
            #expect(counts == [.proxyHeaderMissing: 1, .proxyHeaderMalformed: 2, .handshakeTimeout: 1])
            #expect(refusals.counts.allSatisfy { $0.address == address && $0.listener == .xks })
        }
    }

    /// Nobody else may say who he is: the header is no HTTP.
    @Test func aHeaderFromElsewhereIsNotBelieved() async throws {
        try await withListener(configuration("10.0.0.0/8"), handler: peers) { _, port async throws in
            let client = try RawClient(port: port)
            client.send(bytes: Self.header(Self.four) + Array(post("a").utf8))
            #expect(try client.answer()?.status == 400)
            let plain = try RawClient(port: port)
            plain.send(post("a"))
            #expect(try plain.answer()?.body.hasPrefix("127.0.0.1:") == true)
        }
    }

    @Test func theHeaderStandsBeforeTLS() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        var configuration = configuration("127.0.0.1")
        configuration.transport = .tls(try authority.material())
        try await withListener(configuration, handler: peers) { listener, port async throws in
            // curl's own header is of version 1; --haproxy-clientip wants 8.2. So TLS without a header is refused here,
            // and the handshake behind one is looked at by its first answer.
            let refused = try run([
                "curl", "--silent", "--insecure", "--data-binary", "x", "https://127.0.0.1:\(port)/",
            ])
            #expect(refused.status != 0)
            let client = try RawClient(port: port)
            client.send(bytes: Self.header(Self.four))
            // A ServerHello, which no server wants: TLS says so by an alert.
            client.send(bytes: [0x16, 3, 1, 0, 4, 2, 0, 0, 0])
            #expect(try client.firstByte() == 0x15)
            #expect(try await eventually { listener.statistics.handshakesFailed == 2 })
        }
    }

    /// With a limit of the balancer's address each client pushed out the one before it.
    @Test func theLimitOfAnAddressIsTheClientsNotTheBalancers() async throws {
        var configuration = configuration("127.0.0.1")
        configuration.limits.unauthenticatedPerAddress = 1
        try await withListener(configuration, handler: peers) { listener, port async throws in
            func client(_ last: UInt8) throws -> RawClient {
                let client = try RawClient(port: port)
                var body = Self.four
                body[3] = last
                client.send(bytes: Self.header(body) + Array(post("a").utf8))
                #expect(try client.answer()?.body == "192.0.2.\(last):12345")
                return client
            }
            let first = try client(1)
            let second = try client(2)
            let third = try client(1)
            #expect(try first.answer() == nil)
            for kept in [second, third] {
                kept.send(post("b"))
                #expect(try kept.answer()?.status == 200)
            }
            #expect(listener.statistics.connectionsEvicted == 1)
        }
    }
}

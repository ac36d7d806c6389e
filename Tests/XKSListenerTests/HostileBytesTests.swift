// SPDX-License-Identifier: Apache-2.0
import Chance
import Testing
import XKSListener
import XKSProtocol

@Suite struct HostileBytesTests {
    private static let seeds = [
        "POST /p/kms/xks/v1/keys/k/encrypt HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde",
        "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: v\r\nU:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nleft over",
        "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nOPTIONS /o HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]

    /// Alphabet that parsers stumble over.
    private static let spice: [UInt8] = Array("\r\n\t :;,%/?*0aF\u{0}\u{7F}".utf8) + [0x80, 0xC3, 0xFF]

    /// One mutated stream: some seeds joined, with bytes changed, removed, doubled or cut off.
    private static func stream(_ random: inout some RandomNumberGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            bytes += Array((seeds.randomElement(using: &random) ?? "").utf8)
        }
        for _ in 0..<Int.random(in: 0...6, using: &random) where !bytes.isEmpty {
            let index = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[index] = spice.randomElement(using: &random) ?? 0
            case 1: bytes[index] = UInt8.random(in: 0...255, using: &random)
            case 2: bytes.remove(at: index)
            case 3: bytes.insert(contentsOf: bytes[index..<min(index + 20, bytes.count)], at: index)
            default: bytes.removeSubrange(index...)
            }
        }
        return bytes
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func neitherEndNorConfuseTheListener(seed: UInt64) async throws {
        var configuration = loopback()
        configuration.timeouts.linger = 50
        try await withListener(configuration) { listener, port async throws in
            var random = RandomChoice(seed: seed)
            for round in 0..<250 {
                let client = try RawClient(port: port)
                var rest = Self.stream(&random)[...]
                while !rest.isEmpty {
                    let count = Int.random(in: 1...200, using: &random)
                    guard client.send(bytes: Array(rest.prefix(count))) else { break }
                    rest = rest.dropFirst(count)
                }
                if round % 25 == 0 {
                    let good = try RawClient(port: port)
                    good.send(post("good"))
                    #expect(try good.answer()?.body == "POST / good", "seed \(seed), round \(round)")
                }
            }
            #expect(try await eventually { listener.statistics.connections == 0 })
            #expect(listener.statistics.requestsInFlight == 0)
            #expect(listener.statistics.bufferedBodyBytes == 0)
        }
    }

    @Test func randomNoiseIsRefused() async throws {
        try await withListener { _, port async throws in
            var random = RandomChoice(seed: 99)
            for _ in 0..<100 {
                let client = try RawClient(port: port)
                client.send(bytes: (0..<500).map { _ in UInt8.random(in: 0...255, using: &random) })
                #expect(try client.answer()?.status == 400)
            }
        }
    }
}

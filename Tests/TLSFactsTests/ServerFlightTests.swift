// SPDX-License-Identifier: Apache-2.0
import Chance
import SeededRandom
import TLSFacts
import Testing

@Suite struct ServerFlightTests {
    private static func bytes(_ number: Int, _ count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }

    private static func record(_ type: UInt8, _ body: [UInt8]) -> [UInt8] {
        [type, 3, 3] + bytes(body.count, 2) + body
    }

    private static func message(_ type: UInt8, _ body: [UInt8]) -> [UInt8] { [type] + bytes(body.count, 3) + body }

    /// - Parameter share: contents of the extension key_share; `nil` leaves out all extensions.
    private static func hello(_ suite: Int, random: [UInt8]? = nil, share: [UInt8]?, is13: Bool = true) -> [UInt8] {
        var extensions: [UInt8] = []
        if is13 { extensions += bytes(43, 2) + bytes(2, 2) + [3, 4] }
        if let share { extensions += bytes(51, 2) + bytes(share.count, 2) + share }
        let random = random ?? Array(repeating: 7, count: 32)
        return message(
            2,
            [3, 3] + random + [4, 1, 2, 3, 4] + bytes(suite, 2) + [0]
                + (extensions.isEmpty ? [] : bytes(extensions.count, 2) + extensions))
    }

    private static let retryRandom: [UInt8] = [
        0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2,
        0x11,
        0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
    ]
    private static let changeCipherSpec = record(20, [1])
    private static let hybrid = record(22, hello(0x1301, share: bytes(0x11EC, 2) + bytes(8, 2) + bytes(0, 8)))
    private static let retry = record(22, hello(0x1301, random: retryRandom, share: bytes(0x17, 2)))
    private static let old =
        record(
            22, hello(0xC030, share: nil, is13: false) + message(11, bytes(0, 3_000)))
        + record(22, message(12, [3] + bytes(0x18, 2) + [65]) + message(14, []))
    private static let resumed = record(22, hello(0xC02C, share: nil, is13: false)) + changeCipherSpec

    /// What servers send, and what is to be read of it.
    private static let flights: [(bytes: [UInt8], facts: HandshakeFacts)] = [
        (hybrid, HandshakeFacts(version: "TLSv1.3", group: "X25519MLKEM768", suite: "TLS_AES_128_GCM_SHA256")),
        (
            retry + changeCipherSpec + record(22, hello(0x1302, share: bytes(0x17, 2) + bytes(0, 2))),
            HandshakeFacts(version: "TLSv1.3", group: "secp256r1", suite: "TLS_AES_256_GCM_SHA384")
        ),
        (
            old,
            HandshakeFacts(version: "TLSv1.2", group: "secp384r1", suite: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")
        ),
        (
            resumed,
            HandshakeFacts(version: "TLSv1.2", group: "", suite: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")
        ),
        (
            record(22, hello(0x13FF, share: bytes(0x6399, 2) + bytes(0, 2))),
            HandshakeFacts(version: "TLSv1.3", group: "0x6399", suite: "0x13ff")
        ),
    ]

    @Test("version, group and suite are read, in one piece and in pieces of one byte")
    func read() {
        for (bytes, facts) in Self.flights {
            var whole = ServerFlight()
            #expect(whole.read(bytes) == .done(facts))
            var pieces = ServerFlight()
            var last = ServerFlight.Reading.more
            for byte in bytes { last = pieces.read([byte]) }
            #expect(last == .done(facts))
        }
    }

    @Test("a first hello that asks for another group says nothing yet")
    func retried() {
        var flight = ServerFlight()
        #expect(flight.read(Self.retry) == .more)
    }

    @Test("what is no flight of a server ends the reading, and so do too many bytes")
    func strange() {
        for bytes in [Array("HTTP/1.1 400 Bad Request\r\n".utf8), Self.record(21, [2, 40])] {
            var flight = ServerFlight()
            let reading = flight.read(bytes)
            #expect(reading == .done(nil) || reading == .more)
            #expect(flight.read(Array(repeating: 0x17, count: ServerFlight.limit)) == .done(nil))
        }
        var alert = ServerFlight()
        #expect(alert.read(Self.record(21, [2, 40])) == .done(nil))
    }

    @Test("bytes that were changed, cut off or repeated end no process, and are forgotten within the limit")
    func mutated() {
        var random = RandomChoice(seed: 15)
        for round in 0..<20_000 {
            var bytes = Self.flights[round % Self.flights.count].bytes
            for _ in 0..<random.between(1, 8) {
                let index = random.below(bytes.count)
                switch random.below(3) {
                case 0: bytes[index] = random.bytes(1)[0]
                case 1: bytes.removeSubrange(index...)
                default: bytes.insert(contentsOf: Array(bytes[index...].prefix(40)), at: index)
                }
                if bytes.isEmpty { bytes = [22] }
            }
            var flight = ServerFlight()
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = min(random.between(1, 200), rest.count)
                _ = flight.read(rest.prefix(count))
                rest = rest.dropFirst(count)
            }
            #expect(flight.read(Array(repeating: 22, count: ServerFlight.limit + 1)) != .more)
        }
    }
}

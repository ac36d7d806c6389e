// SPDX-License-Identifier: Apache-2.0
import Chance
import ConnectionLimits
import SeededRandom
import Testing

@Suite struct RefusalTallyTests {
    private func prefix(_ number: Int) -> AddressPrefix? {
        NetworkAddress("10.\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255)")?.prefix
    }

    @Test func countsByListenerKindAndAddress() throws {
        var tally = RefusalTally()
        tally.count(.plainHTTP, at: .xks, from: prefix(1), detail: "first", now: 100)
        tally.count(.plainHTTP, at: .xks, from: prefix(1), detail: "second", now: 105)
        tally.count(.plainHTTP, at: .control, from: prefix(1), now: 103)
        tally.count(.evicted, at: .xks, from: prefix(1), now: 102)
        tally.count(.plainHTTP, at: .xks, from: prefix(2), now: 101)
        let counts = tally.counts
        #expect(counts.count == 4)
        let first = try #require(counts.first)
        #expect((first.listener, first.kind, first.address) == (.xks, .plainHTTP, prefix(1)))
        #expect((first.count, first.first, first.last, first.detail) == (2, 100, 105, "second"))
        #expect(counts.map(\.last) == [105, 103, 102, 101])
    }

    @Test func keepsTheSumOfEachKindWhenAddressesAreMoreThanItHolds() {
        var tally = RefusalTally(capacity: 16)
        for number in 0..<1_000 { tally.count(.notTLS, at: .xks, from: prefix(number), now: 100) }
        #expect(tally.counts.count == 17)
        #expect(tally.counts.reduce(0) { $0 + $1.count } == 1_000)
        #expect(tally.counts.first { $0.address == nil }?.count == 984)
        // A minute later the old rows make room for a new address.
        tally.count(.evicted, at: .xks, from: prefix(5_000), now: 161)
        #expect(tally.counts.contains { $0.address == prefix(5_000) })
        #expect(tally.counts.reduce(0) { $0 + $1.count } == 1_001)
        #expect(tally.counts.first { $0.address == nil }?.first == 100)
    }

    @Test func isBoundedAndExactUnderRandomCounts() {
        var random = RandomChoice(seed: 20_261)
        var tally = RefusalTally(capacity: 8)
        var expected: [RefusalKind: Int] = [:]
        var now: Int64 = 1_000
        for round in 0..<20_000 {
            now += Int64(random.below(40)) - 2
            let kind = RefusalKind.allCases[random.below(RefusalKind.allCases.count)]
            expected[kind, default: 0] += 1
            tally.count(kind, at: .xks, from: random.below(5) == 0 ? nil : prefix(random.below(40)), now: now)
            if round % 100 == 0 { #expect(tally.counts.count { $0.address != nil } <= 8) }
        }
        var found: [RefusalKind: Int] = [:]
        for row in tally.counts {
            found[row.kind, default: 0] += row.count
            #expect(row.first <= row.last)
        }
        #expect(found == expected)
    }

    @Test func shortensWhatAPeerCanMakeLong() {
        var tally = RefusalTally()
        tally.count(.handshakeFailed, at: .xks, from: nil, detail: String(repeating: "é", count: 500), now: 1)
        #expect(tally.counts.first?.detail.map { $0.utf8.count <= 203 } == true)
    }

    @Test func aPrefixIsAnIPv4AddressOrTheNetworkOfAnIPv6Address() throws {
        #expect(NetworkAddress("192.0.2.1")?.prefix.description == "192.0.2.1")
        #expect(NetworkAddress("2001:db8:1:2:3::4")?.prefix.description == "2001:db8:1:2::/64")
        #expect(NetworkAddress("2001:db8:1:2::9")?.prefix == NetworkAddress("2001:db8:1:2:3::4")?.prefix)
        #expect(NetworkAddress("::ffff:192.0.2.1") == NetworkAddress("192.0.2.1"))
        #expect(NetworkAddress(hostAndPort: "[2001:db8::1]:443") == NetworkAddress("2001:db8::1"))
        #expect(NetworkAddress(hostAndPort: "192.0.2.1:443") == NetworkAddress("192.0.2.1"))
        for text in ["", "1.2.3", "1.2.3.4.5", "localhost", "::1%eth0", "1.2.3.4\0", "[::1]"] {
            #expect(NetworkAddress(text) == nil, "\(text)")
        }
        #expect(NetworkAddress(bytes: [1, 2, 3]) == nil)
        #expect(NetworkAddress(bytes: [192, 0, 2, 1])?.description == "192.0.2.1")
    }
}

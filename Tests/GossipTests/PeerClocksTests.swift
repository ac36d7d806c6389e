// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Clocks of peers")
struct PeerClocksTests {
    private let second: UInt64 = 1_000_000_000

    @Test("of several messages the least delayed counts, and old ones do not")
    func delays() {
        var clocks = PeerClocks()
        clocks.note("a", sentAt: 10_000, wall: 10_800, now: 1 * second)
        clocks.note("a", sentAt: 11_000, wall: 11_001, now: 2 * second)
        clocks.note("a", sentAt: 12_000, wall: 14_500, now: 3 * second)
        #expect(clocks.offsets(now: 4 * second) == ["a": -1])
        clocks.note("a", sentAt: 40_000, wall: 43_600, now: 33 * second)
        #expect(clocks.offsets(now: 34 * second) == ["a": -3_600], "the clock was set")
        #expect(clocks.offsets(now: 100 * second).isEmpty)
    }

    @Test("no time from outside does harm")
    func extremes() {
        var clocks = PeerClocks()
        clocks.note("a", sentAt: .min, wall: 1_000, now: 1)
        clocks.note("b", sentAt: .max, wall: -1_000, now: 1)
        clocks.note("c", sentAt: .max, wall: 1_000, now: 1)
        #expect(clocks.offsets(now: 2) == ["c": .max - 1_000])
        for number in 0..<5_000 { clocks.note("peer-\(number)", sentAt: 0, wall: 0, now: 3) }
        #expect(clocks.offsets(now: 4).count == 1_024)
    }
}

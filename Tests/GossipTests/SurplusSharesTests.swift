// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: how much of what a node cannot do a peer is given")
struct SurplusSharesTests {
    private let millisecond: UInt64 = 1_000_000

    /// Offers a request each millisecond for so long; how many were given.
    private func given(
        _ shares: inout SurplusShares, spare: UInt32, from: UInt64, milliseconds: UInt64, refusing: Bool = false
    ) -> Int {
        var count = 0
        for passed in 0..<milliseconds {
            let now = from + passed * millisecond
            guard shares.take("b", spare: spare, time: 20 * millisecond, now: now) else { continue }
            count += 1
            shares.answered("b", isRefusal: refusing, now: now)
        }
        return count
    }

    @Test("half of its room at first, all of it in the end, and none where there is none")
    func grows() {
        var shares = SurplusShares()
        #expect(given(&shares, spare: 0, from: 0, milliseconds: 1_000) == 0)
        #expect((50...70).contains(given(&shares, spare: 100, from: 0, milliseconds: 1_000)))
        _ = given(&shares, spare: 100, from: 1_000 * millisecond, milliseconds: 3_000)
        #expect((98...102).contains(given(&shares, spare: 100, from: 4_000 * millisecond, milliseconds: 1_000)))
    }

    @Test("one that refuses is asked little within half a second, and never forgotten")
    func refuses() {
        var shares = SurplusShares()
        let before = given(&shares, spare: 800, from: 0, milliseconds: 500, refusing: true)
        let after = given(&shares, spare: 800, from: 500 * millisecond, milliseconds: 1_000, refusing: true)
        #expect(before < 120, "\(before)")
        #expect((10...60).contains(after), "\(after)")
        _ = given(&shares, spare: 800, from: 1_500 * millisecond, milliseconds: 6_000)
        #expect(given(&shares, spare: 800, from: 7_500 * millisecond, milliseconds: 1_000) > 780)
    }

    /// A peer that hung was given all that came until it was suspected: 73 of 275 requests failed in that second.
    @Test("one that does not answer is given a few, and no more until it does")
    func hangs() {
        var shares = SurplusShares()
        var given = 0
        for passed in 0..<1_000 as Range<UInt64> {
            if shares.take("b", spare: 200, time: 25 * millisecond, now: passed * millisecond) { given += 1 }
        }
        // 200/s for 25 ms are five under way.
        #expect((6...13).contains(given), "\(given)")
        for _ in 0..<given { shares.answered("b", isRefusal: true, now: 1_000 * millisecond) }
        let again = shares.take("b", spare: 200, time: 25 * millisecond, now: 1_100 * millisecond)
        #expect(again)
    }

    @Test("each peer by itself; a pause saves up no more than a twentieth of a second")
    func apart() {
        var shares = SurplusShares()
        _ = given(&shares, spare: 1_000, from: 0, milliseconds: 4_000)
        let later: UInt64 = 30_000 * millisecond
        var burst = 0
        while shares.take("b", spare: 1_000, time: 20 * millisecond, now: later) {
            shares.answered("b", isRefusal: false, now: later)
            burst += 1
        }
        #expect(burst == 50)
        let other = shares.take("c", spare: 1, time: millisecond, now: later)
        #expect(other)
    }
}

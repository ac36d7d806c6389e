// SPDX-License-Identifier: Apache-2.0
import Chance
import Quota
import SeededRandom
import Testing

let second: UInt64 = 1_000_000_000
let alone = QuotaShare(live: 1, members: 1)

extension QuotaBuckets {
    /// How many of so many requests at one moment are let through.
    mutating func admitted(
        _ requests: Int, of principal: String, _ limits: QuotaLimits, share: QuotaShare = alone, at now: UInt64
    ) -> Int {
        (0..<requests).count { _ in
            admit(PrincipalKey(principal), limits: limits, share: share, now: now) == .admitted
        }
    }
}

func store(_ perSecond: Int, burst: Int) -> QuotaLimits {
    QuotaLimits(store: QuotaRate(perSecond: perSecond, burst: burst), principal: nil)
}

func principal(_ perSecond: Int, burst: Int) -> QuotaLimits {
    QuotaLimits(store: nil, principal: QuotaRate(perSecond: perSecond, burst: burst))
}

@Suite("Buckets of a quota")
struct QuotaBucketsTests {
    @Test("a principal has its burst at once, and its rate after it")
    func ownBucket() {
        var buckets = QuotaBuckets()
        let limits = principal(10, burst: 30)
        #expect(buckets.admitted(100, of: "a", limits, at: 5 * second) == 30)
        #expect(buckets.admitted(1, of: "a", limits, at: 5 * second + second / 10 - 1) == 0)
        #expect(buckets.admitted(2, of: "a", limits, at: 5 * second + second / 10) == 1)
        #expect(buckets.admitted(100, of: "a", limits, at: 6 * second) == 9)
        #expect(buckets.admitted(100, of: "b", limits, at: 6 * second) == 30)
        #expect(buckets.admitted(100, of: "a", limits, at: 100 * second) == 30)
        let counts = buckets.counts(now: 100 * second)
        #expect(counts.refusedByPrincipal == 70 + 1 + 1 + 91 + 70 + 70 && counts.refusedByStore == 0)
        #expect(counts.admitted == 30 + 1 + 9 + 30 + 30)
        #expect(counts.principals == 2 && counts.principalsRefused == 1 && counts.shared == 0)
    }

    @Test("one principal alone has the store's rate, and four fifths of its burst; the last fifth is for others")
    func storeBucket() {
        var buckets = QuotaBuckets()
        let limits = store(100, burst: 50)
        #expect(buckets.admitted(1_000, of: "a", limits, at: second) == 40)
        #expect(buckets.admitted(1_000, of: "b", limits, at: second) == 8)
        #expect(buckets.admitted(1_000, of: "c", limits, at: second) == 2)
        #expect(buckets.admitted(1_000, of: "d", limits, at: second) == 0)
        // Within ten seconds of a flood: its burst has been had, and 100 a second come.
        var flood = QuotaBuckets()
        let sum = (0..<10_000).map { flood.admitted(3, of: "a", limits, at: UInt64($0) * 1_000_000) }.reduce(0, +)
        #expect(sum == 40 + 999)
        #expect(flood.counts(now: 10 * second).refusedByStore == 30_000 - 1_039)
    }

    @Test("a burst of one request lets each through at its time, and none before")
    func smallest() {
        var buckets = QuotaBuckets()
        let limits = QuotaLimits(
            store: QuotaRate(perSecond: 1, burst: 1), principal: QuotaRate(perSecond: 1, burst: 1))
        for at in 0..<20 {
            #expect(buckets.admitted(3, of: "a", limits, at: UInt64(at) * second) == 1)
            #expect(buckets.admitted(1, of: "b", limits, at: UInt64(at) * second + second - 1) == 0)
        }
    }

    @Test("a request that the principal's limit refuses takes nothing from the store, nor the other way round")
    func bothLimits() {
        var buckets = QuotaBuckets()
        let limits = QuotaLimits(
            store: QuotaRate(perSecond: 10, burst: 10), principal: QuotaRate(perSecond: 1, burst: 3))
        #expect(buckets.admitted(1_000, of: "a", limits, at: second) == 3)
        #expect(buckets.admitted(1_000, of: "b", limits, at: second) == 3)
        #expect(buckets.admitted(1_000, of: "c", limits, at: second) == 3)
        #expect(buckets.admitted(1_000, of: "d", limits, at: second) == 1)
        #expect(buckets.counts(now: second).refusedByPrincipal == 3 * 997)
        // What the store refused d has not been charged to it.
        #expect(buckets.admitted(9, of: "d", limits, at: 2 * second) == 3)
    }

    @Test(
        "each node that lives has its part, and no less than a member's",
        arguments: [(1, 1, 60), (2, 3, 30), (3, 3, 20), (3, 2, 30), (0, 0, 60), (-7, 5, 60), (.max, .max, 1)])
    func share(live: Int, members: Int, expected: Int) {
        let share = QuotaShare(live: live, members: members)
        var buckets = QuotaBuckets()
        #expect(buckets.admitted(1_000, of: "a", principal(60, burst: 60), share: share, at: second) == expected)
        var rate = QuotaBuckets()
        let limits = principal(50, burst: 1)
        let sum = (0..<1_000).map { rate.admitted(1, of: "a", limits, share: share, at: UInt64($0) * second / 100) }
        // A request each 20 ms, and of two and three nodes each 40 and 60 ms, for ten seconds.
        let period = share.divisor * 2
        #expect(sum.reduce(0, +) == (999 + period) / period)
    }

    @Test("a node that dies and another limit change what is let through from then on, and forget no debt")
    func changes() {
        var buckets = QuotaBuckets()
        let two = QuotaShare(live: 2, members: 2)
        #expect(buckets.admitted(100, of: "a", principal(10, burst: 40), share: two, at: second) == 20)
        // The burst of both, of which 20 requests counted twice.
        #expect(buckets.admitted(100, of: "a", principal(10, burst: 40), at: second) == 0)
        #expect(buckets.admitted(100, of: "a", principal(10, burst: 50), at: second) == 10)
        #expect(buckets.admitted(100, of: "a", principal(10, burst: 5), at: 2 * second) == 0)
        #expect(buckets.admitted(100, of: "a", principal(10, burst: 5), at: 6 * second) == 5)
    }

    @Test("a clock that goes back, stands still or leaps gives nothing too much")
    func clocks() {
        var buckets = QuotaBuckets()
        let limits = QuotaLimits(
            store: QuotaRate(perSecond: 1_000_000, burst: 10), principal: QuotaRate(perSecond: 1_000_000, burst: 5))
        #expect(buckets.admitted(9, of: "a", limits, at: 100 * second) == 5)
        #expect(buckets.admitted(9, of: "a", limits, at: 0) == 0)
        #expect(buckets.admitted(9, of: "a", limits, at: 100 * second) == 0)
        #expect(buckets.admitted(9, of: "a", limits, at: .max) == 5)
        #expect(buckets.admitted(9, of: "a", limits, at: .max) == 0)
        #expect(buckets.admitted(9, of: "b", limits, at: 0) == 4)
        #expect(buckets.counts(now: 0).principalsRefused == 2)
    }

    @Test("numbers out of range count as the nearest one that is within")
    func bounds() {
        #expect(QuotaRate(perSecond: .max, burst: .min) == QuotaRate(perSecond: 1_000_000, burst: 1))
        #expect(QuotaRate(perSecond: 0, burst: 0) == QuotaRate(perSecond: 1, burst: 1))
        var buckets = QuotaBuckets()
        let share = QuotaShare(live: .max, members: .max)
        #expect(buckets.admitted(2_000, of: "a", principal(1_000_000, burst: 1_000_000), share: share, at: 9) == 244)
    }
}

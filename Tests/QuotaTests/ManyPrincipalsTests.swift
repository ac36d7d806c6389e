// SPDX-License-Identifier: Apache-2.0
import Quota
import Testing

@Suite("Principals beyond number")
struct ManyPrincipalsTests {
    private let limits = principal(1, burst: 2)

    @Test("10,000 have a bucket of their own, and the rest share one")
    func bounded() {
        var buckets = QuotaBuckets()
        for number in 0..<10_000 { #expect(buckets.admitted(3, of: "p\(number)", limits, at: second) == 2) }
        let others = (0..<5_000).map { buckets.admitted(3, of: "q\($0)", limits, at: second) }
        #expect(others.reduce(0, +) == 2 && others[0] == 2)
        let counts = buckets.counts(now: second)
        #expect(counts.principals == 10_000 && counts.shared == 15_000 && counts.principalsRefused == 10_000)
    }

    @Test("the bucket that was used least recently goes to another principal once nothing is owed there, not before")
    func replaced() {
        var buckets = QuotaBuckets(mostPrincipals: 2)
        #expect(buckets.admitted(3, of: "a", limits, at: second) == 2)
        #expect(buckets.admitted(3, of: "b", limits, at: 2 * second) == 2)
        // a owes until 3 s; c has its part of the shared bucket.
        #expect(buckets.admitted(1, of: "c", limits, at: 3 * second - 1) == 1)
        #expect(buckets.counts(now: 0).shared == 1)
        #expect(buckets.admitted(3, of: "c", limits, at: 3 * second) == 2)
        #expect(buckets.counts(now: 0).shared == 1)
        // Changing names does not help: b owes, and c, so a is among the others.
        #expect(buckets.admitted(3, of: "a", limits, at: 3 * second) == 1)
        #expect(buckets.counts(now: 0).principals == 2 && buckets.counts(now: 0).shared == 4)
    }

    @Test("who is known uses its bucket also where all others are new")
    func recency() {
        var buckets = QuotaBuckets(mostPrincipals: 2)
        for at in 1..<100 {
            #expect(buckets.admitted(1, of: "steady", limits, at: UInt64(at) * 3 * second) == 1)
            #expect(buckets.admitted(1, of: "new \(at)", limits, at: UInt64(at) * 3 * second) == 1)
        }
        #expect(buckets.counts(now: 0).shared == 0)
    }

    @Test("ARNs that are empty, huge, alike in what is shown or strange are principals like any other")
    func strange() {
        var buckets = QuotaBuckets()
        let huge = String(repeating: "x", count: 1_000_000)
        let names = ["", "\0", huge, huge + "y", "e\u{301}", "\u{e9}", "\u{202e}a", "a\u{0}", "A", "a"]
        for name in names { #expect(buckets.admitted(3, of: name, limits, at: second) == 2, "\(name.prefix(20))") }
        #expect(buckets.counts(now: second).principals == names.count)
    }

    @Test("ten thousand debts at once end as they should, also after hours without a pause")
    func manyDebts() {
        var buckets = QuotaBuckets()
        let limits = store(1_000_000, burst: 1_000_000)
        for number in 0..<10_000 { #expect(buckets.admitted(20, of: "p\(number)", limits, at: 0) == 20) }
        // Of 200,000 requests 100,000 are owed after a tenth of a second: ten by each, who may owe a ten-thousandth.
        #expect(buckets.admitted(1, of: "p0", limits, at: second / 10) == 1)
        #expect(buckets.admitted(1_000_000, of: "p1", limits, at: second / 10) == 89)
    }

    @Test("a flood without a pause for hours has its burst and its rate, and nothing more or less")
    func long() {
        var buckets = QuotaBuckets()
        let share = QuotaShare(live: 4_096, members: 4_096)
        let limits = store(1_000_000, burst: 1_000_000)
        let sum = (0..<13_000).map {
            buckets.admitted(26, of: "a", limits, share: share, at: UInt64($0) * second / 10)
        }
        // Of four fifths of a million, and of a million a second, each node has a 4,096th.
        let expected = (800_000 + 1_299_900_000) / 4_096
        let all = sum.reduce(0, +)
        #expect(abs(all - expected) <= 1, "\(all) for \(expected)")
    }
}

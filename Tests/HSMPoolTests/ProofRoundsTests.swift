// SPDX-License-Identifier: Apache-2.0
import HSMPool
import Testing

/// With 16631be a thousand keys on two HSMs were 3,000 lines at each start.
@Suite struct ProofRoundsTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func aTokenOfAThousandKeysIsALineAndAFewOfItsFirst() {
        var rounds = ProofRounds()
        var lines = 0
        for number in 0..<1_000 {
            let now = UInt64(number) * 5_000_000
            if rounds.counts(.canaryMade, of: "a", now: now) { lines += 1 }
            if rounds.counts(.keyProven, of: "a", now: now) { lines += 1 }
            if rounds.counts(.keyProven, of: "b", now: now) { lines += 1 }
            #expect(rounds.ended(now: now) == [])
        }
        #expect(lines == 2 * ProofRounds.saidOneByOne)
        let ended = rounds.ended(now: 8 * Self.second)
        #expect(ended.map(\.hsm) == ["a", "b"])
        #expect(ended.map(\.canariesMade) == [1_000, 0] && ended.map(\.keysProven) == [1_000, 1_000])
        #expect(rounds.ended(now: 9 * Self.second) == [])
        // The next round begins anew.
        let isSaid = rounds.counts(.keyProven, of: "a", now: 10 * Self.second)
        #expect(isSaid)
        #expect(rounds.ended(now: 20 * Self.second) == [])
    }

    @Test func aRoundThatDoesNotEndIsReportedAllTheSame() {
        var rounds = ProofRounds()
        var reported = 0
        for number in 0..<120 {
            _ = rounds.counts(.keyProven, of: "a", now: UInt64(number) * Self.second)
            reported += rounds.ended(now: UInt64(number) * Self.second).map(\.keysProven).reduce(0, +)
        }
        #expect(reported >= 60)
    }
}

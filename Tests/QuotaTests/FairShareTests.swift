// SPDX-License-Identifier: Apache-2.0
import Chance
import Quota
import SeededRandom
import Testing

@Suite("Fair shares of a key store's quota")
struct FairShareTests {
    /// What each is to get of so much, where each wants so much: everybody the same, and nobody more than he wants.
    static func maxMin(_ wanted: [Double], of rate: Double) -> [Double] {
        var shares = [Double](repeating: 0, count: wanted.count)
        var left = rate
        var number = Double(wanted.count)
        for index in wanted.indices.sorted(by: { wanted[$0] < wanted[$1] }) {
            shares[index] = min(wanted[index], left / number)
            left -= shares[index]
            number -= 1
        }
        return shares
    }

    @Test("the rule of max-min shares")
    func rule() {
        #expect(Self.maxMin([10, 40, 1_000], of: 100) == [10, 40, 50])
        #expect(Self.maxMin([10, 20], of: 100) == [10, 20])
        #expect(Self.maxMin([500, 500, 500, 500], of: 100) == [25, 25, 25, 25])
    }

    /// Principals that ask at an even pace, so many times a second each; how many requests of each are let through after
    /// the first seconds, in which bursts are used up, and how many are refused at all.
    private func run(
        _ wanted: [Int], _ limits: QuotaLimits, first: Int, seconds: Int
    ) -> (admitted: [Int], refused: [Int]) {
        var buckets = QuotaBuckets()
        var arrivals: [(at: UInt64, who: Int)] = []
        for (who, rate) in wanted.enumerated() {
            for number in 0..<(rate * (first + seconds)) {
                arrivals.append((UInt64(number) * second / UInt64(rate) + UInt64(who), who))
            }
        }
        var admitted = [Int](repeating: 0, count: wanted.count)
        var refused = admitted
        for (at, who) in arrivals.sorted(by: { $0.at < $1.at }) {
            let verdict = buckets.admit(PrincipalKey("p\(who)"), limits: limits, share: alone, now: at)
            if verdict != .admitted { refused[who] += 1 } else if at >= UInt64(first) * second { admitted[who] += 1 }
        }
        return (admitted, refused)
    }

    @Test("who asks for less than its share is never refused, however others flood; the rest is theirs in equal parts")
    func shares() {
        let wanted = [5, 20, 30, 2_000, 5_000]
        let (admitted, refused) = run(wanted, store(100, burst: 100), first: 10, seconds: 10)
        #expect(Array(refused[..<2]) == [0, 0] && Array(admitted[..<2]) == [50, 200])
        // 75 a second are left for three, of whom none wants less than 25.
        for who in 2..<5 { #expect(abs(admitted[who] - 250) <= 5, "\(who): \(admitted[who])") }
    }

    @Test("a hundred floods do not starve the one who comes after them")
    func latecomer() {
        var buckets = QuotaBuckets()
        let limits = store(1_800, burst: 1_800)
        for at in 0..<2_000 {
            for who in 0..<100 { _ = buckets.admitted(1, of: "flood \(who)", limits, at: UInt64(at) * 1_000_000) }
        }
        // Its share is 1,800 / 101 a second.
        for at in 0..<170 {
            for who in 0..<100 {
                _ = buckets.admitted(5, of: "flood \(who)", limits, at: 2 * second + UInt64(at) * second / 17)
            }
            #expect(buckets.admitted(1, of: "late", limits, at: 2 * second + UInt64(at) * second / 17) == 1)
        }
        #expect(buckets.counts(now: 2 * second).principalsRefused == 100)
    }

    @Test("random demands get their max-min shares", arguments: 0..<20)
    func random(seed: Int) {
        var chance = RandomChoice(seed: UInt64(seed))
        let wanted = (0..<chance.between(2, 12)).map { _ in
            chance.chance(300) ? chance.between(500, 2_000) : chance.between(1, 120)
        }
        let rate = 200
        let (admitted, refused) = run(wanted, store(rate, burst: 100), first: 10, seconds: 10)
        let shares = Self.maxMin(wanted.map(Double.init), of: Double(rate))
        let level = shares.max() ?? 0
        for who in wanted.indices {
            let expected = shares[who] * 10
            #expect(abs(Double(admitted[who]) - expected) <= 3 + expected / 20, "\(who) of \(wanted): \(admitted)")
            if Double(wanted[who]) < 0.9 * level { #expect(refused[who] == 0, "\(who) of \(wanted)") }
        }
    }

    @Test(
        "no more than the rate and one burst is let through in any time, whoever asks and whenever", arguments: 0..<30)
    func bound(seed: Int) {
        var chance = RandomChoice(seed: UInt64(1_000 + seed))
        var buckets = QuotaBuckets(mostPrincipals: chance.between(1, 6))
        let share = QuotaShare(live: chance.between(1, 3), members: 3)
        let rate = QuotaRate(perSecond: chance.between(1, 2_000), burst: chance.between(1, 300))
        let own = QuotaRate(perSecond: chance.between(1, 500), burst: chance.between(1, 100))
        let limits = QuotaLimits(
            store: chance.chance(700) ? rate : nil, principal: chance.chance(700) ? own : nil)
        var all: [UInt64] = []
        var each: [Int: [UInt64]] = [:]
        var now: UInt64 = 0
        for _ in 0..<3_000 {
            now += chance.chance(20) ? chance.between(0, second) : chance.between(0, second / 1_000)
            let who = chance.below(10)
            guard buckets.admitted(1, of: "\(who)", limits, share: share, at: now) == 1 else { continue }
            all.append(now)
            each[who, default: []].append(now)
        }
        if let rate = limits.store { expectBounded(all, rate, share.divisor) }
        if let own = limits.principal {
            for times in each.values { expectBounded(times, own, share.divisor) }
        }
    }

    /// Within every time between two requests.
    private func expectBounded(_ times: [UInt64], _ rate: QuotaRate, _ divisor: Int) {
        let (perSecond, burst) = (Double(rate.perSecond) / Double(divisor), Double(rate.burst) / Double(divisor))
        // The level of a bucket that leaks at the rate.
        var (level, last): (Double, UInt64) = (0, 0)
        for time in times {
            level = max(0, level - Double(time - last) / 1e9 * perSecond) + 1
            last = time
            #expect(level <= max(burst, 1) + 1e-6)
        }
    }
}

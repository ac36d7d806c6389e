// SPDX-License-Identifier: Apache-2.0
import Chance
import Routing
import Testing

@Suite("Concurrency limit")
struct ConcurrencyLimitTests {
    private static let lanes = 16

    /// What is asked of an HSM: as much as it is let, but now and then less. `duration` is what a call takes beside so
    /// many, nanoseconds.
    private func drive(
        _ limit: inout ConcurrencyLimit, from start: UInt64, calls: Int, seed: UInt64 = 1, duration: (Int) -> Double
    ) -> UInt64 {
        var random = RandomChoice(seed: seed)
        var now = start
        for _ in 0..<calls {
            let wanted = 1 + random.below(Self.lanes)
            let inFlight = min(wanted, Int(min(limit.limit, Double(Self.lanes))))
            let takes = duration(inFlight)
            now += UInt64(takes) / UInt64(inFlight)
            limit.record(takes, inFlight: inFlight, sentAt: now - UInt64(takes), lanes: Self.lanes, now: now)
        }
        return now
    }

    @Test("an HSM that makes one call at a time gets few; when its calls run side by side again, it gets all")
    func serial() {
        var limit = ConcurrencyLimit()
        let now = drive(&limit, from: 1_000_000_000, calls: 2_000) { 5_000_000 * Double($0) }
        #expect(limit.limit >= 1 && limit.limit <= 6, "\(limit.limit)")
        #expect(limit.dependence > 0.4)
        _ = drive(&limit, from: now, calls: 8_000) { _ in 5_000_000 }
        #expect(limit.limit == .infinity && limit.dependence < 0.2)
    }

    @Test("one whose calls run side by side is never limited, also when it becomes slow and fast again")
    func parallel() {
        var limit = ConcurrencyLimit()
        var now: UInt64 = 1_000_000_000
        for spell in 0..<10 {
            now = drive(&limit, from: now, calls: 400, seed: UInt64(spell)) { _ in
                spell % 2 == 0 ? 2_000_000 : 40_000_000
            }
            #expect(limit.limit >= 8, "\(limit.limit)")
        }
    }

    /// Always as many calls as it is let, so that nothing says whether they depend on each other.
    private func fill(
        _ limit: inout ConcurrencyLimit, from start: UInt64, calls: Int, duration: (Int) -> Double
    ) -> UInt64 {
        var now = start
        for _ in 0..<calls {
            let inFlight = min(7, Int(min(limit.limit, 7)))
            let takes = duration(inFlight)
            now += UInt64(takes) / UInt64(inFlight)
            limit.record(takes, inFlight: inFlight, sentAt: now - UInt64(takes), lanes: 7, tooLong: 120e6, now: now)
        }
        return now
    }

    /// Several nodes, which all see the same, fill an HSM that makes one call at a time.
    @Test("while calls take too long for anybody's time, and less with fewer of them, few are made")
    func tooLong() {
        var limit = ConcurrencyLimit()
        var now = fill(&limit, from: 1_000_000_000, calls: 200) { 55e6 * Double($0) }
        #expect(limit.limit <= 3 && limit.hasYielded, "\(limit.limit)")
        now = fill(&limit, from: now, calls: 300) { _ in 100e6 }
        #expect(limit.limit >= 4, "one a second: \(limit.limit)")
        _ = fill(&limit, from: now, calls: 200) { _ in 11e6 }
        #expect(limit.limit == .infinity)
    }

    /// Such an HSM was left two calls of seven for as long as it was slow, and for some seconds more.
    @Test("an HSM whose calls take too long, and no less with fewer of them, has all but for a trial now and then")
    func slowAndApart() {
        var limit = ConcurrencyLimit()
        var (now, limited) = (UInt64(1_000_000_000), 0)
        for _ in 0..<400 {
            now = fill(&limit, from: now, calls: 1) { _ in 150e6 }
            limited += limit.limit < 7 ? 1 : 0
        }
        #expect(limited > 0 && limited < 100, "\(limited) of 400")
    }

    @Test("one whose calls are known to run side by side has all of them in a slow spell, without a trial")
    func slowSpell() {
        var limit = ConcurrencyLimit()
        let now = drive(&limit, from: 1_000_000_000, calls: 400) { _ in 20e6 }
        var end = now
        for _ in 0..<400 {
            end = fill(&limit, from: end, calls: 1) { _ in 150e6 }
            #expect(limit.limit == .infinity)
        }
    }

    /// Two calls of a node at a time on an HSM that is at others' calls between them, and then at fewer of them. None is too
    /// long for a request's time, so that without their order no limit was set.
    @Test("calls that differ and never overtake each other stand in one line with others': few are made")
    func oneLine() {
        var (limit, random) = (ConcurrencyLimit(), RandomChoice(seed: 4))
        var (sentAt, now): (UInt64, UInt64) = (1_000_000_000, 1_000_000_000)
        for _ in 0..<1_000 {
            let before = now
            now += 10_000_000 + random.below(50_000_000 as UInt64)
            limit.record(Double(now - sentAt), inFlight: 2, sentAt: sentAt, lanes: Self.lanes, tooLong: 120e6, now: now)
            sentAt = before
        }
        #expect(limit.isLine && limit.limit <= 2, "\(limit.limit)")
        for _ in 0..<1_000 {
            now += 20_000_000
            let takes = 5_000_000 + random.below(5_000_000 as UInt64)
            limit.record(Double(takes), inFlight: 1, sentAt: now - takes, lanes: Self.lanes, tooLong: 120e6, now: now)
        }
        #expect(limit.limit > 8, "one a second: \(limit.limit)")
    }

    @Test("calls of such times that overtake each other run side by side: all are made")
    func overtaking() {
        var (limit, random) = (ConcurrencyLimit(), RandomChoice(seed: 4))
        var now: UInt64 = 1_000_000_000
        for _ in 0..<1_000 {
            now += 20_000_000
            let takes = 40_000_000 + random.below(60_000_000 as UInt64)
            limit.record(Double(takes), inFlight: 4, sentAt: now - takes, lanes: Self.lanes, tooLong: 120e6, now: now)
        }
        #expect(!limit.isLine && limit.limit == .infinity, "\(limit.limit)")
    }

    @Test("where a call takes microseconds, what stands in the HSM delays nobody")
    func quick() {
        var limit = ConcurrencyLimit()
        _ = drive(&limit, from: 1_000_000_000, calls: 20_000) { 50_000 * Double($0) }
        #expect(limit.limit == .infinity)
    }
}

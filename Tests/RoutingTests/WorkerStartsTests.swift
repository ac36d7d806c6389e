// SPDX-License-Identifier: Apache-2.0
import Routing
import Testing

private let second: UInt64 = 1_000 * millisecond

@Suite("The starts of a worker")
struct WorkerStartsTests {
    /// One whose worker came up in `took` and served, at `now`.
    private func served(took: UInt64 = 50 * millisecond, at now: UInt64 = 100 * second) -> WorkerStarts {
        var starts = WorkerStarts()
        starts.began(now: now - took)
        starts.cameUp(now: now)
        starts.served()
        return starts
    }

    // MARK: Pauses

    @Test("the first restart is at once, later ones wait longer, up to three seconds")
    func grows() {
        var starts = WorkerStarts()
        let pauses = (1...10).map { starts.ended(now: $0 * millisecond) / millisecond }
        #expect(pauses == [0, 100, 200, 400, 800, 1_600, 3_000, 3_000, 3_000, 3_000])
    }

    @Test("a worker that was up for ten seconds is forgiven")
    func forgives() {
        var starts = WorkerStarts()
        for _ in 0..<5 { _ = starts.ended(now: 1) }
        starts.began(now: 500)
        starts.cameUp(now: 1_000)
        #expect(starts.ended(now: 1_000 + WorkerStarts.forgiveAfter) == 0)
        starts.began(now: 1_500)
        starts.cameUp(now: 2_000)
        #expect(starts.ended(now: 3_000) > 0)
    }

    // MARK: Demand

    @Test("a pause is cut short on demand, once; a start that is under way or at once is not asked for again")
    func demand() {
        var starts = served()
        let now = 100 * second
        var granted = [starts.demand(now: now)]
        let first = starts.ended(now: now)
        granted.append(starts.demand(now: now))
        starts.began(now: now)
        granted.append(starts.demand(now: now))
        #expect(first == 0 && granted == [false, false, false], "it is up, starts at once anyway, is being started")
        starts.cameUp(now: now + millisecond)
        starts.served()
        let pause = starts.ended(now: now + 2 * millisecond)
        let (asked, again) = (starts.demand(now: now + 2 * millisecond), starts.demand(now: now + 2 * millisecond))
        #expect(pause > 0 && asked && !again, "the start has been asked for")
    }

    /// Without a bound a library that crashes right after its probe is started as often as it can crash.
    @Test("starts on demand are bounded: four at once, two a second")
    func bounded() {
        var starts = served()
        var now = 100 * second
        var count = 0
        for _ in 0..<2_000 {
            now += 5 * millisecond
            if starts.demand(now: now) {
                count += 1
                starts.began(now: now)
                starts.cameUp(now: now)
                starts.served()
            }
            _ = starts.ended(now: now)
        }
        // The first end's restart is at once, and so asks for nothing.
        #expect((22...24).contains(count), "in ten seconds: \(count)")
    }

    @Test("a worker that waits for a person is never started on demand")
    func person() {
        var starts = served()
        starts.endedForGood()
        let asked = starts.demand(now: 200 * second)
        #expect(!asked && !starts.isPromising)
        #expect(!starts.mayBeUp(by: .max, now: 200 * second))
    }

    // MARK: Whether it is worth waiting

    @Test("one that has served is waited for until three starts in a row were in vain, one that never came up once")
    func promising() {
        var starts = served()
        var now = 100 * second
        for attempt in 0..<4 {
            _ = starts.ended(now: now)
            now += second
            // The first end is that of a worker that served.
            #expect(starts.isPromising == (attempt < 3), "attempt \(attempt)")
            #expect(starts.mayBeUp(by: now + 200 * millisecond, now: now) == (attempt < 3))
            starts.began(now: now)
        }
        starts.cameUp(now: now)
        #expect(!starts.isPromising, "it has come up and may fail again, as it did before")
        starts.served()
        #expect(starts.isPromising)
        var never = WorkerStarts()
        #expect(!never.isPromising, "nobody has started it")
        never.began(now: now)
        #expect(never.isPromising && never.mayBeUp(by: now, now: now))
        _ = never.ended(now: now)
        #expect(!never.isPromising)
    }

    @Test("nobody waits for a start that would have to be twice as quick as the quickest")
    func slow() {
        let now = 200 * second
        let deadline = now + 200 * millisecond
        var quick = served(took: 390 * millisecond)
        _ = quick.ended(now: now)
        #expect(quick.mayBeUp(by: deadline, now: now))
        var slow = served(took: 7 * second)
        _ = slow.ended(now: now)
        #expect(!slow.mayBeUp(by: deadline, now: now))
        slow.began(now: now)
        #expect(!slow.mayBeUp(by: deadline, now: now))
        let later = now + 3_400 * millisecond
        #expect(slow.mayBeUp(by: later + 200 * millisecond, now: later), "by now it may come up at any moment")
    }

    // MARK: Patience

    /// Without the doubling a library that takes 7 s to log in after a start of milliseconds is killed for ever.
    @Test("patience is five starts long, at least 5 s, doubles with each start that was given up, until one comes up")
    func patience() {
        var starts = WorkerStarts()
        let longest = 30 * second
        #expect(starts.patience(longest: longest) == longest, "nobody knows how long it takes")
        starts = served(took: 50 * millisecond)
        var seen: [UInt64] = []
        for _ in 0..<5 {
            seen.append(starts.patience(longest: longest) / second)
            _ = starts.ended(now: 200 * second)
            starts.began(now: 200 * second)
            _ = starts.gaveUp()
        }
        #expect(seen == [5, 10, 20, 30, 30])
        starts.cameUp(now: 207 * second)
        #expect(starts.patience(longest: 100 * second) == 35 * second, "five times the last start")
        #expect(starts.patience(longest: longest) == longest)
        // A worker that ends by itself while it comes up says nothing of how long a start takes.
        for _ in 0..<5 {
            _ = starts.ended(now: 300 * second)
            starts.began(now: 300 * second)
        }
        #expect(starts.patience(longest: 100 * second) == 35 * second)
        for _ in 0..<100 { _ = starts.gaveUp() }
        #expect(starts.patience(longest: .max) > 35 * second, "no number is too large")
    }
}

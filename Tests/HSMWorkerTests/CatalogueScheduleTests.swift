// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import Testing

private let second: UInt64 = 1_000_000_000

@Suite("Catalogue schedule")
struct CatalogueScheduleTests {
    /// A round from `now` on that costs so much.
    private func round(_ schedule: inout CatalogueSchedule, now: UInt64, cost: UInt64) -> UInt64 {
        schedule.begin(now: now)
        schedule.spent(cost)
        schedule.end(now: now + cost, isComplete: true, jitter: 0.5)
        return now + cost
    }

    @Test("the first round is due at once, the next after the interval")
    func interval() {
        var schedule = CatalogueSchedule(interval: 5 * second)
        #expect(schedule.isDue(0))
        let end = round(&schedule, now: 100 * second, cost: second / 100)
        #expect(!schedule.isDue(end + 4 * second))
        #expect(schedule.isDue(end + 5 * second))
    }

    @Test("rounds take at most a tenth of the time, however long one takes")
    func share() {
        for cost in [second / 1_000, second, 15 * second, 500 * second] {
            var schedule = CatalogueSchedule(interval: 5 * second)
            var (now, busy): (UInt64, UInt64) = (0, 0)
            for _ in 0..<50 {
                // Without: 17 % of the time at 1 s, 75 % at 15 s, 99 % at 500 s.
                now = round(&schedule, now: max(now, schedule.next), cost: cost)
                busy += cost
            }
            #expect(Double(busy) / Double(schedule.next) < 0.102, "\(cost)")
        }
    }

    @Test("there is time to read known keys again up to a tenth of the interval")
    func rereading() {
        var schedule = CatalogueSchedule(interval: 5 * second)
        schedule.begin(now: 0)
        schedule.spent(second / 2 - 1)
        #expect(schedule.mayReadAgain)
        schedule.spent(1)
        #expect(!schedule.mayReadAgain)
        schedule.end(now: second, isComplete: true, jitter: 0)
        schedule.begin(now: 9 * second)
        #expect(schedule.mayReadAgain)
    }

    @Test("a round that is asked for begins at once, but never takes more than half of the time")
    func demanded() {
        var schedule = CatalogueSchedule(interval: 5 * second)
        let end = round(&schedule, now: 0, cost: 2 * second)
        #expect(!schedule.isUrgent)
        schedule.demand(isUrgent: true)
        #expect(schedule.isUrgent)
        #expect(schedule.next == end + 2 * second)
        schedule.begin(now: schedule.next)
        // Another one asks meanwhile: the round under way may have missed what it is about.
        schedule.demand(isUrgent: false)
        schedule.spent(second)
        schedule.end(now: 6 * second, isComplete: true, jitter: 0)
        #expect(schedule.next == 7 * second)
        #expect(!schedule.isUrgent)
        schedule.begin(now: 7 * second)
        schedule.end(now: 7 * second, isComplete: true, jitter: 0.5)
        #expect(schedule.next == 12 * second)
    }

    @Test("a demand before anything was read is no reason to wait")
    func demandedFirst() {
        var schedule = CatalogueSchedule(interval: 5 * second)
        schedule.demand(isUrgent: true)
        #expect(schedule.next == 0)
    }

    @Test("what a long first round has read is reported after a second, and more and more rarely")
    func reporting() {
        var schedule = CatalogueSchedule(interval: 5 * second)
        schedule.begin(now: 0)
        var reported: [UInt64] = []
        for now in stride(from: 0, through: 200 * second, by: Int(second)) where schedule.isTimeToReport(now) {
            reported.append(now / second)
        }
        #expect(reported == [1, 3, 7, 15, 31, 61, 91, 121, 151, 181])
        // Begun anew, after a failure: it goes on.
        schedule.begin(now: 200 * second)
        if schedule.isTimeToReport(201 * second) { Issue.record("told once more") }
        schedule.end(now: 202 * second, isComplete: true, jitter: 0)
        schedule.begin(now: 300 * second)
        if schedule.isTimeToReport(400 * second) { Issue.record("told once more") }
    }
}

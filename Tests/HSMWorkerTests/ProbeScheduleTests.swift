// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import Testing

@Suite("When the keeper probes")
struct ProbeScheduleTests {
    private static let second: UInt64 = 1_000_000_000

    @Test("At once at first, then at the interval, give or take a tenth", arguments: [0, 0.5, 0.999])
    func healthy(jitter: Double) {
        var schedule = ProbeSchedule(interval: 5 * Self.second)
        #expect(schedule.next == 0)
        let goesOn = schedule.record(passed: true, now: 100 * Self.second, jitter: jitter)
        #expect(goesOn)
        #expect(schedule.next >= 104 * Self.second + Self.second / 2)
        #expect(schedule.next <= 105 * Self.second + Self.second / 2)
    }

    @Test("After a failure soon, and three in a row are enough")
    func failing() {
        var schedule = ProbeSchedule(interval: 5 * Self.second)
        var now: UInt64 = 100 * Self.second
        for round in 1...3 {
            let goesOn = schedule.record(passed: false, now: now, jitter: 0)
            #expect(goesOn == (round < 3))
            #expect(schedule.next > now)
            #expect(schedule.next - now <= ProbeSchedule.retryInterval / 10 * 11)
            now = schedule.next
        }
        #expect(now - 100 * Self.second < 2 * Self.second)
    }

    @Test("A probe that passes forgets the failures")
    func recovering() {
        var schedule = ProbeSchedule(interval: 5 * Self.second)
        var now: UInt64 = 0
        for _ in 0..<10 {
            for passed in [false, false, true] {
                let goesOn = schedule.record(passed: passed, now: now, jitter: 0.5)
                #expect(goesOn)
                now = schedule.next
            }
        }
    }

    @Test("Probes that others ask for in a hurry do not end the worker")
    func hurry() {
        var schedule = ProbeSchedule(interval: 5 * Self.second)
        let start: UInt64 = 7 * Self.second
        for millisecond in 0..<300 as Range<UInt64> {
            let goesOn = schedule.record(passed: false, now: start + millisecond * 1_000_000, jitter: 0)
            #expect(goesOn)
        }
        let afterTwo = schedule.record(passed: false, now: start + Self.second / 2, jitter: 0)
        #expect(afterTwo)
        let afterThree = schedule.record(passed: false, now: start + Self.second, jitter: 0)
        #expect(!afterThree)
    }

    @Test("An interval shorter than the pause after a failure is kept")
    func shortInterval() {
        var schedule = ProbeSchedule(interval: 50_000_000)
        for round in 1...3 {
            let goesOn = schedule.record(passed: false, now: schedule.next, jitter: 0.5)
            #expect(goesOn == (round < 3))
            #expect(schedule.next == UInt64(round) * 50_000_000)
        }
    }
}

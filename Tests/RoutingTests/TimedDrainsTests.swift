// SPDX-License-Identifier: Apache-2.0
import Routing
import Testing

@Suite("HSMs that are drained for a time")
struct TimedDrainsTests {
    private let second: UInt64 = 1_000_000_000

    private func prolong(_ drains: inout TimedDrains, _ hsm: String, seconds: Int, now: UInt64) -> Bool {
        drains.prolong(hsm, seconds: seconds, now: now)
    }

    @Test("one comes back when its time is over, once")
    func over() {
        var drains = TimedDrains()
        drains.begin("a", seconds: 15, now: 100 * second, unixSeconds: 7)
        #expect(drains.contains("a") && drains.begin(of: "a") == 7 && !drains.contains("b"))
        #expect(drains.takeEnded(now: 115 * second - 1) == [])
        #expect(drains.takeEnded(now: 115 * second) == ["a"])
        #expect(drains.takeEnded(now: 200 * second) == [] && !drains.contains("a") && drains.begin(of: "a") == nil)
    }

    @Test("it stays out as long as somebody prolongs it, and cannot be prolonged when it is over")
    func prolonged() {
        var drains = TimedDrains()
        drains.begin("a", seconds: 15, now: 0, unixSeconds: 0)
        for number in 1...10 {
            #expect(prolong(&drains, "a", seconds: 15, now: UInt64(number) * 10 * second))
            #expect(drains.takeEnded(now: UInt64(number) * 10 * second) == [])
        }
        // Over, and not taken yet: whoever comes so late must not keep it out again.
        #expect(!prolong(&drains, "a", seconds: 15, now: 115 * second))
        #expect(!prolong(&drains, "b", seconds: 15, now: 0))
        #expect(drains.takeEnded(now: 115 * second) == ["a"])
    }

    @Test("an operator's order takes its place")
    func forgotten() {
        var drains = TimedDrains()
        drains.begin("a", seconds: 15, now: 0, unixSeconds: 0)
        drains.forget("a")
        #expect(!prolong(&drains, "a", seconds: 15, now: second) && drains.takeEnded(now: .max) == [])
    }

    @Test("no time is longer than the longest", arguments: [Int.min, 0, 301, Int.max])
    func bounds(_ seconds: Int) {
        var drains = TimedDrains()
        drains.begin("a", seconds: seconds, now: 5, unixSeconds: 0)
        #expect(drains.takeEnded(now: 5) == [] && drains.takeEnded(now: 5 + 300 * second) == ["a"])
    }
}

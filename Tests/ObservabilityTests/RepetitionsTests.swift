// SPDX-License-Identifier: Apache-2.0
import Logging
import Observability
import Synchronization
import Testing

/// With 16631be a wrong label, or a limit that was reached, was a line every two or three seconds for ever.
@Suite struct RepetitionsTests {
    @Test func whatGoesOnForHoursHasALineAtGrowingIntervals() {
        var repetitions = Repetitions()
        var lines: [(at: Int64, times: Int)] = []
        var said = 0
        for now in stride(from: Int64(1_000), to: 1_000 + 6 * 3_600, by: 3) {
            guard let times = repetitions.happened("a", now: now) else { continue }
            lines.append((now - 1_000, times))
            said += times
        }
        #expect(lines.first?.at == 0 && lines.first?.times == 1)
        #expect(lines.dropFirst().prefix(4).map(\.at) == [12, 33, 75, 156])
        #expect(lines.dropFirst().prefix(2).map(\.times) == [4, 7])
        #expect(lines.count < 20 && lines.count > 10, "\(lines)")
        // Every time is in a count, or still to come.
        #expect(said <= 6 * 1_200 && said > 5 * 1_200)
        #expect(repetitions.ended(now: 1_000 + 6 * 3_600) == [])
        let ended = repetitions.ended(now: 1_000 + 6 * 3_600 + 120)
        #expect(ended.map { [$0.key, "\($0.times)", "\($0.seconds)"] } == [["a", "7200", "\(6 * 3_600 - 3)"]])
        #expect(repetitions.ended(now: 1_000_000) == [])
    }

    @Test func whatHappensOnceIsSaidOnce() {
        var repetitions = Repetitions()
        #expect(repetitions.happened("a", now: 5) == 1)
        #expect(repetitions.ended(now: 500) == [])
        // After a pause it is news.
        #expect(repetitions.happened("a", now: 501) == 1)
        #expect(repetitions.happened("a", now: 701) == 1)
        #expect(repetitions.happened("b", now: 701) == 1)
    }

    @Test func manyThingsTakeNoMoreRoom() {
        var repetitions = Repetitions(capacity: 4)
        for number in 0..<1_000 { #expect(repetitions.happened("\(number)", now: Int64(number / 10)) == 1) }
        #expect(repetitions.happened("999", now: 100) == nil)
        #expect(repetitions.happened("0", now: 100) == 1)
    }

    @Test func theHandlerLeavesThemOutAndSaysWhenTheyAreOver() throws {
        let pipe = try TestPipe()
        let sink = LogSink(descriptor: pipe.writing)
        let clock = Atomic<Int>(0)
        let repeated = RepeatedLines { Int64(clock.load(ordering: .relaxed)) }
        let logger = Logger(label: "test") { LineLogHandler(label: $0, sink: sink, repeated: repeated) }
        for second in 0..<12 {
            clock.store(second, ordering: .relaxed)
            logger.error("hsm not usable", metadata: ["hsm": "a", "pid": "\(second)", "reason": "no token"])
            // Orders and the like are no repetitions, even where they are alike.
            logger.notice("order", metadata: ["order": "reload"])
            // Nor are changes.
            logger.warning("hsm state", metadata: ["hsm": "a", "state": "unavailable"])
        }
        logger.error("hsm not usable", metadata: ["hsm": "b", "reason": "no token"])
        repeated.sayWhatHasEnded(logger)
        clock.store(200, ordering: .relaxed)
        repeated.sayWhatHasEnded(logger)
        logger.critical("end")
        #expect(sink.close())
        var lines: [String] = []
        while lines.last?.contains("end") != true {
            let more = pipe.lines(1)
            try #require(!more.isEmpty)
            lines += more
        }
        #expect(lines.count { $0.contains(#""message":"order""#) } == 12)
        #expect(lines.count { $0.contains(#""message":"hsm state""#) } == 12)
        let unusable = lines.filter { $0.contains(#""message":"hsm not usable""#) }
        #expect(unusable.count == 3)
        #expect(!unusable[0].contains("repeated") && unusable[1].contains(#""repeated":10"#))
        #expect(unusable[2].contains(#""hsm":"b""#))
        let over = lines.filter { $0.contains("not seen any more") }
        #expect(over.count == 1)
        #expect(over.first?.contains(#""what":"hsm not usable, hsm=a, reason=no token""#) == true)
        #expect(over.first?.contains(#""times":"12""#) == true)
    }
}

// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Observability
import Testing

@Suite struct RefusalReportTests {
    private func address(_ number: Int) -> AddressPrefix? {
        NetworkAddress("10.0.\(number >> 8 & 255).\(number & 255)")?.prefix
    }

    @Test func theFirstIsSaidAtOnceAndTheRestEverMoreSeldom() {
        var tally = RefusalTally()
        var report = RefusalReport()
        var times: [Int64] = []
        var said = 0
        for now in 0..<8_000 as Range<Int64> {
            tally.count(.plainHTTP, at: .xks, from: address(1), now: now)
            let lines = report.lines(of: tally.counts, now: now).lines
            #expect(lines.count <= 1)
            guard let line = lines.first else { continue }
            times.append(now)
            said += line.count
            #expect(line.total == said && line.kind == .plainHTTP && line.address == address(1))
        }
        #expect(times == [0, 60, 180, 420, 900, 1_860, 3_780, 7_380])
    }

    @Test func whatHasBeenQuietForAnHourIsNew() {
        var tally = RefusalTally()
        var report = RefusalReport()
        var times: [Int64] = []
        for now in [0, 10, 70, 80, 5_000, 5_010, 5_070] as [Int64] {
            tally.count(.evicted, at: .control, from: address(1), now: now)
            if !report.lines(of: tally.counts, now: now).lines.isEmpty { times.append(now) }
        }
        #expect(times == [0, 70, 5_000, 5_070])
    }

    @Test func nothingNewIsNoLine() {
        var tally = RefusalTally()
        var report = RefusalReport()
        tally.count(.notTLS, at: .xks, from: address(1), now: 0)
        #expect(report.lines(of: tally.counts, now: 0).lines.count == 1)
        #expect(report.lines(of: tally.counts, now: 1_000) == RefusalReport.Lines())
    }

    /// However many addresses there are: twenty lines in a minute, and the sum of the others.
    @Test func aFloodOfAddressesIsASum() {
        var tally = RefusalTally()
        var report = RefusalReport()
        for number in 0..<400 { tally.count(.notTLS, at: .xks, from: address(number), now: 100) }
        let lines = report.lines(of: tally.counts, now: 100)
        #expect(lines.lines.count == RefusalReport.mostPerMinute)
        #expect(lines.lines.map(\.count).reduce(0, +) + lines.others == 400)
        #expect(report.lines(of: tally.counts, now: 101) == RefusalReport.Lines())
    }

    /// What a row had that made room is not said again as one of unknown addresses.
    @Test func whatMakesRoomIsNotSaidTwice() {
        var tally = RefusalTally(capacity: 2)
        var report = RefusalReport()
        var said = 0
        for now in 0..<1_000 as Range<Int64> {
            tally.count(.notTLS, at: .xks, from: address(Int(now) / 70), now: now)
            let lines = report.lines(of: tally.counts, now: now)
            said += lines.lines.map(\.count).reduce(0, +) + lines.others
            #expect(lines.lines.allSatisfy { $0.count > 0 && $0.count <= $0.total })
            #expect(said <= tally.sum)
        }
        #expect(said > 500)
    }
}

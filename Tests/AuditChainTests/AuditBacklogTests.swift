// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain
import Testing
import XKSProtocol

@Suite("Records on their way to the disk")
struct AuditBacklogTests {
    private let ms: UInt64 = 1_000_000

    private func backlog(_ rule: FullDiskRule, capacity: Int = 100_000) -> AuditBacklog<Int> {
        AuditBacklog(.init(rule: rule, patience: 50 * ms, capacity: capacity))
    }

    private func record(_ number: UInt64 = 1) -> RecordText {
        RecordText(TestChain.trace(number), at: AuditTime(seconds: 1), node: "fra-1")
    }

    private func says(_ released: [AuditBacklog<Int>.Released]) -> [String] {
        released.map { "\($0.ticket) \($0.verdict)" }
    }

    @Test("answers leave when their records are written, in their order, and not before")
    func well() {
        var log = backlog(.continue)
        for number in 0..<5 { #expect(log.submit(record(), number, now: 0) == nil) }
        #expect(log.take(after: 10, limit: 3).count == 3)
        #expect(log.wrote(0).isEmpty)
        #expect(says(log.wrote(2)) == ["0 answer", "1 answer"])
        #expect(says(log.wrote(3)) == ["2 answer"])
        #expect(log.take(after: 13, limit: 100).count == 2)
        #expect(says(log.wrote(2)) == ["3 answer", "4 answer"])
        #expect(!log.hasWork && log.keptBytes == 0 && log.recovered() == nil)
    }

    @Test("a stalled disk counts as a full one after the patience; a pause of the process does not")
    func stalled() {
        var log = backlog(.continue)
        _ = log.submit(record(), 1, now: 0)
        _ = log.take(after: 0, limit: 10)
        for moment in stride(from: 0, to: 50, by: 10) as StrideTo<UInt64> {
            #expect(log.tick(now: moment * ms, interval: 10 * ms).isEmpty)
        }
        #expect(says(log.tick(now: 50 * ms, interval: 10 * ms)) == ["1 answer"])
        #expect(log.gap?.late == 1)

        log = backlog(.continue)
        _ = log.submit(record(), 1, now: 0)
        #expect(log.tick(now: 0, interval: 10 * ms).isEmpty)
        #expect(log.tick(now: 900 * ms, interval: 10 * ms).isEmpty)
        #expect(log.tick(now: 940 * ms, interval: 10 * ms).isEmpty)
        #expect(says(log.tick(now: 950 * ms, interval: 10 * ms)) == ["1 answer"])
    }

    @Test("going on: what waits is answered, kept while there is room and then lost, and the gap says how much of each")
    func goesOn() {
        let size = record().bytes.count
        var log = backlog(.continue, capacity: 5 * size)
        for number in 1...3 { _ = log.submit(record(), number, now: 0) }
        _ = log.take(after: 0, limit: 2)
        #expect(says(log.wrote(1)) == ["1 answer"])
        #expect(says(log.failed("No space left on device", now: 7)) == ["2 answer", "3 answer"])
        #expect(!log.isRefusing)
        for number in 4...8 { #expect(log.submit(record(), number, now: 8) == .answer) }
        #expect(log.gap?.late == 2 + 2 && log.gap?.lost == 3)
        #expect(log.recovered() == nil)
        #expect(log.wrote(2).isEmpty)
        #expect(log.recovered() == nil)
        #expect(log.take(after: 2, limit: 100).count == 3)
        #expect(log.wrote(3).isEmpty)
        let gap = log.recovered()
        #expect(gap?.from == 7 && gap?.cause == "No space left on device" && gap?.lost == 3 && gap?.refused == 0)
        #expect(log.gap == nil && log.past.gaps == 1 && log.past.late == 4 && log.past.lost == 3)
        #expect(log.submit(record(), 9, now: 9) == nil)
    }

    @Test("refusing: what waits is refused, also what has its place already, and what comes; orders are kept")
    func refuses() {
        var log = backlog(.refuse)
        for number in 1...4 { _ = log.submit(record(), number, now: 0) }
        _ = log.take(after: 100, limit: 3)
        #expect(says(log.wrote(1)) == ["1 answer"])
        #expect(says(log.failed("I/O error", now: 1)) == ["2 refuse", "3 refuse", "4 refuse"])
        #expect(log.isRefusing && log.submit(record(), 5, now: 2) == .refuse)
        log.note(record(), now: 3)
        #expect(log.wrote(3).isEmpty)
        // The order alone is left: the one that was refused before it had a place is gone.
        #expect(log.take(after: 103, limit: 10).count == 1)
        #expect(log.wrote(1).isEmpty)
        let gap = log.recovered()
        #expect(gap?.refused == 4 && gap?.unanswered == 102...103 && gap?.late == 1 && gap?.lost == 0)
        #expect(!log.isRefusing)
        log.synced("fsync: I/O error")
        #expect(log.isRefusing)
        log.synced(nil)
        #expect(!log.isRefusing)
    }
}

@Suite("Heads that nodes tell one another")
struct HeadHistoryTests {
    private func head(_ seq: UInt64, run: UInt64 = 1, _ digit: String = "a") -> AuditHead {
        AuditHead(node: "n", chain: 1, run: run, seq: seq, hash: String(repeating: digit, count: 64), time: 0)
    }

    @Test("the last of each run is kept, and one a minute within a run")
    func kept() {
        var history = HeadHistory()
        #expect(history.note(head(1), at: 0) == .news(replaces: nil))
        #expect(history.note(head(1), at: 1) == .known)
        #expect(history.note(head(2), at: 1) == .news(replaces: nil))
        #expect(history.note(head(3), at: 2) == .news(replaces: 2))
        #expect(history.note(head(4), at: 59) == .news(replaces: 3))
        #expect(history.note(head(5), at: 60) == .news(replaces: nil))
        #expect(history.note(head(6, run: 2), at: 61) == .news(replaces: nil))
        #expect(history.note(head(7, run: 2), at: 62) == .news(replaces: nil))
        #expect(history.note(head(8, run: 2), at: 63) == .news(replaces: 7))
        #expect(history.newest == head(8, run: 2))
    }

    @Test("another hash under the same number, or a shorter chain in a later run, contradicts what was told")
    func contradicts() {
        var history = HeadHistory([(head(5), 0), (head(9), 10)])
        #expect(history.note(head(9, run: 1, "b"), at: 11) == .rewritten(head(9)))
        #expect(history.note(head(8), at: 11) == .known)
        #expect(history.note(head(8, run: 2), at: 11) == .cut(head(9)))
        #expect(history.newest == head(9))
    }
}

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain
import Testing
import XKSProtocol

@Suite("Records on their way to the segments")
struct AuditBacklogTests {
    private let ms: UInt64 = 1_000_000

    private func backlog(_ rule: FullDiskRule, capacity: Int = 100_000) -> AuditBacklog {
        AuditBacklog(.init(rule: rule, patience: 500 * ms, capacity: capacity))
    }

    private func record(_ number: UInt64 = 1) -> RecordText {
        RecordText(TestChain.trace(number), at: AuditTime(seconds: 1), node: "fra-1")
    }

    /// What the log does with a record.
    private func submit(
        _ log: inout AuditBacklog, at now: UInt64 = 0, mustStand: Bool = false, trouble: String? = nil
    ) -> AuditVerdict {
        let record = record()
        return log.admit(record.bytes.count, mustStand: mustStand, now: now)
            ?? log.keep(record, trouble: trouble, mustStand: mustStand, now: now)
    }

    @Test("what is in the journal may be answered; the writer takes all that waits")
    func well() {
        var log = backlog(.refuse)
        for _ in 0..<5 { #expect(submit(&log) == .answer) }
        #expect(log.hasWork && log.keptBytes == 5 * record().bytes.count)
        #expect(log.take().count == 5)
        log.writes(now: 1)
        #expect(submit(&log, at: 2) == .answer)
        log.wrote()
        #expect(log.keptBytes == record().bytes.count && log.recovered() == nil && log.gap == nil)
        #expect(log.take().count == 1)
        log.wrote()
        #expect(!log.hasWork && log.keptBytes == 0)
    }

    @Test("a write that takes longer than the patience counts as a full disk; a record that waits does not")
    func stalled() {
        var log = backlog(.refuse)
        #expect(submit(&log) == .answer)
        #expect(submit(&log, at: 10_000 * ms) == .answer)
        _ = log.take()
        log.writes(now: 10_000 * ms)
        #expect(submit(&log, at: 10_499 * ms) == .answer && log.gap == nil)
        #expect(submit(&log, at: 10_500 * ms) == .refuse)
        #expect(log.gap?.from == 10_500 * ms && log.gap?.refused == 1 && log.gap?.cause.contains("500 ms") == true)
        log.wrote()
        #expect(log.recovered() == nil)
        #expect(log.take().count == 1)
        log.wrote()
        #expect(log.recovered()?.refused == 1)
        log.look(20_000 * ms)
        #expect(log.gap == nil && submit(&log, at: 20_000 * ms) == .answer)
    }

    @Test("going on: what comes is kept while there is room and then lost, and the gap says how much of each")
    func goesOn() {
        let size = record().bytes.count
        var log = backlog(.continue, capacity: 5 * size)
        for _ in 1...2 { _ = submit(&log) }
        _ = log.take()
        log.failed("No space left on device", now: 7)
        #expect(!log.isRefusing)
        for _ in 3...8 { #expect(submit(&log, at: 8) == .answer) }
        #expect(log.gap?.late == 3 && log.gap?.lost == 3)
        #expect(log.recovered() == nil)
        log.wrote()
        #expect(log.recovered() == nil && log.take().count == 3)
        #expect(log.recovered() == nil)
        log.wrote()
        let gap = log.recovered()
        #expect(gap?.from == 7 && gap?.cause == "No space left on device" && gap?.lost == 3 && gap?.refused == 0)
        #expect(log.gap == nil && log.past.gaps == 1 && log.past.late == 3 && log.past.lost == 3)
    }

    @Test("refusing: what comes is refused until all that was kept is written; orders are kept")
    func refuses() {
        var log = backlog(.refuse)
        for _ in 1...4 { _ = submit(&log) }
        _ = log.take()
        log.failed("I/O error", now: 1)
        #expect(log.isRefusing && submit(&log, at: 2) == .refuse)
        #expect(submit(&log, at: 3, mustStand: true) == .answer)
        log.wrote()
        #expect(log.take().count == 1)
        log.wrote()
        let gap = log.recovered()
        #expect(gap?.refused == 1 && gap?.late == 1 && gap?.lost == 0)
        #expect(!log.isRefusing)
        log.synced("fsync: I/O error")
        #expect(log.isRefusing && submit(&log, at: 4) == .refuse && submit(&log, at: 4, mustStand: true) == .answer)
        log.synced(nil)
        #expect(!log.isRefusing && submit(&log, at: 5) == .answer)
    }

    @Test(
        "a record that the journal does not have is refused, or kept and called late", arguments: FullDiskRule.allCases)
    func noJournal(rule: FullDiskRule) {
        var log = backlog(rule)
        #expect(submit(&log, trouble: "no room") == (rule == .refuse ? .refuse : .answer))
        #expect(log.hasWork == (rule == .continue) && log.gap?.cause == "no room")
        #expect(submit(&log, mustStand: true, trouble: "no room") == .answer)
        #expect(log.gap?.late == (rule == .refuse ? 1 : 2) && log.gap?.refused == (rule == .refuse ? 1 : 0))
    }
}

@Suite("What a journal's file says")
struct JournalTextTests {
    private func record(_ number: UInt64) -> RecordText {
        RecordText(TestChain.trace(number), at: AuditTime(seconds: 1), node: "fra-1")
    }

    private func file(after seq: UInt64, _ records: [RecordText], chain: Int = 3, turn: UInt64 = 1) -> [UInt8] {
        records.reduce(into: JournalText.header(chain: chain, turn: turn, after: seq)) {
            $0 += $1.bytes + [UInt8(ascii: "\n")]
        }
    }

    private func left(_ files: [UInt8]..., end: UInt64) -> [[UInt8]] {
        JournalText.left(of: files, chain: 3, end: end).records.map(\.bytes)
    }

    @Test("what the chain has is not left; what has no place yet is; a last line that is not whole was not answered")
    func left() {
        let records = (1...4).map(record)
        let texts = records.map(\.bytes)
        #expect(JournalText.headerSize == 91)
        #expect(JournalText.header(chain: 999_999, turn: .max, after: .max).count == JournalText.headerSize)
        #expect(left(file(after: 0, records), end: 900) == texts)
        #expect(left(file(after: 100, records), end: 100) == texts)
        #expect(left(file(after: 100, records), end: 102) == Array(texts[2...]))
        #expect(left(file(after: 100, records), end: 104).isEmpty && left(file(after: 100, records), end: .max).isEmpty)
        #expect(left(Array(file(after: 0, records).dropLast(3)), end: 0) == Array(texts[..<3]))
        #expect(left([], end: 0).isEmpty && left(Array("claviger".utf8), end: 0).isEmpty)
    }

    @Test("what stands behind the end is of earlier turns, and no record; of two files the earlier turn comes first")
    func room() {
        let records = (1...4).map(record)
        let texts = records.map(\.bytes)
        // The first byte of a record comes last: one that was being written when the process was killed has none.
        var begun = record(3).bytes + [10, 0]
        begun[0] = 0
        let killed = file(after: 0, Array(records[..<2])) + begun + Array(repeating: 0, count: 50)
        #expect(left(killed, end: 0) == Array(texts[..<2]))
        #expect(left(file(after: 0, Array(records[..<2])) + [0] + texts[3] + [10], end: 0) == Array(texts[..<2]))
        let later = file(after: 0, [records[2]], turn: 10)
        let earlier = file(after: 7, Array(records[..<2]), turn: 9)
        #expect(
            left(later, earlier, end: 7) == Array(texts[..<3]) && left(earlier, later, end: 8) == Array(texts[1..<3]))
    }

    @Test("lines that are no records are given up, and counted")
    func damaged() {
        let good = record(1)
        let whole = file(after: 0, [good])
        let bad = ["", "{}", "{\"kind\":\"request\"", "\u{1}", "{\"kind\":\"nothing\",\"node\":\"x\""]
        for text in bad {
            let found = JournalText.left(of: [whole + Array((text + "\n").utf8) + good.bytes + [10]], chain: 3, end: 0)
            let isRecord = text.hasPrefix("{\"kind\":\"request")
            #expect(found.records.count == (isRecord ? 3 : 2) && found.damaged == (isRecord ? 0 : 1), "\(text)")
        }
        // Of another chain, or of no journal at all.
        for other in [file(after: 0, [good], chain: 4), good.bytes + [10], Array("\n\n".utf8)] {
            let found = JournalText.left(of: [other], chain: 3, end: 0)
            #expect(found.records.isEmpty && found.damaged > 0)
        }
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

// SPDX-License-Identifier: Apache-2.0
import Conditions
import StatusVocabulary
import Testing

@Suite("Since when a condition is so, and what the log says of it")
struct ConditionBookTests {
    private let full = Condition(.storeFailing, of: "fra-1", "", "the disk is full")

    @Test("it is said once when it begins and once when it has ended, with how long it lasted")
    func onceEach() {
        var book = ConditionBook()
        #expect(book.update([full], now: 0, unixSeconds: 1_000) == [.began(full)])
        for second in 1...60 {
            #expect(book.update([full], now: Int64(second), unixSeconds: 1_000 + Int64(second)).isEmpty)
        }
        var said: [ConditionBook.News] = []
        for second in 61...90 { said += book.update([], now: Int64(second), unixSeconds: 1_000 + Int64(second)) }
        #expect(said == [.ended(full, seconds: 60, times: 1)])
    }

    @Test("one that comes and goes in seconds is one condition, with a count")
    func flapping() {
        var book = ConditionBook()
        var said: [ConditionBook.News] = []
        for second in 0..<50 {
            said += book.update(second % 10 < 5 ? [full] : [], now: Int64(second), unixSeconds: Int64(second))
        }
        #expect(said == [.began(full)])
        for second in 50..<70 { said += book.update([], now: Int64(second), unixSeconds: Int64(second)) }
        #expect(said.last == .ended(full, seconds: 44, times: 5) && said.count == 2)
    }

    @Test("one that becomes graver is told at once; one that becomes milder, when it has been so for ten seconds")
    func severity() {
        var book = ConditionBook()
        let mild = Condition(.noHSMServes, of: "fra-1", "", "passes on", severity: .warning)
        var grave = mild
        grave.severity = .critical
        #expect(book.update([mild], now: 0, unixSeconds: 1_000) == [.began(mild)])
        #expect(book.update([grave], now: 1, unixSeconds: 1_001) == [.changed(grave, from: .warning)])
        var said: [ConditionBook.News] = []
        // Milder for nine seconds, then grave for one, and again.
        for second in 2..<32 {
            said += book.update([second % 10 == 1 ? grave : mild], now: Int64(second), unixSeconds: 1_000)
        }
        #expect(said.isEmpty)
        for second in 32..<60 { said += book.update([mild], now: Int64(second), unixSeconds: 1_000) }
        #expect(said == [.changed(mild, from: .critical)])
        // What was milder and is gone has ended.
        _ = book.update([grave], now: 60, unixSeconds: 1_000)
        _ = book.update([mild], now: 61, unixSeconds: 1_000)
        #expect(book.update([], now: 71, unixSeconds: 1_000) == [.ended(mild, seconds: 0, times: 1)])
        var note = mild
        note.severity = .note
        #expect(book.update([note], now: 72, unixSeconds: 1_000) == [.began(note)])
        #expect(book.update([mild], now: 73, unixSeconds: 1_000) == [.changed(mild, from: .note)])
    }

    @Test("another text is no other condition; another subject is")
    func identity() {
        var book = ConditionBook()
        let hsm = Condition(.hsmUnavailable, of: "fra-1", "hsm a", "CKR_DEVICE_ERROR", since: 7)
        _ = book.update([hsm], now: 0, unixSeconds: 1_000)
        var other = hsm
        other.text = "CKR_TOKEN_NOT_PRESENT"
        #expect(book.update([other], now: 1, unixSeconds: 1_001).isEmpty)
        other.subject = "hsm b"
        #expect(book.update([hsm, other], now: 2, unixSeconds: 1_002) == [.began(other)])
    }

    @Test("a condition keeps the time of its beginning, also over a second in which it was not so")
    func since() {
        var book = ConditionBook()
        _ = book.update([full], now: 0, unixSeconds: 1_000)
        _ = book.update([], now: 1, unixSeconds: 1_001)
        _ = book.update([full], now: 2, unixSeconds: 1_002)
        #expect(book.dated([full]).map(\.sinceUnixSeconds) == [1_000])
        let known = Condition(.nodeDead, of: "iad-1", "", "dead", since: 5)
        _ = book.update([known], now: 3, unixSeconds: 1_003)
        #expect(book.dated([known]).map(\.sinceUnixSeconds) == [5])
        #expect(book.dated([Condition(.overloaded, of: "x", "", "")]).map(\.sinceUnixSeconds) == [nil])
    }

    @Test("in a node that ends nothing begins or gets graver but that it ends; what has begun may end")
    func ending() {
        var book = ConditionBook()
        let mild = Condition(.noHSMServes, of: "fra-1", "", "passes on", severity: .warning)
        var grave = mild
        (grave.severity, grave.text) = (.critical, "passes none on")
        let unserved = Condition(.noNodeServes, of: "fra-1", "", "no live node can serve")
        let ends = Condition(.nodeEnding, of: "fra-1", "", "fra-1 is ending")
        _ = book.update([mild, full], now: 0, unixSeconds: 1_000)
        #expect(book.standing([unserved]) == [unserved])
        book.end()
        #expect(book.update([grave, full, unserved, ends], now: 1, unixSeconds: 1_001) == [.began(ends)])
        #expect(book.standing([grave, full, unserved, ends]) == [mild, full, ends])
        #expect(book.update([grave], now: 11, unixSeconds: 1_011).contains(.ended(full, seconds: 1, times: 1)))
    }

    @Test("subjects without end fill no memory")
    func bounded() {
        var book = ConditionBook()
        let many = (0..<5_000).map { Condition(.nodeDead, of: "gone-\($0)", "", "dead") }
        #expect(book.update(many, now: 0, unixSeconds: 0).count == 1_000)
    }
}

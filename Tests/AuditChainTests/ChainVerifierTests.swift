// SPDX-License-Identifier: Apache-2.0
import AuditChain
import Testing
import XKSProtocol

/// Segments of 1 begin, 20 requests and 1 end: records 1–22, 23–44, 45–66.
@Suite("Verifying a chain of records")
struct ChainVerifierTests {
    private let whole = TestChain([20, 20, 20])

    private func findings(_ report: AuditReport) -> [String] {
        report.findings.map { "\($0.kind) \($0.file.prefix(23)):\($0.line) \($0.seq)" }
    }

    @Test("a whole chain holds, and its requests are counted once each")
    func holds() {
        let report = whole.verify(heads: [whole.head(10), whole.head(66)])
        #expect(report.isGood, "\(report.findings)")
        #expect(report.first == 1 && report.last == whole.link && report.counts.records == 66)
        // Of 60 requests those with a number that ends in 4 came from another node: 4 14 24 34 54 64 (44 is an end).
        #expect(report.counts.forwarded == 6 && report.counts.requests == 54)
        // Ending in 3: 3 13 33 43 53 63 (23 is a begin).
        #expect(report.counts.failures == 6)
        #expect(report.agreeing == 2 && report.provenUpTo == 66)
    }

    @Test("a line that was changed is found, and named", arguments: [1, 5, 20])
    func changed(line: Int) {
        var chain = whole
        let text = chain.text(1, line).replacingOccurrences("Alice", "Mallory")
        chain.segments[1].lines[line] = Array(text.utf8)
        let report = chain.verify()
        #expect(
            findings(report) == ["changed audit-1-000000000000023:\(line + 1) \(23 + line)"], "\(report.findings)")
    }

    @Test("a line that was changed with its hash breaks the chain at the next one")
    func changedWithHash() {
        var chain = whole
        var link = chain.links[27]
        var bytes: [UInt8] = []
        link.append(
            RecordText(TestChain.trace(999), at: AuditTime(seconds: 1_700_000_028), node: "fra-1"), to: &bytes)
        chain.segments[1].lines[5] = Array(bytes.dropLast())
        #expect(findings(chain.verify()) == ["changed audit-1-000000000000023:7 29"])
    }

    @Test("lines that were removed, swapped, repeated, added or made unreadable are found, each where it is")
    func moved() {
        var chain = whole
        chain.segments[1].lines.remove(at: 5)
        #expect(findings(chain.verify()) == ["missing audit-1-000000000000023:6 28"])
        chain.segments[1].lines.removeSubrange(5...7)
        #expect(chain.verify().findings.map(\.text) == ["records 28 to 31 are missing before this line"])

        chain = whole
        chain.segments[1].lines.swapAt(5, 6)
        #expect(findings(chain.verify()) == ["moved audit-1-000000000000023:7 28"])

        chain = whole
        chain.segments[1].lines.insert(chain.segments[1].lines[3], at: 8)
        #expect(findings(chain.verify()) == ["added audit-1-000000000000023:9 26"])

        chain = whole
        var link = chain.links[30]
        var bytes: [UInt8] = []
        link.append(RecordText(TestChain.trace(31), at: AuditTime(seconds: 1), node: "fra-1"), to: &bytes)
        let forged = Array(bytes.dropLast())
        chain.segments[1].lines.insert(
            Array(String(decoding: forged, as: UTF8.self).dropLast(4).utf8) + Array("0\"}".utf8), at: 8)
        #expect(chain.verify().findings.map(\.line) == [9])

        chain = whole
        chain.segments[1].lines[5] = Array("nothing".utf8)
        #expect(findings(chain.verify()) == ["unreadable audit-1-000000000000023:6 28"])
        chain = whole
        chain.segments[1].lines.insert(Array("nothing".utf8), at: 5)
        #expect(findings(chain.verify()) == ["added audit-1-000000000000023:6 0"])
    }

    @Test("a segment that was dropped is found: in the middle, and at the beginning unless its time was over")
    func dropped() {
        var chain = whole
        chain.segments.remove(at: 1)
        #expect(chain.verify().findings.map(\.text) == ["records 23 to 44 are missing before this line"])
        chain = whole
        chain.segments.remove(at: 0)
        #expect(findings(chain.verify()) == ["missing :0 1"])
        #expect(chain.verify(isPart: true).isGood)
        // The end can be known only from a head.
        chain = whole
        chain.segments.removeLast()
        #expect(chain.verify().isGood)
        let report = chain.verify(heads: [whole.head(66)])
        #expect(findings(report) == ["cut audit-1-000000000000023:22 45"])
        #expect(report.findings[0].text.contains("node-2 has it up to record 66"))

        for (through, isGood) in [(22, true), (21, false)] {
            chain = whole
            chain.open(.time)
            chain.append(
                RecordText(
                    expired: ExpiredSegments(count: 1, through: UInt64(through), hash: whole.links[22].hash),
                    at: AuditTime(seconds: 1_700_000_100), node: "fra-1"))
            chain.segments.remove(at: 0)
            #expect(chain.verify().isGood == isGood)
        }
    }

    @Test("a file that was cut is found by a head, also within a record")
    func cut() {
        var chain = whole
        chain.segments[2].lines.removeLast(5)
        chain.segments[2].torn = 40
        #expect(findings(chain.verify(heads: [whole.head(66)])) == ["cut audit-1-000000000000045:18 62"])
        // What a process left when it was killed is said by the next segment.
        var torn = whole
        torn.segments[2].torn = 40
        torn.open(.start, torn: 40)
        #expect(torn.verify().isGood)
        torn.segments[2].torn = 39
        #expect(findings(torn.verify()) == ["torn audit-1-000000000000067:1 67"])
    }

    @Test("a chain that was rewritten whole is found by another node's head, and where it was")
    func rewritten() {
        var forged = whole
        forged.segments.removeLast(2)
        forged.links.removeLast(44)
        forged.link = whole.links[22]
        forged.open(.size)
        for number in 0..<20 {
            let trace = TestChain.trace(number == 9 ? 999 : forged.link.seq + 1)
            forged.append(
                RecordText(trace, at: AuditTime(seconds: 1_700_000_000 + Int64(forged.link.seq) + 1), node: "fra-1"))
        }
        forged.close()
        #expect(forged.verify().isGood)
        let report = forged.verify(heads: [whole.head(12), whole.head(30), whole.head(40)])
        #expect(findings(report) == ["rewritten audit-1-000000000000023:18 40"])
        #expect(report.findings[0].text.contains("between record 31 and this one"), "\(report.findings)")
        #expect(report.provenUpTo == 30)
    }

    @Test("an end that is not signed, or by another key, is found")
    func signatures() {
        var chain = whole
        let text = chain.text(2, 21)
        let marks = text.components(between: "\"signature\":\"")
        chain.segments[2].lines[21] = Array((marks + "").utf8)
        #expect(!chain.verify().isGood)
        var other = TestChain([20])
        other.open(.size)
        other.append(RecordText(endOf: .size, records: 2, at: AuditTime(seconds: 1), node: "fra-1"))
        #expect(other.verify().findings.map(\.kind) == [.unsigned])
        other.segments[1].lines.removeLast()
        other.link = other.links[23]
        var bytes: [UInt8] = []
        other.link.append(
            RecordText(endOf: .size, records: 2, at: AuditTime(seconds: 1), node: "fra-1"), to: &bytes,
            sign: { _ in String(repeating: "ab", count: 64) })
        other.segments[1].lines.append(Array(bytes.dropLast()))
        #expect(other.verify().findings.map(\.kind) == [.unsigned])
    }
}

extension String {
    func replacingOccurrences(_ old: String, _ new: String) -> String {
        split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
    }

    /// Without the first digit after the mark.
    func components(between mark: String) -> String {
        let parts = split(separator: mark, maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 ? parts[0] + mark + parts[1].dropFirst() : self
    }
}

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// Reads a chain from its first record that is there to its last, and says where it does not hold. One chain; its segments
/// in order, line by line.
///
/// Where a line does not follow the one before it, the next lines decide what was done: if they go on from the line, its
/// text was changed; if they go on from the one before it, the line was added; if numbers are left out, records were taken
/// out or moved. It never stops at the first fault.
package struct ChainVerifier {
    /// A signed record: who must have signed it, over what.
    package struct SignedText: Sendable, Equatable {
        package var signer: AuditSigner
        package var text: [UInt8]
        package var signature: String
    }

    /// A line that does not follow the one before it: the next one decides.
    private struct Suspect {
        var file: String
        var line: Int
        /// `nil` where it is no record at all.
        var seq: UInt64?
        var hash: String?
    }

    private let isGenuine: (SignedText) -> Bool
    private let isPart: Bool
    private var heads: [UInt64: [SignedAuditHead]]
    private var contradicted: SignedAuditHead?
    private var report: AuditReport

    private var file = ""
    private var line = 0
    /// Of the last record that holds.
    private var last: ChainLink?
    private var suspect: Suspect?
    /// Numbers that were left out, with where.
    private var missing: [(range: ClosedRange<UInt64>, file: String, line: Int)] = []
    private var expired: (through: UInt64, hash: String)?
    private var beginning: (seq: UInt64, prev: String)?
    private var signer = AuditSigner()
    private var tornBefore = 0

    /// - Parameters:
    ///   - heads: that are known of this chain; their signatures have been verified.
    ///   - isPart: only some segments are given: the first of them need not be the chain's.
    ///   - isGenuine: whether a signature is that signer's.
    package init(
        node: String, chain: Int, heads: [SignedAuditHead] = [], isPart: Bool = false,
        isGenuine: @escaping (SignedText) -> Bool
    ) {
        report = AuditReport(node: node, chain: chain, last: ChainLink())
        self.isPart = isPart
        self.isGenuine = isGenuine
        self.heads = Dictionary(grouping: heads, by: \.head.seq)
    }

    // MARK: Reading

    /// A segment begins.
    package mutating func begin(_ name: SegmentName) {
        file = name.file
        line = 0
    }

    /// A line of it, without its line feed.
    package mutating func read(_ bytes: ArraySlice<UInt8>) {
        line += 1
        guard let record = AuditLine(bytes), record.kind != nil else {
            settleSuspect()
            suspect = Suspect(file: file, line: line)
            return
        }
        guard let last else { return begin(with: record) }
        if let held = suspect, let verdict = decide(on: held, by: record, after: last) {
            suspect = nil
            report.add(verdict.finding)
            if verdict.goesOn { return take(record) }
            self.last = ChainLink(seq: held.seq ?? last.seq &+ 1, hash: held.hash ?? record.hash)
            return take(record)
        }
        settleSuspect()
        let expected = last.seq &+ 1
        if record.seq == expected {
            if record.follows(last.hash) { return take(record) }
            suspect = Suspect(file: file, line: line, seq: record.seq, hash: record.hash)
        } else if record.seq > expected {
            missing.append((expected...(record.seq - 1), file, line))
            take(record)
        } else {
            displaced(record)
        }
    }

    /// The segment has ended with so many bytes that are no whole line.
    package mutating func end(torn bytes: Int) {
        if bytes > 0 { line += 1 }
        tornBefore = bytes
    }

    /// All has been read.
    package mutating func finish() -> AuditReport {
        settleSuspect()
        for part in missing {
            let range = part.range
            report.add(
                AuditFinding(
                    .missing, file: part.file, line: part.line, seq: range.lowerBound,
                    range.lowerBound == range.upperBound
                        ? "record \(range.lowerBound) is missing before this line"
                        : "records \(range.lowerBound) to \(range.upperBound) are missing before this line"))
        }
        judgeBeginning()
        judgeHeads()
        if let last { report.last = last }
        return report
    }

    // MARK: Judging lines

    /// The first record that is there.
    private mutating func begin(with record: AuditLine) {
        report.first = record.seq
        report.firstTime = record.text(.time) ?? ""
        if record.kind != .begin {
            report.add(
                AuditFinding(
                    .missing, file: file, line: line, seq: record.seq,
                    "record \(record.seq) is the first that is there, and no segment begins with it"))
        } else if let prev = record.text(.prev) {
            if !record.follows(prev) {
                report.add(
                    AuditFinding(
                        .changed, file: file, line: line, seq: record.seq, "record \(record.seq) was changed"))
            }
            beginning = (record.seq, prev)
        }
        take(record)
    }

    /// What a line was that did not follow, by the one after it. `goesOn`: the chain goes on from before it.
    private func decide(
        on held: Suspect, by record: AuditLine, after last: ChainLink
    ) -> (finding: AuditFinding, goesOn: Bool)? {
        let expected = last.seq &+ 1
        if record.seq == expected, record.follows(last.hash) {
            return (
                AuditFinding(
                    .added, file: held.file, line: held.line, seq: held.seq ?? 0,
                    "this line is no part of the chain: it was added between records \(last.seq) and \(expected)"), true
            )
        }
        if let seq = held.seq, let hash = held.hash, record.seq == seq &+ 1, record.follows(hash) {
            return (
                AuditFinding(
                    .changed, file: held.file, line: held.line, seq: seq,
                    "record \(seq) was changed, or the one before it together with its hash"), false
            )
        }
        if held.seq == nil, record.seq == expected &+ 1 {
            return (
                AuditFinding(
                    .unreadable, file: held.file, line: held.line, seq: expected,
                    "record \(expected) was changed: this line is no record"), false
            )
        }
        return nil
    }

    /// A suspect of which nothing that follows tells what it was.
    private mutating func settleSuspect() {
        guard let held = suspect else { return }
        suspect = nil
        guard let seq = held.seq, let hash = held.hash else {
            report.add(AuditFinding(.unreadable, file: held.file, line: held.line, "this line is no record"))
            return
        }
        report.add(
            AuditFinding(
                .changed, file: held.file, line: held.line, seq: seq,
                "record \(seq) was changed, or the one before it together with its hash"))
        last = ChainLink(seq: seq, hash: hash)
    }

    /// A record whose number has been passed.
    private mutating func displaced(_ record: AuditLine) {
        let index = missing.firstIndex { $0.range.contains(record.seq) }
        guard let index else {
            report.add(
                AuditFinding(
                    .added, file: file, line: line, seq: record.seq,
                    "this line was added: record \(record.seq) stands earlier, too"))
            return
        }
        let part = missing.remove(at: index)
        if part.range.lowerBound < record.seq {
            missing.append((part.range.lowerBound...(record.seq - 1), part.file, part.line))
        }
        if record.seq < part.range.upperBound {
            missing.append(((record.seq + 1)...part.range.upperBound, part.file, part.line))
        }
        report.add(
            AuditFinding(
                .moved, file: file, line: line, seq: record.seq,
                "record \(record.seq) was moved: it stands after record \(last?.seq ?? 0)"))
    }

    /// The record is the chain's next one.
    private mutating func take(_ record: AuditLine) {
        let previous = last ?? ChainLink(seq: record.seq &- 1, hash: record.text(.prev) ?? ChainLink.origin)
        last = ChainLink(seq: record.seq, hash: record.hash)
        report.counts.records += 1
        report.lastTime = record.text(.time) ?? report.lastTime
        compare(record)
        switch record.kind {
        case .request:
            if record.has(.forwardedBy) {
                report.counts.forwarded += 1
            } else {
                report.counts.requests += 1
                if record.text(.outcome) != "ok" { report.counts.failures += 1 }
            }
        case .order: report.counts.orders += 1
        case .begin: opened(record, after: previous)
        case .gap:
            report.counts.gaps += 1
            report.counts.late &+= UInt64(clamping: record.number(.late) ?? 0)
            report.counts.lost &+= UInt64(clamping: record.number(.lost) ?? 0)
            report.counts.refused &+= UInt64(clamping: record.number(.refused) ?? 0)
            judgeSignature(record, after: previous)
        case .end: judgeSignature(record, after: previous)
        case .expired:
            if let through = record.number(.through), let hash = record.text(.throughHash) {
                expired = (UInt64(clamping: through), hash)
            }
        case nil: break
        }
    }

    private mutating func opened(_ record: AuditLine, after previous: ChainLink) {
        signer = AuditSigner(certificates: record.texts(.certificates) ?? [], publicKey: record.text(.publicKey))
        let place = (node: record.text(.node) ?? "", chain: record.number(.chain).map { Int(clamping: $0) } ?? 0)
        if report.node.isEmpty { report.node = place.node }
        if place.chain != report.chain {
            report.add(
                AuditFinding(
                    .foreign, file: file, line: line, seq: record.seq,
                    "the segment is of chain \(place.chain), not of chain \(report.chain)"))
        }
        let told = Int(clamping: record.number(.torn) ?? 0)
        if told != tornBefore {
            report.add(
                AuditFinding(
                    .torn, file: file, line: line, seq: record.seq,
                    "the segment before ends with \(tornBefore) bytes that are no record, and had \(told) of them when "
                        + "this one was begun"))
        }
        tornBefore = 0
    }

    private mutating func judgeSignature(_ record: AuditLine, after previous: ChainLink) {
        guard let signature = record.signature else {
            report.add(
                AuditFinding(
                    .unsigned, file: file, line: line, seq: record.seq, "record \(record.seq) bears no signature"))
            return
        }
        let text = record.signedText(after: previous.hash)
        guard isGenuine(SignedText(signer: signer, text: text, signature: signature)) else {
            report.add(
                AuditFinding(
                    .unsigned, file: file, line: line, seq: record.seq,
                    "the signature of record \(record.seq) is not that of the node's key"))
            return
        }
    }

    // MARK: Judging the whole

    private mutating func compare(_ record: AuditLine) {
        guard let known = heads.removeValue(forKey: record.seq) else { return }
        for head in known {
            if head.head.hash == record.hash {
                report.agreeing += 1
                if contradicted == nil { report.provenUpTo = record.seq }
            } else if contradicted == nil {
                contradicted = head
                report.add(
                    AuditFinding(
                        .rewritten, file: file, line: line, seq: record.seq,
                        "record \(record.seq) is another than \(Self.keeper(of: head)) has it: the chain was rewritten, "
                            + (report.provenUpTo > 0
                                ? "between record \(report.provenUpTo &+ 1) and this one"
                                : "at this record or before it")))
            }
        }
    }

    private static func keeper(of head: SignedAuditHead) -> String {
        head.keptBy ?? "a head that the node signed"
    }

    private mutating func judgeBeginning() {
        guard let beginning, !isPart else { return }
        if beginning.seq == 1 {
            guard beginning.prev != ChainLink.origin else { return }
        } else if let expired, expired.through >= beginning.seq - 1,
            expired.through > beginning.seq - 1 || expired.hash == beginning.prev
        {
            return
        }
        report.add(
            AuditFinding(
                .missing, seq: 1,
                "what came before record \(beginning.seq) is missing, and no record says that its time was over"))
    }

    private mutating func judgeHeads() {
        let end = last?.seq ?? 0
        let later = heads.values.flatMap(\.self).filter { $0.head.seq > end }
        report.beyond += heads.values.reduce(0) { $0 + $1.count } - later.count
        guard let furthest = later.max(by: { $0.head.seq < $1.head.seq }) else { return }
        report.add(
            AuditFinding(
                .cut, file: file, line: line, seq: end &+ 1,
                "the chain ends with record \(end), and \(Self.keeper(of: furthest)) has it up to record "
                    + "\(furthest.head.seq): the end was cut off"))
    }
}

extension AuditReport {
    fileprivate mutating func add(_ finding: AuditFinding) {
        findingCount += 1
        if findings.count < Self.mostFindings { findings.append(finding) }
    }
}

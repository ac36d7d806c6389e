// SPDX-License-Identifier: Apache-2.0
import AuditChain

extension FuzzTarget {
    /// A file that is said to be a segment of an audit log. None of it may end the reader, and nothing that is read may
    /// come of another line than its own.
    static let audit = FuzzTarget(name: "audit") { bytes in
        var verifier = ChainVerifier(node: "", chain: 1) { _ in false }
        verifier.begin(SegmentName(chain: 1, first: 1))
        let lines = Array(bytes).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for line in lines.dropLast() {
            verifier.read(line)
            guard let record = AuditLine(line) else { continue }
            for field in AuditField.allCases {
                _ = record.text(field)
                _ = record.number(field)
                _ = record.texts(field)
                _ = record.lists(field)
            }
            if record.seq == 0 { return "a record without a number" }
        }
        verifier.end(torn: lines.last?.count ?? 0)
        let report = verifier.finish()
        return report.findings.count <= AuditReport.mostFindings ? nil : "more findings than are kept"
    }
}

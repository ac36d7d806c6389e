// SPDX-License-Identifier: Apache-2.0
import AuditChain
import Foundation
import Testing
import XKSProtocol

struct AuditReferenceTests {
    private var document: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/reference/audit.md")
    }

    /// After a change: `CLAVIGER_WRITE_REFERENCE=1 swift test --filter ReferenceTests`, and read what changed.
    @Test func theReferenceIsUpToDate() throws {
        let text = AuditReference.markdown()
        if ProcessInfo.processInfo.environment["CLAVIGER_WRITE_REFERENCE"] != nil {
            try Data(text.utf8).write(to: document)
        }
        #expect(try String(contentsOf: document, encoding: .utf8) == text)
    }

    /// Records in which every member that can be there is.
    private static let whole: [(AuditRecordKind, RecordText)] = {
        let time = AuditTime(seconds: 1)
        var trace = TestChain.trace(4)
        trace.metadata?.kmsViaService = "ebs"
        trace.metadata?.awsSourceVpc = "vpc-1"
        trace.metadata?.awsSourceVpce = "vpce-1"
        trace.metadata?.others = [.init(name: "new", values: ["x"])]
        trace.peer = "192.0.2.1:1"
        trace.accessKeyID = "A"
        trace.region = "eu"
        trace.policyStatement = "s"
        trace.block = "b"
        trace.reason = "r"
        trace.hsm = "h"
        trace.forwardedTo = "n"
        trace.isUndelivered = true
        let gap = AuditGap(from: 0, cause: "c")
        let order = AuditedOrder(
            words: "block", target: "t", user: "root", uid: 0, claimedUser: "alice", pid: 1, status: 200, reason: "r",
            expiresInSeconds: 1)
        let begin = SegmentBegin(
            version: "1", chain: 1, run: 1, cause: .start, previousHash: ChainLink.origin, tornBytes: 1,
            recovered: 1, signer: .init(certificates: ["00"], publicKey: "00"))
        return [
            (.request, RecordText(trace, at: time, node: "n")), (.order, RecordText(order, at: time, node: "n")),
            (.begin, RecordText(begin, at: time, node: "n")),
            (.gap, RecordText(gap, from: time, to: time, node: "n")),
            (.expired, RecordText(expired: ExpiredSegments(count: 1, through: 1, hash: "h"), at: time, node: "n")),
            (.end, RecordText(endOf: .stop, records: 1, at: time, node: "n")),
        ]
    }()

    /// What is written and what the reference says have the same members in the same order.
    @Test func everyMemberThatIsWrittenStandsInItAndNoOther() throws {
        #expect(Set(Self.whole.map(\.0)) == Set(AuditRecordKind.allCases))
        for (kind, record) in Self.whole {
            let text = String(decoding: record.bytes, as: UTF8.self)
            let object = try JSONSerialization.jsonObject(with: Data((text + "}").utf8)) as? [String: Any]
            let names = [.kind, .time, .node] + kind.fields
            #expect(Set(object?.keys.map { $0 } ?? []) == Set(names.map(\.rawValue)), "\(kind)")
            let places = names.map { text.range(of: "\"\($0.rawValue)\":")?.lowerBound ?? text.endIndex }
            #expect(places == places.sorted(), "\(kind)")
        }
        let used = Set(AuditRecordKind.allCases.flatMap(\.fields)).union([.kind, .time, .node, .seq, .signature, .hash])
        #expect(used == Set(AuditField.allCases))
    }
}

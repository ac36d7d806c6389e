// SPDX-License-Identifier: Apache-2.0
import Foundation
import Monitoring
import Testing

@Suite struct MetricReferenceTests {
    private var document: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/reference/metrics.md")
    }

    /// After a change: `CLAVIGER_WRITE_REFERENCE=1 swift test --filter ReferenceTests`, and read what changed.
    @Test func theReferenceIsUpToDate() throws {
        let text = MetricReference.markdown()
        if ProcessInfo.processInfo.environment["CLAVIGER_WRITE_REFERENCE"] != nil {
            try Data(text.utf8).write(to: document)
        }
        #expect(try String(contentsOf: document, encoding: .utf8) == text)
    }

    @Test func namesFollowPrometheus() {
        for metric in NodeMetric.allCases {
            #expect(metric.rawValue.allSatisfy { $0.isLowercase || $0 == "_" }, "\(metric)")
            #expect((metric.kind == .counter) == metric.rawValue.hasSuffix("_total"), "\(metric)")
            #expect(metric.meaning.hasSuffix("."), "\(metric)")
            #expect(Set(metric.labels).isDisjoint(with: ["le", "quantile", "job", "instance"]), "\(metric)")
        }
        #expect(NodeMetric.edges.contains(0.25) && NodeMetric.edges.contains(0.5))
        #expect(NodeMetric.edges == NodeMetric.edges.sorted())
    }
}

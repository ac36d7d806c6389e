// SPDX-License-Identifier: Apache-2.0
import Monitoring
import Testing
import XKSProtocol

@Suite struct RequestMetricsTests {
    private let metrics = RequestMetrics(MetricRegistry())

    private func answer(_ change: (inout RequestTrace) -> Void) {
        var trace = RequestTrace()
        trace.operation = .encrypt
        trace.keyStore = "/bank"
        trace.accessKeyID = "A"
        trace.status = 200
        trace.totalMicroseconds = 3_000
        change(&trace)
        metrics.answered(trace)
    }

    private var lines: Set<String> {
        var page = MetricPage()
        metrics.write(to: &page)
        return Set(page.text.split(separator: "\n").map(String.init))
    }

    @Test func requestsAreCountedByAWSsWords() {
        answer { _ in }
        answer { $0.error = .invalidCiphertext }
        answer { $0.error = .throttling }
        answer { $0.isUndelivered = true }
        let store = #"keystore="/bank""#
        for (outcome, exception) in [
            ("ok", ""), ("error", "InvalidCiphertextException"), ("error", "ThrottlingException"), ("undelivered", ""),
        ] {
            let labels = #"{operation="Encrypt",\#(store),outcome="\#(outcome)",exception="\#(exception)"}"#
            #expect(lines.contains("claviger_requests_total\(labels) 1"), "\(lines)")
        }
        // A wrong ciphertext is its owner's fault; what was not delivered has failed at AWS.
        #expect(lines.contains("claviger_requests_reliability_total{\(store),reliable=\"true\"} 2"))
        #expect(lines.contains("claviger_requests_reliability_total{\(store),reliable=\"false\"} 2"))
        #expect(lines.contains("claviger_requests_late_total{\(store)} 1"))
    }

    @Test func durationsHaveEdgesWhereKMSGivesUp() {
        for microseconds in [300, 250_000, 250_001, 9_000_000] as [UInt64] {
            answer { $0.totalMicroseconds = microseconds }
        }
        func count(_ edge: String) -> String {
            #"claviger_request_duration_seconds_bucket{operation="Encrypt",keystore="/bank",le="\#(edge)"}"#
        }
        for (edge, number) in [("0.0005", 1), ("0.2", 1), ("0.25", 2), ("0.5", 3), ("2.5", 3), ("+Inf", 4)] {
            #expect(lines.contains("\(count(edge)) \(number)"), "\(edge): \(lines)")
        }
        #expect(lines.contains(#"claviger_request_duration_seconds_count{operation="Encrypt",keystore="/bank"} 4"#))
        #expect(lines.contains(#"claviger_requests_late_total{keystore="/bank"} 2"#))
    }

    /// Who has proven nothing chooses the path: it would make a series for each.
    @Test func strangersMakeNoSeries() {
        for index in 0..<100 {
            answer {
                $0.accessKeyID = nil
                $0.keyStore = "/guess-\(index)"
                $0.error = .invalidURIPath
            }
        }
        let exception = #"exception="InvalidUriPathException""#
        #expect(
            lines.contains(
                #"claviger_requests_total{operation="Encrypt",keystore="",outcome="error",\#(exception)} 100"#))
        #expect(!lines.contains { $0.contains("guess") })
    }

    @Test func callsOfHSMsAreCounted() {
        answer {
            $0.hsm = "a"
            $0.attempts = 1
            $0.hsmMicroseconds = 1_500
        }
        answer {
            $0.hsm = "b\"\\"
            $0.attempts = 4
            $0.isHedged = true
            $0.failovers = 2
            $0.waitedMicroseconds = 500_000
            $0.forwardedTo = "peer"
        }
        #expect(lines.contains(#"claviger_hsm_calls_total{keystore="/bank"} 5"#))
        #expect(lines.contains(#"claviger_hsm_second_calls_total{reason="failover"} 2"#))
        #expect(lines.contains(#"claviger_hsm_second_calls_total{reason="hedge"} 1"#))
        #expect(lines.contains(#"claviger_hsm_duration_seconds_bucket{hsm="a",le="0.002"} 1"#))
        #expect(lines.contains(#"claviger_hsm_duration_seconds_count{hsm="b\"\\"} 1"#))
        #expect(lines.contains("claviger_request_wait_seconds_total 0.5"))
        #expect(lines.contains(#"claviger_requests_forwarded_total{direction="out"} 1"#))
        #expect(lines.contains(#"claviger_requests_forwarded_total{direction="in"} 0"#))
    }
}

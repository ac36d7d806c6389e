// SPDX-License-Identifier: Apache-2.0
import TLSFacts
import Testing

@Suite("When people are told that a certificate ends")
struct CertificateNoticeTests {
    private static let day: Int64 = 86_400

    /// It was 30 days for all: a certificate of 21 days was told of from its first to its last.
    @Test(
        "30 days before, and for a short life in its last third",
        arguments: [(365, 30), (90, 30), (47, 47.0 / 3), (21, 7), (3, 1)] as [(Int64, Double)])
    func due(days: Int64, notice: Double) {
        let (begin, end) = (1_000 * Self.day, (1_000 + days) * Self.day)
        #expect(Double(CertificateNotice.seconds(notBefore: begin, notAfter: end)) == (notice * 86_400).rounded(.down))
        func isDue(_ daysLeft: Double) -> Bool {
            CertificateNotice.isDue(notBefore: begin, notAfter: end, now: end - Int64(daysLeft * 86_400))
        }
        #expect(!isDue(notice + 0.1) && isDue(notice - 0.1) && isDue(0))
        #expect(!CertificateNotice.isDue(notBefore: begin, notAfter: end, now: end + 1))
    }

    @Test("times that no calendar has trap nothing")
    func extremes() {
        for (begin, end) in [(Int64.min, Int64.max), (Int64.max, Int64.min), (0, Int64.min)] {
            for now in [Int64.min, 0, Int64.max] {
                _ = CertificateNotice.isDue(notBefore: begin, notAfter: end, now: now)
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How long before its end people are told of a certificate.
package enum CertificateNotice {
    /// For those that live long, seconds: 30 days, as AWS advises at least 10 (AWS KMS developer guide, alarms of external
    /// key stores).
    private static let usual: Int64 = 30 * 86_400

    /// Seconds: at most a third of its time, so that one which is made anew so often that it never has 30 days left is not
    /// told of all the time.
    ///
    /// - Parameters:
    ///   - notBefore: Unix seconds.
    ///   - notAfter: Unix seconds.
    package static func seconds(notBefore: Int64, notAfter: Int64) -> Int64 {
        let (life, overflow) = notAfter.subtractingReportingOverflow(notBefore)
        return overflow ? usual : max(min(usual, life / 3), 0)
    }

    /// Whether it is still valid, and people are to be told that it will end.
    package static func isDue(notBefore: Int64, notAfter: Int64, now: Int64) -> Bool {
        let (left, overflow) = notAfter.subtractingReportingOverflow(now)
        return !overflow && left >= 0 && left < seconds(notBefore: notBefore, notAfter: notAfter)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Cluster
import Conditions
import Foundation
import TLSFacts
import XKSListener

/// When certificates that the node shows begin and end, as something that people should know of.
private struct CertificateDates {
    let setting: String
    /// How a sentence about it begins.
    let subject: String
    let notBefore: Int64
    /// When the life began that ends: another one's, where a certificate was signed by an older one.
    let begin: Int64
    let notAfter: Int64

    /// `nil` where nothing is wrong, and nothing will soon be.
    func flaw(now: Int64) -> CertificateFlaw? {
        let (text, isFatal): (String, Bool)
        if now > notAfter {
            (text, isFatal) = ("ended on \(day(notAfter)): others refuse it", true)
        } else if now < notBefore {
            (text, isFatal) = ("is not valid before \(day(notBefore)): look at this host's clock, or wait", true)
        } else if CertificateNotice.isDue(notBefore: begin, notAfter: notAfter, now: now) {
            let days = (notAfter - now) / 86_400
            (text, isFatal) = ("ends in \(days == 1 ? "1 day" : "\(days) days"), on \(day(notAfter))", false)
        } else {
            return nil
        }
        return CertificateFlaw(setting: setting, text: "\(subject) \(text)", isFatal: isFatal)
    }

    private func day(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601.year().month().day())
    }
}

extension NodeCertificate {
    func flaw(now: Int64) -> CertificateFlaw? {
        CertificateDates(
            setting: "cluster.certificate", subject: "\(file), or a certificate that has signed it,",
            notBefore: notBefore, begin: beginOfFirstToEnd, notAfter: notAfter
        ).flaw(now: now)
    }
}

extension ServerCertificate {
    fileprivate func flaw(isOwn: Bool, now: Int64, setting: String) -> CertificateFlaw? {
        let name = names.first ?? "this node"
        return CertificateDates(
            setting: setting, subject: isOwn ? "that of \(name)" : "the intermediate certificate \(name)",
            notBefore: notBefore, begin: notBefore, notAfter: notAfter
        ).flaw(now: now)
    }
}

extension [ServerCertificate] {
    /// The gravest of those that clients are shown, the node's own first.
    ///
    /// - Parameter setting: that names their file.
    func flaw(now: Int64, setting: String = "xks.certificate") -> CertificateFlaw? {
        let flaws = enumerated().compactMap { $0.element.flaw(isOwn: $0.offset == 0, now: now, setting: setting) }
        return flaws.first(where: \.isFatal) ?? flaws.first
    }
}

extension [ServerCertificate] {
    /// Of CAs that vouch for clients: while one of them does, its clients are let in.
    func flawOfAuthorities(now: Int64, setting: String) -> CertificateFlaw? {
        let flaws = map { authority in
            CertificateDates(
                setting: setting, subject: "the CA \(authority.names.first ?? "without a name")",
                notBefore: authority.notBefore, begin: authority.notBefore, notAfter: authority.notAfter
            ).flaw(now: now)
        }
        guard var flaw = flaws.compactMap(\.self).first(where: \.isFatal) ?? flaws.compactMap(\.self).first else {
            return nil
        }
        flaw.isFatal = flaws.allSatisfy { $0?.isFatal == true }
        if flaw.isFatal { flaw.text = flaw.text.replacing("others refuse it", with: "no client is let in") }
        return flaw
    }
}

// SPDX-License-Identifier: Apache-2.0
import NIOSSL

/// What clients see of the certificate that this node shows, for people.
package struct ServerCertificate: Sendable, Equatable {
    /// What KMS asks of a certificate (AWS KMS developer guide, "Prerequisites for an external key store"), as a page.
    package static let authorities =
        "https://github.com/aws/aws-kms-xksproxy-api-spec/blob/main/TrustedCertificateAuthorities"

    /// The DNS names that it is for; the common name where it has no alternative names.
    package var names: [String]
    /// Who has signed it, for example `CN=Amazon RSA 2048 M02, O=Amazon, C=US`.
    package var issuer: String
    /// Unix seconds, this and the next.
    package var notBefore: Int64
    package var notAfter: Int64
    /// The kind of its key, for example `EC P-256`.
    package var key: String
    /// What KMS will not take, each the rest of a sentence about the certificate with what mends it.
    package var flaws: [String]

    /// `kms.example.com, issued by CN=…, ends on 2027-01-01 (in 33 days), RSA 2048`
    package func description(now: Int64) -> String {
        let days = (notAfter - now) / 86_400
        let left = now > notAfter ? "has ended" : days == 1 ? "in 1 day" : "in \(days) days"
        let named = names.isEmpty ? "without a DNS name" : names.joined(separator: ", ")
        return "\(named), issued by \(issuer.isEmpty ? "an unnamed authority" : issuer), "
            + "ends on \(calendarDate(notAfter)) (\(left)), \(key)"
    }
}

extension ServerCertificate {
    /// nil where the certificate cannot be read.
    init?(_ certificate: NIOSSLCertificate) {
        guard let der = try? certificate.toDERBytes(), let facts = CertificateFacts(der: der) else { return nil }
        names = certificate.names
        issuer = facts.issuerText
        notBefore = facts.notBefore
        notAfter = facts.notAfter
        key = facts.key.name
        flaws = Self.flaws(facts, names: certificate.names)
    }

    private static func flaws(_ facts: CertificateFacts, names: [String]) -> [String] {
        var flaws: [String] = []
        if facts.isSelfIssued {
            flaws.append("is self-signed: KMS takes only certificates of the public authorities in \(authorities)")
        }
        if !names.contains(where: isDNSName) {
            flaws.append("has no DNS name: KMS asks for the name of the XKS proxy URI endpoint, and takes no address")
        }
        if !facts.isForServers {
            flaws.append("may not be used by a TLS server: have one issued with the extended key usage serverAuth")
        }
        switch facts.key {
        case .rsa(let bits) where bits < 2_048:
            flaws.append(
                "has an RSA key of \(bits) bits, which no public authority certifies: use 2048 or more, or EC P-256")
        case .ed25519, .other:
            flaws.append(
                "has a key (\(facts.key.name)) that the TLS suites of KMS do not sign with: use RSA 2048 or EC P-256")
        case .rsa, .p256, .p384, .p521: break
        }
        return flaws
    }

    /// Of at least two labels, as KMS asks for (RFC 1123, 2.1); a wildcard may be the first.
    private static func isDNSName(_ name: String) -> Bool {
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        return labels.count > 1
            && labels.enumerated().allSatisfy { index, label in
                (index == 0 && label == "*")
                    || !label.isEmpty && label.utf8.allSatisfy { $0.isLetterOrDigit || $0 == UInt8(ascii: "-") }
            } && !(labels.last ?? "").allSatisfy(\.isNumber)
    }
}

extension UInt8 {
    fileprivate var isLetterOrDigit: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: false
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import SwiftASN1
import X509

/// A certificate with its private key (EC P-256).
package struct IssuedCertificate: Sendable {
    package let certificate: Certificate
    package let key: P256.Signing.PrivateKey
}

/// Why a certificate cannot be made or used: one sentence with what failed and what mends it.
package struct CertificateProblem: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Makes certificates. What stands in them follows RFC 5280 and what OpenSSL, Go and the browsers insist on: names in
/// the subject alternative name, key usage, extended key usage, SKI and AKI.
package enum CertificateIssuer {
    /// The longest that browsers take, seconds.
    package static let leafLifetime: TimeInterval = 825 * 86_400
    package static let authorityLifetime: TimeInterval = 3_650 * 86_400
    /// How long before `now` a certificate begins, so that a node or client whose clock is behind accepts it.
    static let clockSkew: TimeInterval = 3_600

    /// A new CA that signs leaves only.
    package static func authority(commonName: String, now: Date) throws -> IssuedCertificate {
        let key = P256.Signing.PrivateKey()
        let name = try DistinguishedName {
            OrganizationName("Claviger")
            CommonName(commonName)
        }
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: .init(key.publicKey),
            notValidBefore: now.addingTimeInterval(-clockSkew),
            notValidAfter: now.addingTimeInterval(authorityLifetime),
            issuer: name,
            subject: name,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectKeyIdentifier(hash: .init(key.publicKey))
            },
            issuerPrivateKey: .init(key))
        return IssuedCertificate(certificate: certificate, key: key)
    }

    /// A new certificate with a new key, signed by `authority`.
    ///
    /// - Parameters:
    ///   - commonName: at most 64 characters (RFC 5280, ub-common-name).
    ///   - usages: without repetition.
    package static func leaf(
        commonName: String, names: [GeneralName], usages: [ExtendedKeyUsage.Usage],
        lifetime: TimeInterval = leafLifetime, authority: IssuedCertificate, now: Date
    ) throws -> IssuedCertificate {
        let key = P256.Signing.PrivateKey()
        let issuer = SubjectKeyIdentifier(hash: .init(authority.key.publicKey))
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: .init(key.publicKey),
            notValidBefore: now.addingTimeInterval(-clockSkew),
            notValidAfter: now.addingTimeInterval(lifetime),
            issuer: authority.certificate.subject,
            subject: try DistinguishedName {
                OrganizationName("Claviger")
                CommonName(commonName)
            },
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage(usages)
                SubjectAlternativeNames(names)
                SubjectKeyIdentifier(hash: .init(key.publicKey))
                AuthorityKeyIdentifier(keyIdentifier: issuer.keyIdentifier)
            },
            issuerPrivateKey: .init(authority.key))
        return IssuedCertificate(certificate: certificate, key: key)
    }
}

extension Certificate {
    /// True while the certificate is valid, and stays so for `margin` seconds more.
    package func isUsable(at now: Date, margin: TimeInterval) -> Bool {
        notValidBefore <= now && notValidAfter > now.addingTimeInterval(margin)
    }
}

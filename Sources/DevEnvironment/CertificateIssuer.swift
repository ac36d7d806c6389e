// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import SwiftASN1
import X509

/// A certificate with its private key (EC P-256).
struct IssuedCertificate {
    let certificate: Certificate
    let key: P256.Signing.PrivateKey
}

/// Makes the development certificates. What stands in them follows RFC 5280 and what OpenSSL, Go and the browsers
/// insist on: names in the subject alternative name, key usage, extended key usage, SKI and AKI, at most 825 days.
enum CertificateIssuer {
    static let leafLifetime: TimeInterval = 825 * 86_400
    static let authorityLifetime: TimeInterval = 3_650 * 86_400
    /// How long before `now` a certificate begins, so that a client whose clock is behind accepts it.
    static let clockSkew: TimeInterval = 3_600

    static func authority(now: Date) throws -> IssuedCertificate {
        let key = P256.Signing.PrivateKey()
        let name = try DistinguishedName {
            OrganizationName("Claviger")
            CommonName("Claviger development CA")
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

    static func leaf(
        commonName: String, names: [GeneralName], usage: ExtendedKeyUsage.Usage, authority: IssuedCertificate, now: Date
    ) throws -> IssuedCertificate {
        let key = P256.Signing.PrivateKey()
        let issuer = SubjectKeyIdentifier(hash: .init(authority.key.publicKey))
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: .init(key.publicKey),
            notValidBefore: now.addingTimeInterval(-clockSkew),
            notValidAfter: now.addingTimeInterval(leafLifetime),
            issuer: authority.certificate.subject,
            subject: try DistinguishedName {
                OrganizationName("Claviger")
                CommonName(commonName)
            },
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([usage])
                SubjectAlternativeNames(names)
                SubjectKeyIdentifier(hash: .init(key.publicKey))
                AuthorityKeyIdentifier(keyIdentifier: issuer.keyIdentifier)
            },
            issuerPrivateKey: .init(authority.key))
        return IssuedCertificate(certificate: certificate, key: key)
    }
}

extension Certificate {
    /// True while the certificate is valid, and stays so for `margin` more.
    func isUsable(at now: Date, margin: TimeInterval) -> Bool {
        notValidBefore <= now && notValidAfter > now.addingTimeInterval(margin)
    }
}

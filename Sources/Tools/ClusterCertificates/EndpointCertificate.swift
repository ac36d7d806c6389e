// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import SecureMemory
import SwiftASN1
import X509

/// The certificate of a node's XKS listener for who has none yet: a key (EC P-256), a certificate that the key itself has
/// signed, and a request for a CA.
package struct EndpointCertificate: Sendable {
    /// PEM.
    package let certificate: String
    /// PEM (PKCS #10), for the same key and name.
    package let request: String
    /// PEM.
    package let key: SecretBytes

    /// - Parameter host: the endpoint's name, at most 64 characters: AWS compares the common name.
    /// - Throws: `CertificateProblem` where no certificate can carry it.
    package static func make(host: String, now: Date) throws -> EndpointCertificate {
        guard let name = GeneralName(host: host) else {
            throw CertificateProblem("\(host.debugDescription) is no host name that a certificate can carry.")
        }
        let key = P256.Signing.PrivateKey()
        let subject = try DistinguishedName { CommonName(host) }
        let names = SubjectAlternativeNames([name])
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: .init(key.publicKey),
            notValidBefore: now.addingTimeInterval(-CertificateIssuer.clockSkew),
            notValidAfter: now.addingTimeInterval(CertificateIssuer.leafLifetime),
            issuer: subject,
            subject: subject,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth])
                names
                SubjectKeyIdentifier(hash: .init(key.publicKey))
            },
            issuerPrivateKey: .init(key))
        let wanted = try ExtensionRequest(extensions: Certificate.Extensions { names })
        let request = try CertificateSigningRequest(
            version: .v1, subject: subject, privateKey: .init(key),
            attributes: CertificateSigningRequest.Attributes([.init(wanted)]))
        return EndpointCertificate(
            certificate: try certificate.serializeAsPEM().pemString + "\n",
            request: try request.serializeAsPEM().pemString + "\n",
            key: SecretBytes(Array((key.pemRepresentation + "\n").utf8)))
    }
}

// SPDX-License-Identifier: Apache-2.0
import ClusterCertificates
import Foundation
import PrivateFiles
import X509

/// The certificates of a development node, as PEM files under `tls/`; the keys are readable by their owner only.
///
/// One CA signs the server's certificate and a client's, so that mutual TLS can be tried without asking anybody.
package struct DevCertificates: Sendable, Equatable {
    /// The CA's certificate: what clients trust (`curl --cacert`), and what the node trusts when it asks for client
    /// certificates.
    package let authority: String
    package let serverCertificate: String
    package let serverKey: String
    package let clientCertificate: String
    package let clientKey: String

    /// Common name and DNS name of the client certificate; KMS itself presents `cks.kms.<region>.amazonaws.com`.
    package static let clientName = "claviger-dev-client"

    /// A certificate with less time left than this is replaced, seconds.
    static let renewalMargin: TimeInterval = 30 * 86_400

    /// Makes what is missing, broken, expired or about to expire, and keeps the rest.
    ///
    /// - Parameters:
    ///   - directory: exists already; the caller holds the state directory, so that nobody else writes here.
    ///   - hosts: names and addresses that the server's certificate must carry beside localhost, 127.0.0.1 and ::1.
    /// - Throws: `PrivateFileError` when a file cannot be read or written, `DevError` for all else.
    package static func ensure(in directory: String, hosts: [String] = [], now: Date) throws -> DevCertificates {
        let certificates = DevCertificates(
            authority: directory + "/ca.pem",
            serverCertificate: directory + "/server.pem", serverKey: directory + "/server-key.pem",
            clientCertificate: directory + "/client.pem", clientKey: directory + "/client-key.pem")
        do {
            try certificates.ensureFiles(authorityKey: directory + "/ca-key.pem", hosts: hosts, now: now)
        } catch let error as PrivateFileError {
            throw error
        } catch {
            throw DevError("Cannot make the development certificates in \(directory): \(error)")
        }
        return certificates
    }

    private func ensureFiles(authorityKey: String, hosts: [String], now: Date) throws {
        // The CA must outlive whatever it may sign from now on.
        let margin = CertificateIssuer.leafLifetime + Self.renewalMargin
        let authority = try CertificatePair(certificate: authority, key: authorityKey).ensure {
            $0.isUsable(at: now, margin: margin)
        } make: {
            try CertificateIssuer.authority(commonName: "Claviger development CA", now: now)
        }
        try Self.ensureLeaf(
            CertificatePair(certificate: serverCertificate, key: serverKey), commonName: "localhost",
            names: Self.serverNames(hosts: hosts), usage: .serverAuth, authority: authority, now: now)
        try Self.ensureLeaf(
            CertificatePair(certificate: clientCertificate, key: clientKey), commonName: Self.clientName,
            names: [.dnsName(Self.clientName)], usage: .clientAuth, authority: authority, now: now)
    }

    private static func ensureLeaf(
        _ pair: CertificatePair, commonName: String, names: [GeneralName], usage: ExtendedKeyUsage.Usage,
        authority: IssuedCertificate, now: Date
    ) throws {
        _ = try pair.ensure { certificate in
            let carried = (try? certificate.extensions.subjectAlternativeNames).map { Array($0) } ?? []
            return certificate.isUsable(at: now, margin: renewalMargin)
                && authority.certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
                && names.allSatisfy(carried.contains)
        } make: {
            try CertificateIssuer.leaf(
                commonName: commonName, names: names, usages: [usage], authority: authority, now: now)
        }
    }

    private static func serverNames(hosts: [String]) -> [GeneralName] {
        var names: [GeneralName] = []
        for host in ["localhost", "127.0.0.1", "::1"] + hosts {
            guard let name = GeneralName(host: host), !names.contains(name) else { continue }
            names.append(name)
        }
        return names
    }
}

// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import Glibc
import SecureMemory
import SwiftASN1
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
    /// - Throws: `DevError` when a file cannot be read or written.
    package static func ensure(in directory: String, hosts: [String] = [], now: Date) throws -> DevCertificates {
        let certificates = DevCertificates(
            authority: directory + "/ca.pem",
            serverCertificate: directory + "/server.pem", serverKey: directory + "/server-key.pem",
            clientCertificate: directory + "/client.pem", clientKey: directory + "/client-key.pem")
        do {
            try certificates.ensureFiles(authorityKey: directory + "/ca-key.pem", hosts: hosts, now: now)
        } catch let error as DevError {
            throw error
        } catch {
            throw DevError("Cannot make the development certificates in \(directory): \(error)")
        }
        return certificates
    }

    private func ensureFiles(authorityKey: String, hosts: [String], now: Date) throws {
        // The CA must outlive whatever it may sign from now on.
        let margin = CertificateIssuer.leafLifetime + Self.renewalMargin
        let authority = try Self.ensure(authority, authorityKey) {
            $0.isUsable(at: now, margin: margin)
        } make: {
            try CertificateIssuer.authority(now: now)
        }
        let serverNames = Self.serverNames(hosts: hosts)
        try Self.ensureLeaf(
            (serverCertificate, serverKey), commonName: "localhost", names: serverNames, usage: .serverAuth,
            authority: authority, now: now)
        try Self.ensureLeaf(
            (clientCertificate, clientKey), commonName: Self.clientName, names: [.dnsName(Self.clientName)],
            usage: .clientAuth, authority: authority, now: now)
    }

    private static func ensureLeaf(
        _ files: (certificate: String, key: String), commonName: String, names: [GeneralName],
        usage: ExtendedKeyUsage.Usage, authority: IssuedCertificate, now: Date
    ) throws {
        _ = try ensure(files.certificate, files.key) { certificate in
            let carried = (try? certificate.extensions.subjectAlternativeNames).map { Array($0) } ?? []
            return certificate.isUsable(at: now, margin: renewalMargin)
                && authority.certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
                && names.allSatisfy(carried.contains)
        } make: {
            try CertificateIssuer.leaf(
                commonName: commonName, names: names, usage: usage, authority: authority, now: now)
        }
    }

    /// Reads the pair; makes and writes a new one when either part is missing or unusable.
    private static func ensure(
        _ certificateFile: String, _ keyFile: String, isGood: (Certificate) -> Bool,
        make: () throws -> IssuedCertificate
    ) throws -> IssuedCertificate {
        if let found = try load(certificateFile, keyFile), isGood(found.certificate) { return found }
        let made = try make()
        // Certificate last: killed between the two, the next start sees a pair that does not match, and makes another.
        try StateFiles.write(made.key.pemRepresentation + "\n", to: keyFile)
        try StateFiles.write(try made.certificate.serializeAsPEM().pemString + "\n", to: certificateFile, mode: 0o644)
        return made
    }

    /// `nil` when a file is missing, not PEM, or the key is not the certificate's.
    private static func load(_ certificateFile: String, _ keyFile: String) throws -> IssuedCertificate? {
        guard let certificateText = try StateFiles.read(certificateFile)?.text,
            let keyText = try StateFiles.read(keyFile)?.text,
            let certificate = try? Certificate(pemEncoded: certificateText),
            let key = try? P256.Signing.PrivateKey(pemRepresentation: keyText),
            certificate.publicKey == Certificate.PublicKey(key.publicKey)
        else { return nil }
        return IssuedCertificate(certificate: certificate, key: key)
    }

    private static func serverNames(hosts: [String]) -> [GeneralName] {
        var names: [GeneralName] = [
            .dnsName("localhost"),
            .ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1])),
            .ipAddress(ASN1OctetString(contentBytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
        ]
        for host in hosts {
            guard let name = generalName(of: host), !names.contains(name) else { continue }
            names.append(name)
        }
        return names
    }

    /// `nil` for what no certificate can carry: the addresses that mean "any", and text that is no host name.
    private static func generalName(of host: String) -> GeneralName? {
        if host == "0.0.0.0" || host == "::" { return nil }
        var four = in_addr()
        if inet_pton(AF_INET, host, &four) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: &four) { Array($0)[...] }))
        }
        var six = in6_addr()
        if inet_pton(AF_INET6, host, &six) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: &six) { Array($0)[...] }))
        }
        guard !host.isEmpty, host.utf8.count <= 253, host.utf8.allSatisfy(isHostNameByte) else { return nil }
        return .dnsName(host)
    }

    private static func isHostNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}

extension SecretBytes {
    fileprivate var text: String { withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
}

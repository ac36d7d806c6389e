// SPDX-License-Identifier: Apache-2.0
import Foundation
import PrivateFiles
import TLSFacts
import X509

/// The CA of one cluster, for those who have no PKI. Whoever has a certificate from it is a node: it signs nothing else,
/// and its key belongs on no node.
package struct ClusterAuthority: Sendable {
    /// `ca.pem`, which every node needs, and `ca-key.pem`, which only issuing does.
    package let files: CertificatePair
    private let issued: IssuedCertificate

    /// Days that a node's certificate may last, and that it does when nobody says otherwise.
    package static let days = 1...3650
    package static let standardDays = 825

    /// The files of a CA in a directory.
    package static func files(in directory: String) -> CertificatePair {
        CertificatePair(certificate: directory + "/ca.pem", key: directory + "/ca-key.pem")
    }

    /// Makes a CA that lasts ten years, in a directory that is made (0700) when it is not there. Overwrites nothing.
    /// - Throws: `CertificateProblem` when a CA is there already, `PrivateFileError` when nothing can be written.
    package static func create(in directory: String, now: Date) throws -> ClusterAuthority {
        try PrivateFiles.makeDirectory(directory)
        let files = files(in: directory)
        return try PrivateFiles.exclusively(in: directory) {
            if let present = [files.key, files.certificate].first(where: PrivateFiles.exists) {
                throw CertificateProblem(
                    "\(present) is there already, and without it no node of its cluster is believed any more. Choose "
                        + "another directory; or move it away, if no cluster uses it.")
            }
            let issued = try CertificateIssuer.authority(commonName: "Claviger cluster CA", now: now)
            try files.write(issued)
            return ClusterAuthority(files: files, issued: issued)
        }
    }

    /// Reads a CA.
    /// - Throws: `CertificateProblem` when it is none, or not valid at `now`; `PrivateFileError` when it cannot be read.
    package static func load(from directory: String, now: Date) throws -> ClusterAuthority {
        let files = files(in: directory)
        for file in [files.certificate, files.key] where !PrivateFiles.exists(file) {
            throw CertificateProblem(
                "There is no \(file). Make a CA with `claviger cluster new-ca \(directory)`, or name its directory.")
        }
        guard let issued = try files.load() else {
            throw CertificateProblem(
                "\(files.certificate) and \(files.key) are no CA: a certificate and its EC P-256 key, both PEM, are "
                    + "needed. Bring them back from a copy.")
        }
        guard issued.certificate.isAuthority else {
            throw CertificateProblem("\(files.certificate) is a certificate, but not a CA's. Name the CA's directory.")
        }
        guard issued.certificate.isUsable(at: now, margin: 0) else {
            throw CertificateProblem(
                "\(files.certificate) is valid from \(day(issued.certificate.notValidBefore)) to "
                    + "\(day(issued.certificate.notValidAfter)), so it can sign nothing now. Check the clock, or make a "
                    + "new CA in another directory.")
        }
        return ClusterAuthority(files: files, issued: issued)
    }

    /// What a node's certificate is to say.
    package struct Order: Sendable {
        /// `node.id`
        package var node: String
        /// Host names and addresses to carry beside the node's name, for tools that look at them. Peers do not.
        package var hosts: [String]
        /// 1 to 3650.
        package var days: Int

        package init(node: String, hosts: [String] = [], days: Int = standardDays) {
            self.node = node
            self.hosts = hosts
            self.days = days
        }
    }

    /// Where `issue` puts a node's certificate.
    package static func files(of node: String, in directory: String) -> CertificatePair {
        CertificatePair(certificate: "\(directory)/\(node).pem", key: "\(directory)/\(node)-key.pem")
    }

    /// Makes a node's certificate with a new key: `<node>.pem` (0644) and `<node>-key.pem` (0600), in a directory that
    /// is made (0700) when it is not there.
    ///
    /// - Parameter replacing: whether files of that name may be replaced: for a node whose certificate is to be renewed.
    /// - Throws: `CertificateProblem` when the order cannot be carried out, `PrivateFileError` when nothing can be
    ///   written.
    package func issue(
        _ order: Order, into directory: String, replacing: Bool = false, now: Date
    ) throws -> CertificatePair {
        let leaf = try leaf(order, now: now)
        try PrivateFiles.makeDirectory(directory)
        let pair = Self.files(of: order.node, in: directory)
        guard !isAuthority(pair) else {
            throw CertificateProblem(
                "The node \(order.node) would replace the CA. Choose another directory with --out.")
        }
        return try PrivateFiles.exclusively(in: directory) {
            if !replacing, let present = [pair.key, pair.certificate].first(where: PrivateFiles.exists) {
                throw CertificateProblem(
                    "\(present) is there already. Replace it with --force, or choose another directory with --out.")
            }
            try pair.write(leaf)
            return pair
        }
    }

    /// The serial number of the first certificate of a PEM file.
    /// - Throws: `CertificateProblem` when it holds none, `PrivateFileError` when it cannot be read.
    package static func serial(of file: String) throws -> CertificateSerial {
        guard let content = try PrivateFiles.read(file) else { throw CertificateProblem("There is no \(file).") }
        let text = content.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        guard
            let block = text.firstRange(of: "-----BEGIN CERTIFICATE-----").flatMap({ begin in
                text[begin.lowerBound...].firstRange(of: "-----END CERTIFICATE-----").map {
                    text[begin.lowerBound..<$0.upperBound]
                }
            }), let certificate = try? Certificate(pemEncoded: String(block)),
            let serial = CertificateSerial(octets: certificate.serialNumber.bytes)
        else { throw CertificateProblem("\(file) holds no certificate in PEM form.") }
        return serial
    }

    /// Makes what `issue` would unless a good certificate of this CA is there, which lasts for `margin` seconds more.
    package func ensure(_ order: Order, in directory: String, margin: TimeInterval, now: Date) throws -> CertificatePair
    {
        let pair = Self.files(of: order.node, in: directory)
        _ = try pair.ensure { certificate in
            certificate.isUsable(at: now, margin: margin)
                && issued.certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
        } make: {
            try leaf(order, now: now)
        }
        return pair
    }

    /// True as long as certificates of `days` days can be issued.
    package func lasts(days: Int, from now: Date) -> Bool {
        issued.certificate.isUsable(at: now, margin: Double(days) * 86_400)
    }

    private func leaf(_ order: Order, now: Date) throws -> IssuedCertificate {
        guard NodeCertificateName.isValid(order.node) else {
            throw CertificateProblem(
                "\(order.node.debugDescription) is no name of a node: 1 to 64 of A-Z a-z 0-9 . _ - are needed, the "
                    + "same as node.id in its configuration.")
        }
        guard Self.days.contains(order.days) else {
            throw CertificateProblem("\(order.days) days cannot be had: 1 to \(Self.days.upperBound) (--days).")
        }
        guard lasts(days: order.days, from: now) else {
            throw CertificateProblem(
                "\(files.certificate) ends on \(Self.day(issued.certificate.notValidAfter)), before a certificate of "
                    + "\(order.days) days would. Choose fewer with --days, or make a new CA.")
        }
        var names: [GeneralName] = [.dnsName(NodeCertificateName.dnsName(of: order.node))]
        for host in order.hosts {
            guard let name = GeneralName(host: host), !host.hasSuffix(NodeCertificateName.dnsName(of: "")) else {
                throw CertificateProblem(
                    "\(host.debugDescription) is no host name or address that a certificate can carry (--host).")
            }
            if !names.contains(name) { names.append(name) }
        }
        return try CertificateIssuer.leaf(
            commonName: order.node, names: names, usages: [.serverAuth, .clientAuth],
            lifetime: Double(order.days) * 86_400, authority: issued, now: now)
    }

    /// Whether the files are the CA's own, under whatever path.
    private func isAuthority(_ pair: CertificatePair) -> Bool {
        [(pair.certificate, files.certificate), (pair.key, files.key)].contains { PrivateFiles.isSame($0, $1) }
    }

    private static func day(_ date: Date) -> String { date.formatted(.iso8601.year().month().day()) }
}

extension Certificate {
    fileprivate var isAuthority: Bool {
        if case .isCertificateAuthority = try? extensions.basicConstraints { true } else { false }
    }
}

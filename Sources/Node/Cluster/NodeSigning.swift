// SPDX-License-Identifier: Apache-2.0
import Foundation
import Gossip
import NIOSSL
import SecureMemory
import SwiftASN1
import TLSFacts
@_spi(FixedExpiryValidationTime) import X509

/// A node's cluster key, for what it signs besides its connections. It is held for as long as this value is.
package struct NodeSigningKey: Sendable {
    /// Tried in turn: whichever fits the key. The first ones are what `claviger cluster issue` makes.
    static let algorithms: [Certificate.SignatureAlgorithm] = [
        .ecdsaWithSHA256, .ecdsaWithSHA384, .ecdsaWithSHA512, .sha256WithRSAEncryption, .ed25519,
    ]

    /// The node's certificate, then intermediate ones, DER in hexadecimal digits.
    package let certificates: [String]
    private let key: Certificate.PrivateKey
    private let algorithm: Certificate.SignatureAlgorithm

    /// `nil` where the files cannot be read, or hold a key of a kind that cannot sign here. Blocks on the disk. The key is
    /// read into text that cannot be overwritten.
    package init?(_ files: ClusterTLSFiles, within time: Duration = .seconds(1)) {
        guard var pem = try? ClusterTLS.privateKeyBlock(files.key, within: time),
            let chain = try? ClusterTLS.certificates(files.certificate, within: time)
        else { return nil }
        defer { pem.withUnsafeMutableBytes { wipe($0) } }
        guard let key = try? Certificate.PrivateKey(pemEncoded: String(decoding: pem, as: UTF8.self)),
            let algorithm = Self.algorithms.first(where: { (try? key.sign(bytes: [0], signatureAlgorithm: $0)) != nil })
        else { return nil }
        let encoded = chain.prefix(Farewell.mostCertificates).compactMap { try? $0.toDERBytes() }
        guard !encoded.isEmpty, encoded.allSatisfy({ $0.count <= Farewell.longestCertificate }) else { return nil }
        certificates = encoded.map(HexDigits.text)
        self.key = key
        self.algorithm = algorithm
    }

    /// In hexadecimal digits.
    package func sign(_ text: [UInt8]) -> String? {
        (try? key.sign(bytes: text, signatureAlgorithm: algorithm)).map { HexDigits.text($0.rawRepresentation) }
    }
}

/// Signatures of nodes' cluster keys. Certificates and signatures are in hexadecimal digits.
package enum NodeSignature {
    /// Whether the text was signed by the key of the first certificate. Whose that is, it does not say.
    package static func isSigned(_ text: [UInt8], _ signature: String, by certificates: [String]) -> Bool {
        guard let signature = HexDigits.bytes(signature), let first = certificates.first.flatMap(HexDigits.bytes),
            let leaf = try? Certificate(derEncoded: first)
        else { return false }
        return NodeSigningKey.algorithms.contains {
            leaf.publicKey.isValidSignature(signature, for: text, signatureAlgorithm: $0)
        }
    }

    /// The name of the node whose certificate is the first.
    package static func node(of certificates: [String]) -> String? { identity(of: certificates)?.name }

    static func identity(of certificates: [String]) -> PeerCertificate? {
        certificates.first.flatMap(HexDigits.bytes).flatMap { try? NIOSSLCertificate(bytes: $0, format: .der) }
            .flatMap(PeerCertificate.init)
    }

    /// Whether the certificates lead to one of these authorities.
    ///
    /// - Parameters:
    ///   - authorities: the cluster's CA certificates, DER.
    ///   - moment: at which the certificates must be valid, Unix seconds; `nil`: now.
    static func isIssued(
        _ certificates: [String], by authorities: [[UInt8]], at moment: Int64? = nil
    ) async -> Bool {
        let encoded = certificates.compactMap(HexDigits.bytes)
        guard encoded.count == certificates.count, let first = encoded.first,
            let leaf = try? Certificate(derEncoded: first)
        else { return false }
        let roots = authorities.compactMap { try? Certificate(derEncoded: $0) }
        let intermediates = encoded.dropFirst().compactMap { try? Certificate(derEncoded: $0) }
        var verifier = Verifier(rootCertificates: CertificateStore(roots)) {
            if let moment {
                RFC5280Policy(fixedExpiryValidationTime: Date(timeIntervalSince1970: Double(moment)))
            } else {
                RFC5280Policy()
            }
        }
        switch await verifier.validate(leaf: leaf, intermediates: CertificateStore(intermediates)) {
        case .validCertificate: return true
        case .couldNotValidate: return false
        }
    }

    /// Whether a text was signed by the node of this name, by a certificate of the cluster that is not refused.
    static func isGenuine(
        _ text: [UInt8], _ signature: String, by certificates: [String], node: String, material: ClusterTLS.Material
    ) async -> Bool {
        guard let signer = identity(of: certificates), signer.name == node, !material.refused.contains(signer.serial),
            isSigned(text, signature, by: certificates)
        else { return false }
        return await isIssued(certificates, by: material.authorities)
    }
}

enum HexDigits {
    static func text(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    static func bytes(_ text: String) -> [UInt8]? {
        let digits = text.utf8.map { digit -> UInt8? in
            switch digit {
            case 0x30...0x39: digit - 0x30
            case 0x61...0x66: digit - 0x57
            default: nil
            }
        }
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for position in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[position], let low = digits[position + 1] else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}

/// The CA certificates of a cluster, from their file.
package struct ClusterAuthorities: Sendable {
    /// DER.
    private let certificates: [[UInt8]]

    /// Throws `ClusterError`. Blocks on the disk.
    package init(file: String) throws(ClusterError) {
        certificates = try ClusterTLS.certificates(file).compactMap { try? $0.toDERBytes() }
    }

    /// Whether the first of these certificates, in hexadecimal digits, was issued by one of them, and was valid at that
    /// moment, Unix seconds.
    package func haveIssued(_ chain: [String], at moment: Int64) async -> Bool {
        await NodeSignature.isIssued(chain, by: certificates, at: moment)
    }
}

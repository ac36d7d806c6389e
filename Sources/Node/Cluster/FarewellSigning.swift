// SPDX-License-Identifier: Apache-2.0
import Foundation
import Gossip
import NIOSSL
import SecureMemory
import SwiftASN1
import TLSFacts
import X509

/// Signs this node's farewell with its cluster key, and verifies those of others against the cluster's CA: whoever passes
/// one on cannot have made it up.
enum FarewellSigning {
    /// Tried in turn: whichever fits the key. The first ones are what `claviger cluster issue` makes.
    private static let algorithms: [Certificate.SignatureAlgorithm] = [
        .ecdsaWithSHA256, .ecdsaWithSHA384, .ecdsaWithSHA512, .sha256WithRSAEncryption, .ed25519,
    ]

    /// `nil` where the files cannot be read any more, or hold a key of a kind that cannot sign here. Blocks on the disk.
    /// The key is read into text that cannot be overwritten: the process is about to end.
    static func sign(name: String, incarnation: UInt64, with files: ClusterTLSFiles) -> Farewell? {
        // Who ends does not wait long for files: those who are not told learn it by its silence.
        guard var pem = try? ClusterTLS.privateKeyBlock(files.key, within: .seconds(1)),
            let certificates = try? ClusterTLS.certificates(files.certificate, within: .seconds(1))
        else { return nil }
        defer { pem.withUnsafeMutableBytes { wipe($0) } }
        let text = Farewell.signedText(name: name, incarnation: incarnation)
        guard let key = try? Certificate.PrivateKey(pemEncoded: String(decoding: pem, as: UTF8.self)),
            let signature = algorithms.lazy.compactMap({
                try? key.sign(bytes: Array(text.utf8), signatureAlgorithm: $0)
            })
            .first
        else { return nil }
        let encoded = certificates.prefix(Farewell.mostCertificates).compactMap { try? $0.toDERBytes() }
        guard !encoded.isEmpty, encoded.allSatisfy({ $0.count <= Farewell.longestCertificate }) else { return nil }
        return Farewell(
            name: name, incarnation: incarnation, certificates: encoded.map(Self.hexadecimal),
            signature: hexadecimal(signature.rawRepresentation))
    }

    /// Whether the node of this name said so itself.
    ///
    /// - Parameters:
    ///   - authorities: the cluster's CA certificates, DER.
    ///   - refused: certificates that no node may show any more.
    static func isGenuine(
        _ farewell: Farewell, authorities: [[UInt8]], refused: Set<CertificateSerial>
    ) async -> Bool {
        let encoded = farewell.certificates.compactMap(bytes)
        guard encoded.count == farewell.certificates.count, let signature = bytes(farewell.signature),
            let leafBytes = encoded.first, let leaf = try? Certificate(derEncoded: leafBytes),
            let signer = (try? NIOSSLCertificate(bytes: leafBytes, format: .der)).flatMap(PeerCertificate.init),
            signer.name == farewell.name, !refused.contains(signer.serial)
        else { return false }
        let text = Array(Farewell.signedText(name: farewell.name, incarnation: farewell.incarnation).utf8)
        guard
            algorithms.contains(where: { leaf.publicKey.isValidSignature(signature, for: text, signatureAlgorithm: $0) }
            )
        else { return false }
        let roots = authorities.compactMap { try? Certificate(derEncoded: $0) }
        let intermediates = encoded.dropFirst().compactMap { try? Certificate(derEncoded: $0) }
        var verifier = Verifier(rootCertificates: CertificateStore(roots)) { RFC5280Policy() }
        switch await verifier.validate(leaf: leaf, intermediates: CertificateStore(intermediates)) {
        case .validCertificate: return true
        case .couldNotValidate: return false
        }
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func bytes(_ text: String) -> [UInt8]? {
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

extension GossipMessage {
    /// Farewells that one message may bring; further ones come with later messages.
    private static let mostFarewells = 8

    var carriesFarewell: Bool { farewell != nil || updates.contains { $0.farewell != nil } }

    /// With the farewells that are genuine, and no others.
    ///
    /// - Parameter tls: what is in use.
    func withGenuineFarewells(by tls: ClusterTLS.Material) async -> GossipMessage {
        var message = self
        let (authorities, refused) = (tls.authorities, tls.refused)
        if let farewell, await !FarewellSigning.isGenuine(farewell, authorities: authorities, refused: refused) {
            message.farewell = nil
        }
        var room = Self.mostFarewells
        for index in updates.indices {
            guard let farewell = updates[index].farewell else { continue }
            room -= 1
            if room >= 0, await FarewellSigning.isGenuine(farewell, authorities: authorities, refused: refused) {
                continue
            }
            message.updates[index].farewell = nil
        }
        return message
    }
}

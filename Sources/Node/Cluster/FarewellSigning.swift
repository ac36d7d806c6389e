// SPDX-License-Identifier: Apache-2.0
import Foundation
import Gossip
import NIOSSL
import SwiftASN1
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
        guard var pem = try? SmallFile.read(files.key), let chain = try? SmallFile.read(files.certificate),
            let certificates = try? NIOSSLCertificate.fromPEMBytes(chain)
        else { return nil }
        defer { SmallFile.overwrite(&pem) }
        let text = Farewell.signedText(name: name, incarnation: incarnation)
        guard let key = try? Certificate.PrivateKey(pemEncoded: keyBlock(of: String(decoding: pem, as: UTF8.self))),
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

    /// The private key's block: OpenSSL writes the curve's parameters before it.
    private static func keyBlock(of text: String) -> String {
        let lines = text.split(whereSeparator: \.isNewline)
        guard let first = lines.firstIndex(where: { $0.hasPrefix("-----BEGIN") && $0.contains("PRIVATE KEY") }),
            let last = lines[first...].firstIndex(where: { $0.hasPrefix("-----END") })
        else { return text }
        return lines[first...last].joined(separator: "\n") + "\n"
    }

    /// Whether the node of this name said so itself.
    ///
    /// - Parameter authorities: the cluster's CA certificates, DER.
    static func isGenuine(_ farewell: Farewell, authorities: [[UInt8]]) async -> Bool {
        let encoded = farewell.certificates.compactMap(bytes)
        guard encoded.count == farewell.certificates.count, let signature = bytes(farewell.signature),
            let leafBytes = encoded.first, let leaf = try? Certificate(derEncoded: leafBytes),
            let name = (try? NIOSSLCertificate(bytes: leafBytes, format: .der)).flatMap(NodeName.of),
            name == farewell.name
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
    /// - Parameter authorities: the cluster's CA certificates, DER.
    func withGenuineFarewells(authorities: [[UInt8]]) async -> GossipMessage {
        var message = self
        if let farewell, await !FarewellSigning.isGenuine(farewell, authorities: authorities) { message.farewell = nil }
        var room = Self.mostFarewells
        for index in updates.indices {
            guard let farewell = updates[index].farewell else { continue }
            room -= 1
            if room >= 0, await FarewellSigning.isGenuine(farewell, authorities: authorities) { continue }
            message.updates[index].farewell = nil
        }
        return message
    }
}

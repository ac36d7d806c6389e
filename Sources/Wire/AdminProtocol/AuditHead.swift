// SPDX-License-Identifier: Apache-2.0

/// The end of a chain at some time, as its node has it on its disk. Whoever has it can prove that what came before was
/// changed or cut.
package struct AuditHead: Sendable, Equatable, Codable {
    /// Highest number that is told: an integer of every JSON reader.
    package static let highestNumber: UInt64 = 1 << 53

    package var node: String
    package var chain: Int
    /// Grows with each start of the node.
    package var run: UInt64
    package var seq: UInt64
    package var hash: String
    /// Unix seconds, by that node's clock.
    package var time: Int64

    package init(node: String, chain: Int, run: UInt64, seq: UInt64, hash: String, time: Int64) {
        self.node = node
        self.chain = chain
        self.run = run
        self.seq = seq
        self.hash = hash
        self.time = time
    }

    /// What is signed. The first line keeps it from passing for anything else that is ever signed with the key.
    package var signedText: String {
        "claviger audit head, 1\n\(node)\n\(chain)\n\(run)\n\(seq)\n\(hash)\n\(time)\n"
    }

    package var isWithinBounds: Bool {
        (1...64).contains(node.utf8.count) && (1...AuditHead.mostChains).contains(chain) && run <= Self.highestNumber
            && (1...Self.highestNumber).contains(seq) && hash.utf8.count == 64
            && hash.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
            && (0...253_402_300_799).contains(time)
    }

    /// Most chains in one directory: processes that write there at a time.
    package static let mostChains = 8
}

/// A head with its node's signature.
package struct SignedAuditHead: Sendable, Equatable, Codable {
    /// Longest signer and signature, characters.
    static let mostCertificates = 4
    static let longestCertificate = 8_192
    static let longestSignature = 2_048

    package var head: AuditHead
    package var signer: AuditSigner
    /// Of `AuditHead.signedText`, in hexadecimal digits.
    package var signature: String
    /// The node that has kept it; left out by the one that made it.
    package var keptBy: String?

    package init(head: AuditHead, signer: AuditSigner, signature: String, keptBy: String? = nil) {
        self.head = head
        self.signer = signer
        self.signature = signature
        self.keptBy = keptBy
    }

    /// Whether its numbers and sizes are ones that a node states.
    package var isWithinBounds: Bool {
        head.isWithinBounds && signer.certificates.count <= Self.mostCertificates
            && signer.certificates.allSatisfy { (1...Self.longestCertificate).contains($0.utf8.count) }
            && (signer.publicKey?.utf8.count ?? 0) <= Self.longestCertificate
            && (1...Self.longestSignature).contains(signature.utf8.count)
    }
}

/// Heads as `claviger audit heads` prints them, and the admin socket and peers give them.
package struct AuditHeads: Sendable, Equatable, Codable {
    package var heads: [SignedAuditHead]

    package init(heads: [SignedAuditHead]) { self.heads = heads }
}

/// By whose key heads and records are signed.
package struct AuditSigner: Sendable, Equatable, Codable {
    /// The node's certificate, then intermediate ones, DER in hexadecimal digits; empty without a cluster.
    package var certificates: [String]
    /// SubjectPublicKeyInfo, DER in hexadecimal digits; only without a cluster.
    package var publicKey: String?

    package init(certificates: [String] = [], publicKey: String? = nil) {
        self.certificates = certificates
        self.publicKey = publicKey
    }
}

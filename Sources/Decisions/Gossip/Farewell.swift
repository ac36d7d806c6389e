// SPDX-License-Identifier: Apache-2.0

/// A node's own word that it has ended, signed with its cluster key: so it is believed from whoever passes it on, and
/// nobody else can say it.
package struct Farewell: Sendable, Equatable, Codable {
    /// Longest certificate chain and signature, bytes.
    package static let mostCertificates = 4
    package static let longestCertificate = 4_096
    package static let longestSignature = 1_024

    package var name: String
    /// Of the life that has ended: a later one of the node is not meant.
    package var incarnation: UInt64
    /// The node's certificate, then intermediate ones, DER in hexadecimal digits.
    package var certificates: [String]
    /// Of `signedText`, in hexadecimal digits.
    package var signature: String

    package init(name: String, incarnation: UInt64, certificates: [String], signature: String) {
        self.name = name
        self.incarnation = incarnation
        self.certificates = certificates
        self.signature = signature
    }

    /// What is signed. The first line keeps it from passing for anything else that is ever signed with the key.
    package static func signedText(name: String, incarnation: UInt64) -> String {
        "claviger node has left, 1\n\(name)\n\(incarnation)\n"
    }

    var isWithinBounds: Bool {
        GossipBounds.isName(name) && incarnation <= GossipBounds.highestNumber
            && (1...Self.mostCertificates).contains(certificates.count)
            && certificates.allSatisfy { (1...2 * Self.longestCertificate).contains($0.utf8.count) }
            && (1...2 * Self.longestSignature).contains(signature.utf8.count)
    }

    /// About how many bytes it takes in a message.
    var weight: Int { certificates.reduce(150 + signature.utf8.count) { $0 + $1.utf8.count + 3 } }
}

/// An operator's order to count no longer on a node that does not answer. It holds until that node speaks.
package struct ForgetNodeOrder: Sendable, Equatable, Codable {
    /// `user@node`.
    package var author: String
    /// Unix seconds, by the clock of the node where it was given.
    package var givenAt: Int64

    package init(author: String, givenAt: Int64) {
        self.author = author
        self.givenAt = givenAt
    }

    var isWithinBounds: Bool { !author.isEmpty && GossipBounds.isText(author, GossipBounds.longestText) }
}

/// Why a node cannot be forgotten.
package enum ForgetRefusal: Error, Sendable, Equatable {
    /// No member has this name; the names that could be meant.
    case unknown(known: [String])
    /// It answers: it is ended first, or cut off.
    case isLive
    /// It is this node.
    case isHere
    /// It has left: nobody counts on it.
    case hasLeft
}

// SPDX-License-Identifier: Apache-2.0

/// The latest form of each thing that a node can read. A node that says nothing of it reads the first of each. Whoever
/// speaks to another uses the lower of both (docs/internals/compatibility.md); to a node of which nothing is known yet,
/// the first.
package struct FormatVersions: Sendable, Equatable, Codable {
    /// `GossipMessage.version`.
    package var gossip: Int
    /// Block lists.
    package var blocks: Int
    /// Canaries.
    package var canaries: Int
    /// Of ciphertext that Claviger makes (`ciphertextMetadata`).
    package var ciphertext: Int
    /// Heads of audit logs; 0: the node takes none.
    package var audit: Int

    package static let first = FormatVersions(gossip: 1, blocks: 1, canaries: 1, ciphertext: 1)

    package init(gossip: Int, blocks: Int, canaries: Int, ciphertext: Int, audit: Int = 0) {
        self.gossip = gossip
        self.blocks = blocks
        self.canaries = canaries
        self.ciphertext = ciphertext
        self.audit = audit
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func version(_ key: CodingKeys) -> Int {
            // What is left out, or makes no sense, is the first.
            let read = (try? values.decodeIfPresent(Int.self, forKey: key)) ?? nil
            return max(read ?? 1, 1)
        }
        self.init(
            gossip: version(.gossip), blocks: version(.blocks), canaries: version(.canaries),
            ciphertext: version(.ciphertext), audit: max(values.readable(Int.self, ifPresent: .audit) ?? 0, 0))
    }

    /// What both can read.
    package func common(with other: FormatVersions) -> FormatVersions {
        FormatVersions(
            gossip: min(gossip, other.gossip), blocks: min(blocks, other.blocks),
            canaries: min(canaries, other.canaries), ciphertext: min(ciphertext, other.ciphertext),
            audit: min(audit, other.audit))
    }
}

/// An element of a list that another version has written: what cannot be read is skipped, and the rest is taken.
struct Skippable<Element: Decodable>: Decodable {
    let element: Element?

    init(from decoder: any Decoder) throws { element = try? Element(from: decoder) }
}

extension KeyedDecodingContainer {
    /// A list, without the elements that this version cannot read; empty where the field is left out.
    func readable<Element: Decodable>(_ type: Element.Type, forKey key: Key) throws -> [Element] {
        try decodeIfPresent([Skippable<Element>].self, forKey: key)?.compactMap(\.element) ?? []
    }

    /// A field that a later version may write otherwise: what cannot be read is as if it were left out.
    func readable<Value: Decodable>(_ type: Value.Type, ifPresent key: Key) -> Value? {
        (try? decodeIfPresent(Value.self, forKey: key)) ?? nil
    }
}

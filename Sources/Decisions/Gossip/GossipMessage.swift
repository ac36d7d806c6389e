// SPDX-License-Identifier: Apache-2.0

/// One message between two nodes. Requests and answers have one form.
package struct GossipMessage: Sendable, Equatable, Codable {
    package static let currentVersion = 1
    /// Most updates in a message that is no exchange; with it a message's size is bounded (SWIM section 4.1).
    package static let mostUpdates = 8
    /// Most updates in one exchange: all members of most clusters, a slice of large ones.
    package static let mostExchanged = 64

    package enum Kind: String, Sendable, Codable, CaseIterable {
        /// "Do you live?" Answered by `ack`.
        case ping
        case ack
        /// "Ask `target` for me" (SWIM section 3.1). Answered by `ack`, or by `nack` when the target was silent but the
        /// asked node itself is well (Lifeguard, section IV-A).
        case pingRequest
        case nack
        /// "Here is what I know; send me what you know." Answered by `exchange`.
        case exchange
        /// "I am going." Answered by `ack`.
        case leave
        /// One that a later version has: what it carries of members is taken in, and it is answered by `ack`. Never sent.
        case other

        package init(from decoder: any Decoder) throws {
            let word = try decoder.singleValueContainer().decode(String.self)
            self = Kind(rawValue: word) ?? .other
        }
    }

    package var version: Int
    package var kind: Kind
    package var sender: NodeIdentity
    /// Who is meant; `nil` when only an address is known (the first message to a seed).
    package var receiver: String?
    /// Grows with each request that the sender makes in its incarnation: what came before is a replay. An answer bears
    /// the number of its request.
    package var sequence: UInt64
    /// Only in `pingRequest`.
    package var target: NodeIdentity?
    /// What the sender says of itself.
    package var facts: NodeFacts
    /// What the sender has learnt of others, and what it believes of the receiver (Lifeguard's buddy notice, IV-C).
    package var updates: [MemberUpdate]
    /// In an answer: the request was not looked at, because its number has been used before in this incarnation. So
    /// another life of the asking node has had the same incarnation, and it must take a higher one.
    package var isReplay: Bool
    /// In `leave`: the sender's own word, for those who receive it from others.
    package var farewell: Farewell?
    /// The sender's clock when it was sent, Unix milliseconds. Nothing is decided by it; people are told when clocks differ.
    /// `nil` from a version that does not say it.
    package var sentAt: Int64?

    package init(
        kind: Kind, sender: NodeIdentity, receiver: String?, sequence: UInt64, target: NodeIdentity? = nil,
        facts: NodeFacts, updates: [MemberUpdate], isReplay: Bool = false, farewell: Farewell? = nil
    ) {
        version = Self.currentVersion
        self.kind = kind
        self.sender = sender
        self.receiver = receiver
        self.sequence = sequence
        self.target = target
        self.facts = facts
        self.updates = updates
        self.isReplay = isReplay
        self.farewell = farewell
    }

    /// Updates that this version cannot read are skipped one by one: a member in a state of a later version must not
    /// keep all others from being known.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        version = try values.decode(Int.self, forKey: .version)
        kind = try values.decode(Kind.self, forKey: .kind)
        sender = try values.decode(NodeIdentity.self, forKey: .sender)
        receiver = try values.decodeIfPresent(String.self, forKey: .receiver)
        sequence = try values.decode(UInt64.self, forKey: .sequence)
        target = try values.decodeIfPresent(NodeIdentity.self, forKey: .target)
        facts = try values.decode(NodeFacts.self, forKey: .facts)
        updates = try values.readable(MemberUpdate.self, forKey: .updates)
        isReplay = values.readable(Bool.self, ifPresent: .isReplay) ?? false
        farewell = values.readable(Farewell.self, ifPresent: .farewell)
        sentAt = values.readable(Int64.self, ifPresent: .sentAt)
    }
}

/// What one node says of another.
package struct MemberUpdate: Sendable, Equatable, Codable {
    package var identity: NodeIdentity
    package var liveness: Liveness
    /// Who says that it is suspect or dead; counts as a confirmation (Lifeguard, section IV-B). `nil` otherwise.
    package var accuser: String?
    /// The member's own facts, where they are news.
    package var facts: NodeFacts?
    /// Where it has left: its own word. Whoever hands messages to a `GossipMachine` has verified it, and has taken out
    /// what is not genuine.
    package var farewell: Farewell?
    /// Where it has `left` because an operator says so.
    package var forgotten: ForgetNodeOrder?

    package init(
        identity: NodeIdentity, liveness: Liveness, accuser: String? = nil, facts: NodeFacts? = nil,
        farewell: Farewell? = nil, forgotten: ForgetNodeOrder? = nil
    ) {
        self.identity = identity
        self.liveness = liveness
        self.accuser = accuser
        self.facts = facts
        self.farewell = farewell
        self.forgotten = forgotten
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            identity: try values.decode(NodeIdentity.self, forKey: .identity),
            liveness: try values.decode(Liveness.self, forKey: .liveness),
            accuser: try values.decodeIfPresent(String.self, forKey: .accuser),
            facts: values.readable(NodeFacts.self, ifPresent: .facts),
            farewell: values.readable(Farewell.self, ifPresent: .farewell),
            forgotten: values.readable(ForgetNodeOrder.self, ifPresent: .forgotten))
    }
}

// SPDX-License-Identifier: Apache-2.0

/// One message between two nodes. Requests and answers have one form.
package struct GossipMessage: Sendable, Equatable, Codable {
    package static let currentVersion = 1
    /// Most updates in a message that is no exchange; with it a message's size is bounded (SWIM section 4.1).
    package static let mostUpdates = 8
    /// Most updates in one exchange: all members of most clusters, a slice of large ones.
    package static let mostExchanged = 64

    package enum Kind: String, Sendable, Codable {
        /// "Do you live?" Answered by `ack`.
        case ping
        case ack
        /// "Ask `target` for me" (SWIM section 3.1). Answered by `ack`, or by `nack` when the target was silent but the
        /// asked node itself is well (Lifeguard, section IV-A).
        case pingRequest
        case nack
        /// "Here is what I know; tell me what you know." Answered by `exchange`.
        case exchange
        /// "I am going." Answered by `ack`.
        case leave
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
    /// What the sender has heard of others, and what it believes of the receiver (Lifeguard's buddy notice, IV-C).
    package var updates: [MemberUpdate]

    package init(
        kind: Kind, sender: NodeIdentity, receiver: String?, sequence: UInt64, target: NodeIdentity? = nil,
        facts: NodeFacts, updates: [MemberUpdate]
    ) {
        version = Self.currentVersion
        self.kind = kind
        self.sender = sender
        self.receiver = receiver
        self.sequence = sequence
        self.target = target
        self.facts = facts
        self.updates = updates
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

    package init(identity: NodeIdentity, liveness: Liveness, accuser: String? = nil, facts: NodeFacts? = nil) {
        self.identity = identity
        self.liveness = liveness
        self.accuser = accuser
        self.facts = facts
    }
}

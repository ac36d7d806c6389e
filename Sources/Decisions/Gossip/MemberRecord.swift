// SPDX-License-Identifier: Apache-2.0

/// What this node keeps of a member besides what it shows.
struct MemberRecord: Sendable {
    var member: Member
    /// The incarnation in which the member said what `member.facts` holds.
    var factsIncarnation: UInt64 = 0
    /// Whether it said so to this node itself, and what it last said to this node itself.
    var areFactsDirect = false
    var lastDirect: (incarnation: UInt64, revision: UInt64) = (0, 0)
    /// Its own word that it has left.
    var farewell: Farewell?
    /// Where it was before it was where it is, and when it last spoke from there.
    var formerAddress: (address: String, received: UInt64)?
    /// Where two nodes of its name speak from, and when that was last seen.
    var twin: (address: String, at: UInt64)?
    /// When it was last contacted because others report something of it.
    var introducedAt: UInt64?
    var window = ReplayWindow()
    var suspicion: Suspicion?
    /// When it last contradicted what this node had found by itself; `nil` once a ping of ours has been answered since.
    var contradictedAt: UInt64?
    /// While it is dead: when it was last contacted.
    var contactedAt: UInt64 = 0
    /// Its shared configuration differs from ours, and that has been reported.
    var differs = false
    /// When it was last informed that its block list, its canaries differ.
    var blocksAnnouncedAt: UInt64?
    var canariesAnnouncedAt: UInt64?

    init(_ identity: NodeIdentity, _ liveness: Liveness, now: UInt64) {
        member = Member(identity: identity, liveness: liveness, since: now)
    }

    var name: String { member.identity.name }

    /// Takes over facts that are later than those known. What the member says itself is compared with what it said
    /// itself: whoever passes facts on may have lost some, or lie. Returns the earlier ones, if these were taken:
    /// `.some(nil)` when there were none.
    mutating func take(_ facts: NodeFacts, incarnation: UInt64, isDirect: Bool) -> NodeFacts?? {
        let old = member.facts
        let offered = (incarnation, facts.revision)
        if isDirect {
            if areFactsDirect ? offered <= lastDirect : offered < lastDirect { return nil }
            lastDirect = offered
            member.ownConfiguration = facts.configuration
        } else if let old, offered <= (factsIncarnation, old.revision) {
            return nil
        }
        areFactsDirect = isDirect
        member.facts = facts
        factsIncarnation = incarnation
        return .some(old)
    }
}

extension Liveness {
    /// Of two beliefs about one incarnation the higher one holds (SWIM section 4.2): so every order of messages leads to
    /// the same belief.
    var rank: Int {
        switch self {
        case .alive: 0
        case .suspect: 1
        case .dead: 2
        case .left: 3
        }
    }
}

/// One probe of one member (SWIM section 3.1): a ping, then pings through others.
struct Probe: Sendable, Equatable {
    var number: UInt64
    var startedAt: UInt64
    /// When others are asked.
    var helpAt: UInt64
    var endsAt: UInt64
    var hasAskedForHelp = false
    /// Pings of ours that are under way, and pings through others.
    var open = 1
    /// Nacks that are due from those who were asked (Lifeguard, section IV-A).
    var nacksDue = 0
}

/// What a request was sent for, to be known by its answer.
struct Pending: Sendable {
    enum Purpose: Sendable, Equatable {
        /// Our own ping of a probe.
        case probe(of: String, number: UInt64)
        /// A request to somebody else to ping.
        case help(of: String, number: UInt64, owesNack: Bool)
        /// A ping for somebody else, whose request came in under the ticket.
        case relay(ticket: UInt64)
        case exchange
        /// Nothing hangs on it.
        case courier
        /// A seed, or somebody from an earlier run.
        case contact
    }

    var purpose: Purpose
    var kind: GossipMessage.Kind
    var sequence: UInt64
    /// This node's when it was sent.
    var incarnation: UInt64
    var destination: GossipDestination
}

/// A ping on behalf of another.
struct Relay: Sendable {
    var requester: String
    var sequence: UInt64
    var target: String
    /// When the requester is informed that nothing was received.
    var nackAt: UInt64
}

/// Which of a sender's sequence numbers have been seen: the highest, and the 64 before it. Numbers may come out of order;
/// none is taken twice (as in RFC 4303, section 3.4.3).
struct ReplayWindow: Sendable, Equatable {
    private var incarnation: UInt64 = 0
    private var highest: UInt64 = 0
    /// Bit i: `highest` − i was seen.
    private var seen: UInt64 = 0

    /// Whether a message may be looked at; it is noted as seen. One of an earlier incarnation may not.
    mutating func admit(incarnation new: UInt64, sequence: UInt64) -> Bool {
        guard new >= incarnation else { return false }
        if new > incarnation || seen == 0 {
            self = ReplayWindow(incarnation: new, highest: sequence, seen: 1)
            return true
        }
        if sequence > highest {
            let step = sequence - highest
            seen = step < 64 ? seen << step | 1 : 1
            highest = sequence
            return true
        }
        let age = highest - sequence
        guard age < 64, seen & (1 << age) == 0 else { return false }
        seen |= 1 << age
        return true
    }
}

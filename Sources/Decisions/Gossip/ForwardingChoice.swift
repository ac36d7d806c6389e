// SPDX-License-Identifier: Apache-2.0

/// Which peers a request may be passed on to, the best first. Made from the members as they are at a moment, and asked
/// with a key at each request.
package struct ForwardingChoice: Sendable, Equatable {
    private struct Candidate: Sendable, Equatable {
        var member: Member
        var facts: NodeFacts
        /// Nobody suspects it, and its configuration is this node's.
        var isSound: Bool

        /// What an operation takes that goes there, nanoseconds; `nil` where it is to get none but those that nobody else
        /// can do. Ways differ from one time to the next: half of it is added, and what the two nodes have to do.
        var detour: UInt64? {
            guard isSound, let room = facts.room, room.perSecond > 0, let way = member.roundTrip else { return nil }
            return (UInt64(room.callMicroseconds) + UInt64(way) + UInt64(way) / 2) * 1_000 + Self.handling
        }

        private static let handling: UInt64 = 1_000_000
    }

    private let candidates: [Candidate]

    /// A peer can be asked when it has spoken to this node, lives, does not end, and has an HSM that serves. Those that
    /// nobody suspects come first, then those of the same configuration (another may not know the key store), then those
    /// of the same site, then the nearest.
    ///
    /// - Parameters:
    ///   - node: this node, which is never chosen.
    ///   - configuration: digest of this node's.
    package init(members: [Member], node: String, site: String, configuration: String) {
        let usable = members.filter { member in
            member.identity.name != node && member.isLive && member.hasSpoken && member.unreachedSince == nil
                && (member.facts?.canServe ?? false)
        }
        let ranked = usable.map { member -> (rank: Rank, member: Member) in
            let rank = Rank(
                isSuspect: member.liveness == .suspect, isDifferent: member.facts?.configuration != configuration,
                isAway: member.identity.site != site, roundTrip: member.roundTrip ?? .max)
            return (rank, member)
        }
        candidates = ranked.sorted { ($0.rank, $0.member.identity.name) < ($1.rank, $1.member.identity.name) }
            .map {
                Candidate(
                    member: $0.member, facts: $0.member.facts ?? NodeFacts(),
                    isSound: !$0.rank.isSuspect && !$0.rank.isDifferent)
            }
    }

    /// Those that serve the key, the best first; last those that most likely do not.
    ///
    /// - Parameter mayAsk: whether a node of this name, which reads ciphertext up to this format, may be asked.
    package func members(
        for label: String, where mayAsk: (_ name: String, _ format: Int) -> Bool = { _, _ in true }
    ) -> [Member] {
        let judged = candidates.filter { mayAsk($0.member.identity.name, $0.facts.reads.ciphertext) }
            .map { ($0.member, $0.facts.service(of: label)) }
        return [NodeFacts.KeyService.serves, .hardly].flatMap { wanted in
            judged.filter { $0.1 == wanted }.map(\.0)
        }
    }

    /// Those that serve the key and could do more than they are asked for, those first that would have done an operation
    /// first. Each with how many more it could do a second, and how long one takes.
    package func roomy(
        for label: String, where mayAsk: (_ name: String, _ format: Int) -> Bool = { _, _ in true }
    ) -> [(member: Member, spare: UInt32, detour: UInt64)] {
        let found = candidates.compactMap { candidate -> (member: Member, spare: UInt32, detour: UInt64)? in
            guard let detour = candidate.detour, let spare = candidate.facts.room?.perSecond,
                mayAsk(candidate.member.identity.name, candidate.facts.reads.ciphertext),
                candidate.facts.service(of: label) == .serves
            else { return nil }
            return (candidate.member, spare, detour)
        }
        return found.sorted { $0.detour < $1.detour }
    }

    /// How long an operation takes that goes to the fastest peer that has room, way there and back included, nanoseconds;
    /// `nil` while none has.
    package var leastDetour: UInt64? { candidates.compactMap(\.detour).min() }

    /// The peers that can be asked for some key, the best first, at most so many.
    package func first(_ count: Int) -> [Member] { candidates.prefix(max(count, 0)).map(\.member) }

    /// Whether there is a peer that can be asked at all. What peers report of themselves may be a second old: it decides
    /// about readiness, and never whom a request is passed on to.
    package var canServeAny: Bool { candidates.contains { !$0.facts.isStopped } }

    /// Whether there is a peer, of the same configuration and not suspected, that serves one of these keys.
    package func serves(anyOf labels: [String]) -> Bool {
        candidates.contains { candidate in
            candidate.isSound && !candidate.facts.isStopped
                && labels.contains { candidate.facts.service(of: $0) != .doesNot }
        }
    }

    /// Whether there is one.
    package func canServe(
        _ label: String, where mayAsk: (_ name: String, _ format: Int) -> Bool = { _, _ in true }
    ) -> Bool {
        candidates.contains {
            mayAsk($0.member.identity.name, $0.facts.reads.ciphertext) && $0.facts.service(of: label) != .doesNot
        }
    }

    /// In the order of what weighs more; less is better.
    private struct Rank: Comparable {
        var isSuspect: Bool
        var isDifferent: Bool
        var isAway: Bool
        var roundTrip: UInt32

        private var weight: UInt64 {
            (isSuspect ? 1 << 34 : 0) | (isDifferent ? 1 << 33 : 0) | (isAway ? 1 << 32 : 0) | UInt64(roundTrip)
        }

        static func < (left: Rank, right: Rank) -> Bool { left.weight < right.weight }
    }
}

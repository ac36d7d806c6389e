// SPDX-License-Identifier: Apache-2.0

/// Which peers a request may be passed on to, the best first. Made from the members as they are at a moment, and asked
/// with a key at each request.
package struct ForwardingChoice: Sendable, Equatable {
    private struct Candidate: Sendable, Equatable {
        var member: Member
        var facts: NodeFacts
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
            member.identity.name != node && member.isLive && member.hasSpoken
                && (member.facts?.canServe ?? false)
        }
        let ranked = usable.map { member -> (rank: Rank, member: Member) in
            let rank = Rank(
                isSuspect: member.liveness == .suspect, isDifferent: member.facts?.configuration != configuration,
                isAway: member.identity.site != site, roundTrip: member.roundTrip ?? .max)
            return (rank, member)
        }
        candidates = ranked.sorted { ($0.rank, $0.member.identity.name) < ($1.rank, $1.member.identity.name) }
            .map { Candidate(member: $0.member, facts: $0.member.facts ?? NodeFacts()) }
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

    /// The peers that can be asked for some key, the best first, at most so many.
    package func first(_ count: Int) -> [Member] { candidates.prefix(max(count, 0)).map(\.member) }

    /// Whether there is a peer that can be asked at all.
    package var canServeAny: Bool { !candidates.isEmpty }

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

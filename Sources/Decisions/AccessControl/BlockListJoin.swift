// SPDX-License-Identifier: Apache-2.0

/// When a node that has no list, or has lost it, may take what it has merged for the whole list: once it has merged with
/// every peer that answers within five seconds, at least one of them knowing its own list. docs/internals/blocks.md.
///
/// Time is nanoseconds of a monotonic clock.
package struct BlockListJoin: Sendable {
    /// How long peers are waited for that do not answer, from the first answer of a peer whose list is known.
    package static let patience: UInt64 = 5_000_000_000
    /// Where all have answered: how long further ones may turn up, since one who joins learns of the others one by one.
    package static let settling: UInt64 = 1_000_000_000

    private let startedAt: UInt64
    /// Whether the peer knew its list when it last answered.
    private var answers: [String: Bool] = [:]
    private var firstKnownAt: UInt64?

    package init(now: UInt64) { startedAt = now }

    /// Lists have been exchanged completely with a peer.
    ///
    /// - Parameter isKnown: whether that peer's own list is known.
    package mutating func answered(_ peer: String, isKnown: Bool, now: UInt64) {
        answers[peer] = isKnown
        if isKnown, firstKnownAt == nil { firstKnownAt = now }
    }

    /// Members with which nothing has been exchanged yet.
    package func missing(of members: [String]) -> [String] { members.filter { answers[$0] == nil } }

    /// Whether the list is whole now.
    ///
    /// - Parameter members: names of all other nodes that have not left.
    package func isWhole(members: [String], now: UInt64) -> Bool {
        guard let firstKnownAt else { return false }
        if now >= firstKnownAt + Self.patience { return true }
        return now >= startedAt + Self.settling && missing(of: members).isEmpty
    }

    /// Whether no peer with a known list answers: then an operator's word begins the cluster.
    ///
    /// - Parameter since: when the operator gave it.
    package func isAlone(members: [String], since: UInt64, now: UInt64) -> Bool {
        guard firstKnownAt == nil else { return false }
        if now >= since + Self.patience { return true }
        return !members.isEmpty && missing(of: members).isEmpty && now >= since + Self.settling
    }
}

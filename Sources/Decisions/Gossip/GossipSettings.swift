// SPDX-License-Identifier: Apache-2.0

/// How long things take between two nodes, nanoseconds. There are two sets: one for nodes of one site, one for nodes of
/// different sites. docs/internals/gossip.md shows what follows from the values.
package struct GossipTiming: Sendable, Equatable {
    /// Each node is probed by each other about once in this time, as far as the two limits below let it.
    /// Range: 100 ms … 1 min. Shorter: sooner known, more messages in small clusters.
    package var round: UInt64
    /// Least time between two probes of one node; what a large cluster uses. Range: 50 ms … 10 s.
    /// Half of it costs twice the bytes and the CPU time.
    package var shortestInterval: UInt64
    /// Most time between two probes of one node; what a small cluster uses. Range: shortest … 10 s.
    package var longestInterval: UInt64
    /// How long a ping goes unanswered before others are asked to ping (SWIM section 3.1). Range: several round trips.
    /// TCP repeats a lost packet after 200 ms, so less than that asks for help at each lost packet.
    package var pingTimeout: UInt64
    /// How long one who is asked tries before it answers with a nack (Lifeguard, section IV-A). Less than
    /// `probeTimeout` − `pingTimeout`, or nacks come too late to count.
    package var relayTimeout: UInt64
    /// How long a probe lasts in all before its target is suspected. Longer: fewer suspicions, later detection.
    package var probeTimeout: UInt64
    /// Shortest time from suspicion to death in clusters of up to ten nodes; it grows with the logarithm of the number
    /// of nodes (Lifeguard, section IV-B: α). Longer: fewer false deaths, later detection.
    package var suspicion: UInt64
    /// How many times `suspicion` one unconfirmed suspicion lasts (Lifeguard, section IV-B: β). At least 1.
    package var unconfirmedFactor: UInt64
    /// How long a request is left under way. Late answers are worth having: they are signs of life. Range: at least
    /// `probeTimeout`. Longer: more connections to silent peers.
    package var patience: UInt64

    /// Within a site: a death is known within 3 s in clusters of up to ten nodes.
    package static let lan = GossipTiming(
        round: 900 * ms, shortestInterval: 150 * ms, longestInterval: 300 * ms, pingTimeout: 300 * ms,
        relayTimeout: 350 * ms, probeTimeout: 800 * ms, suspicion: 600 * ms, unconfirmedFactor: 2, patience: 2_000 * ms)

    /// Between sites: a death is known within 15 s.
    package static let wan = GossipTiming(
        round: 3_000 * ms, shortestInterval: 500 * ms, longestInterval: 1_000 * ms, pingTimeout: 1_000 * ms,
        relayTimeout: 1_200 * ms, probeTimeout: 2_500 * ms, suspicion: 2_000 * ms, unconfirmedFactor: 2,
        patience: 5_000 * ms)

    /// Between two probes, when there are so many nodes to be probed.
    func interval(targets: Int) -> UInt64 {
        min(max(round / UInt64(max(targets, 1)), shortestInterval), max(longestInterval, shortestInterval))
    }
}

/// What a `GossipMachine` goes by. Times in nanoseconds.
package struct GossipSettings: Sendable, Equatable {
    /// Nodes of one site.
    package var lan = GossipTiming.lan
    /// Nodes of different sites.
    package var wan = GossipTiming.wan
    /// How many others are asked to ping (SWIM section 3.1: k). Default 3; range 0 … 8. Each costs two messages for
    /// each unanswered ping.
    package var helpers = 3
    /// Accusers beyond the first that shorten a suspicion to its least (Lifeguard, section IV-B: K). Default 3; range
    /// 0 … 3. In small clusters it is the number of those who could confirm.
    package var confirmations = 3
    /// Highest local health score (Lifeguard, section IV-A: S). Timeouts and intervals are multiplied with up to this
    /// plus one. Default 8; range 0 … 8. 0 turns the multiplier off.
    package var mostHealthScore: UInt8 = 8
    /// News are sent λ · ⌈log₁₀(n + 1)⌉ times by each node (SWIM section 4.1). Default 4; range 1 … 10.
    package var repeats = 4
    /// News of life and death go at once to so many random members, besides travelling with the probes. Default 3;
    /// range 0 … 10.
    package var couriers = 3
    /// Least time between two rounds of couriers. Default 50 ms. Bounds what a storm of news costs.
    package var courierGap: UInt64 = 50 * ms
    /// Between two full exchanges with a random member, give or take a fifth. Default 30 s; range 5 s … 10 min.
    package var exchangeInterval: UInt64 = 30_000 * ms
    /// Between two attempts at seeds that are no live member's address, so that split clusters find each other; a
    /// second while this node is alone. Default 30 s.
    package var seedInterval: UInt64 = 30_000 * ms
    /// Between two contacts to dead members, of which each is contacted at most every second. Default 500 ms. With few
    /// dead a healed partition is noticed within about a second.
    package var revivalInterval: UInt64 = 500 * ms
    /// How long a dead member is remembered, contacted and shown. Default 24 h.
    package var deadKept: UInt64 = 24 * 3_600_000 * ms
    /// How long a member that left is remembered and shown. Default 1 h.
    package var leftKept: UInt64 = 3_600_000 * ms
    /// How long an order to forget a member is kept, reported and shown: longer than a node is cut off that still
    /// counts on the member. Default 30 days.
    package var forgottenKept: UInt64 = 30 * 24 * 3_600_000 * ms
    /// When nothing has called the machine for this long, its node has slept, and it judges nobody by that time.
    /// Default 500 ms; more than the driver's ticks are apart.
    package var pause: UInt64 = 500 * ms
    /// Least time between two reminders that a peer's block list, or its canaries, differ. Default 1 s.
    package var reminder: UInt64 = 1_000 * ms

    package init() {}
}

/// Nanoseconds of a millisecond.
let ms: UInt64 = 1_000_000

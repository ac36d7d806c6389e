// SPDX-License-Identifier: Apache-2.0

/// What a `GossipMachine` has counted since it began.
package struct GossipCounters: Sendable, Equatable {
    /// Probes begun; those without an answer, direct or indirect; those for which others were asked.
    package var probes: UInt64 = 0
    package var failedProbes: UInt64 = 0
    package var indirectProbes: UInt64 = 0
    /// Suspicions that this node has raised or heard of.
    package var suspicions: UInt64 = 0
    /// Members that this node has called dead itself, and those it was told of.
    package var deaths: UInt64 = 0
    /// How often this node has contradicted.
    package var refutations: UInt64 = 0
    /// Exchanges that this node began.
    package var exchanges: UInt64 = 0
    /// Messages that only carried news.
    package var couriers: UInt64 = 0
    /// How often this node slept.
    package var pauses: UInt64 = 0
    /// Messages dropped, by reason; answers among them.
    package var refused: [GossipRefusal: UInt64] = [:]
    /// Lifeguard's local health: 0 is well.
    package var healthScore: UInt8 = 0

    package init() {}
}

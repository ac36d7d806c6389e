// SPDX-License-Identifier: Apache-2.0

/// Which nodes can enforce an order as it is given: nodes of two versions form one cluster during an upgrade, and an
/// earlier one may not know what a later one can order. Nothing is translated on the way; whoever gives the order is
/// informed.
///
/// A node announces the latest form of orders that it reads (`FormatVersions.blocks` of gossip):
///
/// | form | orders |
/// |---|---|
/// | 1 | `everything`, `keyStore`, `key` and `principal`. Of a duration the node knows the instant at which it ends, and compares that with its own clock: where the clock is wrong, the block ends too early or too late |
/// | 2 | durations, which run on each node by its own clock |
package enum BlockEnforcement {
    /// What this version reads.
    package static let form = 2

    /// Whether a node that reads orders up to `form` enforces an order as it is meant: whatever its target, the earliest
    /// form holds one that does not end by itself.
    package static func isEnforced(hasDuration: Bool, byReaderOf form: Int) -> Bool { form >= (hasDuration ? 2 : 1) }

    /// The order that blocks as much or more, and that every node can enforce, as `claviger block` takes it.
    package static func coarser(_ target: BlockTarget) -> String {
        "claviger block \(target.options) without --expires, to be lifted by claviger unblock"
    }
}

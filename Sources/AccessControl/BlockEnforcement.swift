// SPDX-License-Identifier: Apache-2.0

/// Which nodes can enforce an order as it is given: nodes of two versions form one cluster during an upgrade, and an
/// earlier one may not know what a later one can order. Nothing is translated on the way; who gives the order is told.
///
/// A node tells the latest form of orders that it reads (`FormatVersions.blocks` of gossip):
///
/// | form | orders |
/// |---|---|
/// | 1 | `everything`, `keyStore`, `key` and `principal`. Of a duration the node knows the instant at which it ends, and compares that with its own clock: where the clock is wrong, the block ends too early or too late |
/// | 2 | durations, which run on each node by its own clock |
package enum BlockEnforcement {
    /// What this version reads.
    package static let form = 2

    /// The earliest form that holds an order as it is meant.
    ///
    /// - Parameter hasDuration: whether it ends by itself.
    package static func form(of target: BlockTarget, hasDuration: Bool) -> Int { hasDuration ? 2 : 1 }

    /// Whether a node that reads orders up to `form` enforces the order as it is meant.
    package static func isEnforced(_ target: BlockTarget, hasDuration: Bool, byReaderOf form: Int) -> Bool {
        form >= Self.form(of: target, hasDuration: hasDuration)
    }

    /// The order that blocks as much or more, and that every node can enforce, as `claviger block` takes it.
    package static func coarser(_ target: BlockTarget) -> String {
        "claviger block \(target.options) without --expires, to be lifted by claviger unblock"
    }
}

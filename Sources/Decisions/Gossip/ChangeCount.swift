// SPDX-License-Identifier: Apache-2.0

/// How many durable changes a node's list of blocks has seen, as that node reports, and whether it has gone back: then
/// the node's state directory was put back to an earlier state, which the node itself cannot know where all of it was.
///
/// Times are nanoseconds of a monotonic clock.
package struct ChangeCount: Sendable, Equatable {
    /// A count that has gone back.
    package struct Restored: Sendable, Equatable {
        /// What the node reports now.
        package var reported: UInt64
        /// When it was noticed.
        package var since: UInt64
    }

    /// How long a node is shown as restored at least, once its list is like this one's again; it need not reach the
    /// count that it had. 24 hours.
    package static let shown: UInt64 = 24 * 3_600_000_000_000

    /// What follows from a node's word.
    enum Change: Equatable {
        case none
        /// There is something new to be kept.
        case counted
        case restored
    }

    /// The highest that it has reported.
    package private(set) var highest: UInt64
    package private(set) var restored: Restored?

    /// - Parameter highest: what it has reported in this run, or in an earlier one of this node.
    package init(highest: UInt64) { self.highest = highest }

    /// - Parameter isAlike: whether its list is the same as this node's.
    mutating func reported(_ count: UInt64, isAlike: Bool, now: UInt64) -> Change {
        if count >= highest {
            let isNews = count > highest || restored != nil
            highest = count
            restored = nil
            return isNews ? .counted : .none
        }
        guard let restored else {
            self.restored = Restored(reported: count, since: now)
            return .restored
        }
        guard isAlike, now - min(restored.since, now) >= Self.shown else {
            self.restored?.reported = count
            return .none
        }
        highest = count
        self.restored = nil
        return .counted
    }
}

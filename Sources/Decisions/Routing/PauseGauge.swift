// SPDX-License-Identifier: Apache-2.0

/// Distinguishes a pause of the whole node (a virtual machine that was frozen or moved, a process that was stopped)
/// from silence of its HSMs.
///
/// While something is under way, the machine is stepped every few milliseconds. When nothing at all has come for a
/// tenth of a second, it was the node that stood still: nobody has been silent towards it, and what HSMs have answered
/// meanwhile is still to be read.
struct PauseGauge: Sendable {
    /// A gap between two events, nanoseconds, while ticks are due every few milliseconds.
    private static let longestGap: UInt64 = 100_000_000
    /// And while they are due twice a second.
    private static let longestIdleGap: UInt64 = 1_000_000_000

    private var last: UInt64
    /// All pauses together, nanoseconds.
    private(set) var total: UInt64 = 0

    init(now: UInt64) { last = now }

    /// An event has come. Returns the gap before it where the node may have stood still; 0 nearly always.
    mutating func gap(before now: UInt64) -> UInt64 {
        guard now > last else { return 0 }
        let gap = now - last
        last = now
        return gap > Self.longestGap ? gap : 0
    }

    /// True when it did.
    mutating func judge(_ gap: UInt64, isBusy: Bool) -> Bool {
        guard isBusy || gap > Self.longestIdleGap else { return false }
        total &+= gap
        return true
    }
}

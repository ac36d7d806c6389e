// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// Whether one HSM's word counts that it has no key of a label, and when its worker is to be started anew to find out.
/// Pure; times are nanoseconds of the monotonic clock.
///
/// A library may lose sight of keys that are still on the token: one that was away for seconds comes back empty, and
/// what was made elsewhere is seen only after another C_Initialize. So a key that a worker has listed, and lists no
/// more, is *missing*, not absent, until a worker that was started afterwards says the same.
package struct AbsenceWatch: Sendable, Equatable {
    /// Shortest time between two restarts for missing keys: keys may be deleted one by one.
    package static let shortestPause: UInt64 = 10_000_000_000
    /// How long a token without any offered key is let alone the first time; each time twice as long as before.
    package static let firstLook: UInt64 = 60_000_000_000
    /// Longest such time.
    package static let longestLook: UInt64 = 3_600_000_000_000

    /// Offered keys that the worker has listed and lists no more.
    package private(set) var missing: Set<KeyLabel> = []
    /// Those of them that a request has asked for since.
    private var asked: Set<KeyLabel> = []
    /// What the present worker has listed last.
    private var listed: Set<KeyLabel> = []
    /// The present worker has listed all that it sees of the token.
    private var isWhole = false
    /// The present worker is still reading the token, and has listed a part.
    package private(set) var isReading = false
    /// Labels of objects of which the worker cannot say whether they can serve.
    private var undecided: Set<KeyLabel> = []
    /// Since when a token that is to have keys has shown none; `nil` while it shows one.
    private var emptySince: UInt64?
    /// Restarts in a row that have shown no key.
    private var looks: UInt64 = 0
    private var lastRestart: UInt64?

    package init() {}

    /// True when the HSM can say of a label that it has no such key. It is not asked about labels that it lists.
    package func canDeny(_ label: KeyLabel) -> Bool {
        isWhole && !missing.contains(label) && !undecided.contains(label)
    }

    /// True when the token holds no key that a key store offers, as far as its worker sees.
    package var isEmpty: Bool { emptySince != nil }

    /// A worker has been started: what it lists first is read anew.
    package mutating func workerStarted() {
        (missing, asked, listed, undecided) = ([], [], [], [])
        (isWhole, isReading) = (false, false)
    }

    /// The worker has listed its keys: none but those that key stores offer.
    ///
    /// - Parameter isToHaveKeys: some key store offers keys of this HSM.
    package mutating func listed(_ listing: KeyListing, isToHaveKeys: Bool, now: UInt64) {
        let offered = Set(listing.entries.map(\.label))
        let extent = listing.extent
        undecided = Set(listing.complaints.filter(\.isUndecided).map(\.label))
        if extent == .whole {
            missing.formUnion(listed.subtracting(offered).subtracting(undecided))
            listed = offered
        } else {
            listed.formUnion(offered)
        }
        (isWhole, isReading) = (extent == .whole, extent == .growing)
        missing.subtract(offered)
        asked.formIntersection(missing)
        if !offered.isEmpty || !isToHaveKeys {
            (emptySince, looks) = (nil, 0)
        } else if extent != .growing, emptySince == nil {
            emptySince = now
        }
    }

    /// Key stores offer these no more: nobody misses them.
    package mutating func keepOnly(_ isOffered: (KeyLabel) -> Bool) {
        missing = missing.filter(isOffered)
        listed = listed.filter(isOffered)
        asked.formIntersection(missing)
    }

    /// A request wants this key, and no HSM lists it.
    package mutating func wanted(_ label: KeyLabel) { if missing.contains(label) { asked.insert(label) } }

    /// Why the worker is to be started anew now; `nil` when it is not. After a reason it counts as started.
    ///
    /// - Parameter isServedElsewhere: another HSM serves the key, so that this one can be spared.
    package mutating func restart(now: UInt64, isServedElsewhere: (KeyLabel) -> Bool) -> String? {
        guard let reason = reason(now: now, isServedElsewhere) else { return nil }
        lastRestart = now
        if emptySince != nil {
            emptySince = now
            looks += 1
        }
        return reason
    }

    private func reason(now: UInt64, _ isServedElsewhere: (KeyLabel) -> Bool) -> String? {
        if let lastRestart, now < lastRestart &+ Self.shortestPause { return nil }
        if let label = missing.sorted().first(where: { asked.contains($0) || isServedElsewhere($0) }) {
            return "its token does not show key \"\(label)\" any more, which may be the library's fault: a new worker "
                + "looks again"
        }
        guard let emptySince, now >= emptySince &+ look else { return nil }
        return "its token shows no key that a key store offers: a new worker looks again"
    }

    private var look: UInt64 {
        looks < 6 ? min(Self.firstLook << looks, Self.longestLook) : Self.longestLook
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What a quota says of a request.
package enum QuotaVerdict: Sendable, Equatable {
    case admitted
    /// The key store is over its limit, and the principal has what is its share.
    case overStore
    /// The principal is over the limit of each principal.
    case overPrincipal
}

/// What a key store's quota has refused.
package struct QuotaCounts: Sendable, Equatable {
    /// Requests that were let through since the node has begun to enforce a quota for the key store.
    package var admitted: UInt64 = 0
    /// Requests since then.
    package var refusedByStore: UInt64 = 0
    /// Requests likewise.
    package var refusedByPrincipal: UInt64 = 0
    /// Requests, admitted or not, of principals without a bucket of their own.
    package var shared: UInt64 = 0
    /// Principals that have a bucket of their own.
    package var principals = 0
    /// Principals of them of which a request was refused in the last minute.
    package var principalsRefused = 0

    package init() {}
}

/// The token buckets of one key store: one for the store, which its principals share fairly, and one for each principal.
///
/// A bucket is kept as what was taken out of it and has not come back yet, its *debt*. The store's bucket is the sum of
/// what its principals owe (`FairDebts`). A principal may owe four times as much as is still left in the store's bucket,
/// and no more: so a flood never empties it, and whoever asks for less than its max-min share finds something. One
/// principal alone can use four fifths of a burst, and all of the rate.
///
/// Limits, share and time are arguments: a reload and a node that comes or goes change what is let through from the next
/// request on, and nobody's debt is forgotten for it.
package struct QuotaBuckets: Sendable {
    /// Principals with a bucket of their own.
    package static let mostPrincipals = 10_000

    /// Parts of the store's bucket for each principal, where one is left for those who come.
    private static let parts: UInt64 = 4

    /// For how long a principal counts as one that is refused, nanoseconds.
    private static let recent: UInt64 = 60_000_000_000

    /// A principal's own bucket.
    private struct Bucket {
        var debt: UInt64 = 0
        /// When the debt was this; nanoseconds.
        var at: UInt64 = 0
        /// `nil` where no request was refused; nanoseconds.
        var refusedAt: UInt64?

        func debt(now: UInt64, _ rate: QuotaRate?) -> UInt64 {
            guard let rate else { return 0 }
            let refill = rate.refill(after: now > at ? now - at : 0)
            return debt > refill ? debt - refill : 0
        }
    }

    private var table: PrincipalTable
    private var debts = FairDebts()
    /// By slot.
    private var buckets: [Bucket] = [Bucket()]
    /// The latest time that was given; a clock that goes back gives nothing.
    private var latest: UInt64 = 0
    private var counted = QuotaCounts()

    package init(mostPrincipals: Int = QuotaBuckets.mostPrincipals) {
        table = PrincipalTable(capacity: mostPrincipals)
        debts.addSlot()
    }

    /// Whether the request may go on. One that may is charged; one that may not costs nothing.
    ///
    /// - Parameter now: CLOCK_MONOTONIC, nanoseconds.
    package mutating func admit(
        _ principal: PrincipalKey, limits: QuotaLimits, share: QuotaShare, now: UInt64
    ) -> QuotaVerdict {
        advance(to: now, limits.store)
        let slot = slot(of: principal, limits)
        let cost = share.cost
        let own = buckets[slot].debt(now: latest, limits.principal)
        if let rate = limits.principal, own + cost > rate.capacity(for: cost) {
            counted.refusedByPrincipal &+= 1
            buckets[slot].refusedAt = latest
            return .overPrincipal
        }
        if let rate = limits.store {
            guard hasRoom(slot, cost, capacity: rate.capacity(for: cost)) else {
                counted.refusedByStore &+= 1
                buckets[slot].refusedAt = latest
                return .overStore
            }
            debts.add(cost, to: slot)
        }
        if limits.principal != nil {
            buckets[slot].debt = own + cost
            buckets[slot].at = latest
        }
        counted.admitted &+= 1
        return .admitted
    }

    /// - Parameter now: CLOCK_MONOTONIC, nanoseconds.
    package func counts(now: UInt64) -> QuotaCounts {
        var counts = counted
        counts.principals = table.count
        let now = max(now, latest)
        counts.principalsRefused = buckets.dropFirst().count { $0.refusedAt.map { now - $0 <= Self.recent } ?? false }
        return counts
    }

    private mutating func advance(to now: UInt64, _ rate: QuotaRate?) {
        guard now > latest else { return }
        // Without a limit nobody owes the store anything.
        debts.pay(rate?.refill(after: now - latest) ?? .max)
        latest = now
    }

    private func hasRoom(_ slot: Int, _ cost: UInt64, capacity: UInt64) -> Bool {
        guard debts.total + cost <= capacity else { return false }
        let debt = debts.debt(of: slot)
        let number = UInt64(debts.count) + (debt == 0 ? 1 : 0)
        let fair = capacity / (Self.parts * number + 1) * Self.parts
        return debt + cost <= max(min(fair, (capacity - debts.total) * Self.parts), cost)
    }

    private mutating func slot(of principal: PrincipalKey, _ limits: QuotaLimits) -> Int {
        if let slot = table.use(principal) { return slot }
        guard table.isFull else {
            table.add(principal)
            buckets.append(Bucket())
            debts.addSlot()
            return buckets.count - 1
        }
        let oldest = table.oldest
        guard debts.debt(of: oldest) == 0, buckets[oldest].debt(now: latest, limits.principal) == 0 else {
            counted.shared &+= 1
            return 0
        }
        table.replaceOldest(by: principal)
        buckets[oldest] = Bucket()
        return oldest
    }
}

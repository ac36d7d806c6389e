// SPDX-License-Identifier: Apache-2.0

/// How many requests are let through: so many a second, and so many at once after a pause.
package struct QuotaRate: Sendable, Equatable {
    /// What either number may be.
    package static let range = 1...1_000_000

    /// Requests a second, of the whole cluster.
    package let perSecond: Int
    /// Requests at once, of the whole cluster.
    package let burst: Int

    /// Numbers outside of `range` count as its nearest.
    package init(perSecond: Int, burst: Int) {
        self.perSecond = min(max(perSecond, Self.range.lowerBound), Self.range.upperBound)
        self.burst = min(max(burst, Self.range.lowerBound), Self.range.upperBound)
    }

    /// What a pause of so many nanoseconds gives back, in units of a billionth of a request.
    func refill(after nanoseconds: UInt64) -> UInt64 {
        let (units, overflows) = nanoseconds.multipliedReportingOverflow(by: UInt64(perSecond))
        return overflows ? .max : units
    }

    /// The most that may be owed, in billionths of a request. One request always fits, or nothing ever would.
    func capacity(for cost: UInt64) -> UInt64 { max(UInt64(burst) * Units.perRequest, cost) }
}

enum Units {
    /// A request in billionths: a rate of requests a second is then one of units a nanosecond, without fractions.
    static let perRequest: UInt64 = 1_000_000_000
}

/// The quota of a key store.
package struct QuotaLimits: Sendable, Equatable {
    /// Of all requests of the key store; `nil` for no limit.
    package var store: QuotaRate?
    /// Of the requests of each principal; `nil` for no limit.
    package var principal: QuotaRate?

    package init(store: QuotaRate?, principal: QuotaRate?) {
        self.store = store
        self.principal = principal
    }

    /// Nothing is limited.
    package var isNone: Bool { store == nil && principal == nil }
}

/// Which part of a limit this node enforces.
///
/// The limits are meant for the cluster, and a balancer spreads requests over the nodes that live. So each of them lets
/// through the limit divided by their number, and never less than the limit divided by the number of members.
package struct QuotaShare: Sendable, Equatable {
    /// The largest divisor: clusters are smaller by far.
    package static let mostNodes = 4_096

    /// At least 1.
    package let divisor: Int

    /// - Parameters:
    ///   - live: nodes that live, this one included.
    ///   - members: nodes that belong to the cluster, this one included.
    package init(live: Int, members: Int) {
        divisor = min(max(min(live, members), 1), Self.mostNodes)
    }

    /// What a request costs of the cluster's limit, in billionths: here it counts for all nodes.
    var cost: UInt64 { UInt64(divisor) * Units.perRequest }
}

/// A principal, by a hash of its ARN: so what is kept of one has the same size however long the ARN is.
///
/// The hash has 64 bits and a seed of the process. Two principals with the same one, which nobody can bring about, would
/// share a bucket.
package struct PrincipalKey: Sendable, Hashable {
    let value: UInt64

    package init(_ principal: String) {
        var hasher = Hasher()
        // The bytes, not the characters: what differs in them is another principal.
        let isHashed: Void? = principal.utf8.withContiguousStorageIfAvailable {
            hasher.combine(bytes: UnsafeRawBufferPointer($0))
        }
        if isHashed == nil { for byte in principal.utf8 { hasher.combine(byte) } }
        value = UInt64(bitPattern: Int64(hasher.finalize()))
    }
}

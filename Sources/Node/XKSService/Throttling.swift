// SPDX-License-Identifier: Apache-2.0
import Quota
import Synchronization
import XKSProtocol

extension XKSService {
    /// The key store's quota, where it has one: refuses what is over it. Of a request that a peer has passed on, that peer
    /// has decided; GetHealthStatus does not come here, and what this host's own commands ask is nobody's.
    func charge(_ exchange: Exchange) throws(Refusal) {
        guard let gate = exchange.setup.quotas[exchange.position], exchange.forwardedBy == nil,
            !exchange.trace.isDiagnostic
        else { return }
        let principal = exchange.trace.metadata?.awsPrincipalArn ?? ""
        let now = clocks.monotonic()
        let share = nodeShare.current(now: now, neighbours.nodes)
        let verdict = gate.buckets.admit(PrincipalKey(principal), gate.limits, share, now: now)
        guard let reason = gate.reason(verdict, principal, share) else { return }
        exchange.trace.reason = reason
        // The settings are for this side's log alone.
        throw .everywhere(
            .throttling,
            verdict == .overStore
                ? "the external key store has more requests than its quota allows"
                : "the principal has more requests than the quota of the external key store allows")
    }

    /// What quotas have let through and refused; without key stores that have none.
    package func quotaCounts() -> [KeyStoreQuotaCounts] {
        let now = clocks.monotonic()
        let gates = currentSetup.quotas.compactMap { $0 }
        guard !gates.isEmpty else { return [] }
        let nodes = nodeShare.current(now: now, neighbours.nodes).divisor
        return gates.map {
            KeyStoreQuotaCounts(
                keyStore: $0.keyStore, limits: $0.limits, nodes: nodes, counts: $0.buckets.counts(now: now))
        }
    }
}

/// What the quota of a key store lets through, and what it has let through and refused.
package struct KeyStoreQuotaCounts: Sendable, Equatable {
    /// Path prefix.
    package let keyStore: String
    package let limits: QuotaLimits
    /// By how many nodes the quota is shared.
    package let nodes: Int
    package let counts: QuotaCounts
}

/// A key store's quota, as it stands in the settings, and what is owed of it.
final class QuotaGate: Sendable {
    /// What outlives a reload.
    final class Buckets: Sendable {
        private let buckets = Mutex(QuotaBuckets())

        func admit(
            _ principal: PrincipalKey, _ limits: QuotaLimits, _ share: QuotaShare, now: UInt64
        ) -> QuotaVerdict {
            buckets.withLock { $0.admit(principal, limits: limits, share: share, now: now) }
        }

        func counts(now: UInt64) -> QuotaCounts { buckets.withLock { $0.counts(now: now) } }
    }

    /// Longest part of an ARN in a reason, characters: the log has it whole beside it.
    private static let longestName = 128

    /// Path prefix.
    let keyStore: String
    let limits: QuotaLimits
    let buckets: Buckets

    init(_ keyStore: String, _ limits: QuotaLimits, buckets: Buckets) {
        self.keyStore = keyStore
        self.limits = limits
        self.buckets = buckets
    }

    /// Why a request is refused, for the log: the setting, and who is over it. `nil` where it is not.
    func reason(_ verdict: QuotaVerdict, _ principal: String, _ share: QuotaShare) -> String? {
        let who = principal.count > Self.longestName ? principal.prefix(Self.longestName) + "…" : principal[...]
        let (setting, rate, over): (String, QuotaRate?, String)
        switch verdict {
        case .admitted: return nil
        case .overStore:
            (setting, rate) = ("requests_per_second", limits.store)
            over = "the key store is over it, and \(who) has its share"
        case .overPrincipal:
            (setting, rate) = ("principal_requests_per_second", limits.principal)
            over = "\(who) is over it"
        }
        guard let rate else { return nil }
        let part = share.divisor == 1 ? "" : ", of which this node lets through one part of \(share.divisor)"
        return "\(setting) = \(rate.perSecond)\(part): \(over)"
    }
}

/// Which part of the cluster's quotas this node enforces. The nodes are counted a few times a second: not at each request.
final class NodeShare: Sendable {
    /// Nanoseconds.
    private static let age: UInt64 = 200_000_000

    private struct Counted {
        var share = QuotaShare(live: 1, members: 1)
        var at: UInt64?
    }

    private let counted = Mutex(Counted())

    func current(now: UInt64, _ nodes: any NodeCountSource) -> QuotaShare {
        let known = counted.withLock { counted -> QuotaShare? in
            if let at = counted.at, now < at &+ Self.age { return counted.share }
            // Whoever comes meanwhile goes by what was known.
            counted.at = now
            return nil
        }
        if let known { return known }
        let (live, members) = nodes.nodeCounts()
        let share = QuotaShare(live: live, members: members)
        counted.withLock { $0.share = share }
        return share
    }
}

// SPDX-License-Identifier: Apache-2.0
import Gossip
import NIOCore
import SecureMemory
import Synchronization

/// Tells peers the canaries of this node and takes in theirs, page by page, in both directions at once.
final class CanaryExchange: Sendable {
    private static let timeout: UInt64 = 5_000_000_000
    /// More pages than the canaries of any node fill: a peer cannot keep this one asking for ever.
    private static let mostPages = 256

    private let pool: PeerPool
    private let limits: BodyLimits
    private let delegate: any ClusterDelegate
    private let counters: ClusterCounters
    private let underway = Mutex<Set<String>>([])
    /// When canaries were last exchanged with a peer, nanoseconds, and the digest of ours after it.
    private let past = Mutex<[String: (at: UInt64, digest: String)]>([:])

    /// Two nodes that hold different keys under one label differ until people have mended it. An exchange that left ours
    /// as they were is not repeated sooner, nanoseconds.
    private static let rest: UInt64 = 5_000_000_000

    init(pool: PeerPool, limits: BodyLimits, delegate: any ClusterDelegate, counters: ClusterCounters) {
        self.pool = pool
        self.limits = limits
        self.delegate = delegate
        self.counters = counters
    }

    private var sorted: [SharedCanary] {
        delegate.canaries().sorted { $0.label.utf8.lexicographicallyPrecedes($1.label.utf8) }
    }

    /// A peer's page; gives the page that it has asked for, `nil` where it is none.
    func received(_ body: SecretBytes, from peer: String) -> SecretBytes? {
        guard let page = read(body) else { return nil }
        if !page.canaries.isEmpty { delegate.offered(page.canaries, by: peer) }
        return try? ClusterJSON.encode(CanaryPage.page(of: sorted, after: page.after))
    }

    /// The canaries differ: they are exchanged once, unless that is under way. Gossip tells again if they still differ.
    func reconcile(with peer: GossipDestination) {
        guard let name = peer.name, !isResting(name), underway.withLock({ $0.insert(name).inserted }) else { return }
        Task {
            await exchange(with: peer.address, name)
            let digest = delegate.facts().canaries
            past.withLock { $0[name] = (monotonicNanoseconds(), digest) }
            underway.withLock { _ = $0.remove(name) }
        }
    }

    private func isResting(_ name: String) -> Bool {
        guard let last = past.withLock({ $0[name] }), remaining(until: last.at &+ Self.rest) > 0 else { return false }
        return last.digest == delegate.facts().canaries
    }

    private func exchange(with address: String, _ name: String) async {
        let own = sorted
        // Where ours and theirs go on; nil when there are no more.
        var (ours, theirs): (String?, String?) = ("", "")
        for _ in 0..<Self.mostPages where ours != nil || theirs != nil {
            let page = CanaryPage.page(of: own, after: ours)
            guard let answer = await ask(CanaryPage(canaries: page.canaries, after: theirs), address, name) else {
                return
            }
            if !answer.canaries.isEmpty { delegate.offered(answer.canaries, by: name) }
            ours = page.after
            // A page that leads back would lead round for ever.
            theirs = answer.after.flatMap { next in theirs.map { next > $0 } == true ? next : nil }
        }
    }

    private func ask(_ page: CanaryPage, _ address: String, _ name: String) async -> CanaryPage? {
        guard let body = try? ClusterJSON.encode(page) else { return nil }
        let call = PeerCall(path: .canaries, body: body, limit: limits.limit(.canaries))
        let answer = try? await pool.perform(call, to: address, name: name, timeout: Self.timeout).get()
        guard let answer, answer.status == 200 else { return nil }
        return read(answer.body)
    }

    private func read(_ body: SecretBytes) -> CanaryPage? {
        guard let page = try? ClusterJSON.decode(CanaryPage.self, body), page.isWithinBounds else {
            counters.dropped(.malformed)
            return nil
        }
        return page
    }
}

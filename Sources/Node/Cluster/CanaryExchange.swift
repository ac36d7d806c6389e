// SPDX-License-Identifier: Apache-2.0
import Gossip
import NIOCore
import SecureMemory
import Synchronization

/// Sends peers the canaries of this node and takes in theirs, page by page, in both directions at once.
final class CanaryExchange: Sendable {
    private static let timeout: UInt64 = 5_000_000_000
    /// More pages than the canaries of any node fill: a peer cannot keep this one asking for ever.
    private static let mostPages = 256

    private let pool: PeerPool
    private let limits: BodyLimits
    private let delegate: any ClusterDelegate
    private let counters: ClusterCounters
    private let underway = Mutex<Set<String>>([])
    /// With each peer: when the next exchange may begin, nanoseconds, and the version that was sent in the last one.
    private let past = Mutex<[String: (notBefore: UInt64, version: UInt64, isWhole: Bool)]>([:])

    /// Two nodes that hold different keys under one label differ until people have mended it. An exchange that left ours
    /// as they were is not repeated sooner, nanoseconds.
    private static let rest: UInt64 = 5_000_000_000
    /// Shortest pause after an exchange, nanoseconds; twenty times as long as it took, where that is more.
    private static let shortestPause: UInt64 = 50_000_000

    init(pool: PeerPool, limits: BodyLimits, delegate: any ClusterDelegate, counters: ClusterCounters) {
        self.pool = pool
        self.limits = limits
        self.delegate = delegate
        self.counters = counters
    }

    /// A peer's page; gives the page that it has asked for, `nil` where it is none.
    func received(_ body: SecretBytes, from peer: String) -> SecretBytes? {
        guard let page = read(body) else { return nil }
        if !page.keys.isEmpty { delegate.offered(page.keys, by: peer) }
        return try? ClusterJSON.encode(CanaryPage.page(of: delegate.keys(), after: page.after))
    }

    /// The canaries differ: they are exchanged once, unless that is under way. Gossip reports it again if they still
    /// differ.
    func reconcile(with peer: GossipDestination) {
        guard let name = peer.name, !isResting(name), underway.withLock({ $0.insert(name).inserted }) else { return }
        Task {
            let begun = monotonicNanoseconds()
            let version = delegate.exchangeBegan(with: name)
            let isWhole = await exchange(with: peer.address, name)
            if isWhole { delegate.exchangeEnded(with: name, version: version) }
            let now = monotonicNanoseconds()
            let pause = max((now &- begun).multipliedReportingOverflow(by: 20).partialValue, Self.shortestPause)
            past.withLock { $0[name] = (now &+ min(pause, Self.rest), version, isWhole) }
            underway.withLock { _ = $0.remove(name) }
        }
    }

    /// An exchange that changed nothing is not repeated soon; one that would bring something new, or that was broken
    /// off, is after a short pause.
    private func isResting(_ name: String) -> Bool {
        guard let last = past.withLock({ $0[name] }) else { return false }
        if remaining(until: last.notBefore) > 0 { return true }
        guard last.isWhole, last.version == delegate.keysVersion() else { return false }
        return remaining(until: last.notBefore &+ Self.rest) > 0
    }

    /// Returns whether both sides have sent everything.
    private func exchange(with address: String, _ name: String) async -> Bool {
        let own = delegate.keys()
        // Where ours and theirs go on; nil when there are no more.
        var (ours, theirs): (String?, String?) = ("", "")
        for _ in 0..<Self.mostPages where ours != nil || theirs != nil {
            var page = CanaryPage.page(of: own, after: ours)
            (ours, page.after) = (page.after, theirs)
            guard let answer = await ask(page, address, name) else { return false }
            if !answer.keys.isEmpty { delegate.offered(answer.keys, by: name) }
            // A page that leads back would lead round for ever.
            theirs = answer.after.flatMap { next in
                theirs.map { $0.utf8.lexicographicallyPrecedes(next.utf8) } == true ? next : nil
            }
        }
        return ours == nil && theirs == nil
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

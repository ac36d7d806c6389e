// SPDX-License-Identifier: Apache-2.0
import Gossip
import NIOCore
import SecureMemory
import Synchronization
import XKSProtocol

/// Passes KMS requests on to peers that can serve them, and answers those of peers.
final class Forwarder: Sendable {
    /// Peers that are asked for one request, one after another.
    private static let mostPeers = 3
    private let loop: any EventLoop
    private let pool: PeerPool
    private let limits: BodyLimits
    private let gossip: GossipDriver
    private let delegate: any ClusterDelegate
    private let counters: ClusterCounters
    private let shares = Mutex(SurplusShares())

    init(
        loop: any EventLoop, pool: PeerPool, limits: BodyLimits, gossip: GossipDriver, delegate: any ClusterDelegate,
        counters: ClusterCounters
    ) {
        self.loop = loop
        self.pool = pool
        self.limits = limits
        self.gossip = gossip
        self.delegate = delegate
        self.counters = counters
    }

    // MARK: To peers

    func canForward(label: String, needs: ForwardingNeeds) -> Bool {
        guard needs.isSurplus else { return gossip.choice.canServe(label) { needs.allow(node: $0, reading: $1) } }
        return !gossip.choice.roomy(for: label) { needs.allow(node: $0, reading: $1) }.isEmpty
    }

    /// - Parameter asking: called with the name of each peer that the request is sent to.
    func forward(
        _ request: ProxyRequest, label: String, needs: ForwardingNeeds, deadline: UInt64,
        asking: @escaping @Sendable (String) -> Void,
        completion: @escaping @Sendable (ForwardResult) -> Void
    ) {
        guard !needs.isSurplus else {
            return forwardSurplus(
                request, label: label, needs: needs, deadline: deadline, asking: asking, completion: completion)
        }
        let peers = gossip.choice.members(for: label) { needs.allow(node: $0, reading: $1) }.prefix(Self.mostPeers)
        guard let body = ForwardWire.encode(request, isSurplus: false) else {
            return completion(.failed("its head is too long"))
        }
        let last = ForwardResult.failed("no peer can serve the key")
        attempt(body, peers[...], needs, deadline, last: last, asking: asking) { result in
            self.counters.note { counts in
                if case .answered = result { counts.forwardsOut += 1 } else { counts.forwardsFailed += 1 }
            }
            completion(result)
        }
    }

    /// What is more than the HSMs here can do goes to one peer that reports room and has not been given its share of
    /// it.
    private func forwardSurplus(
        _ request: ProxyRequest, label: String, needs: ForwardingNeeds, deadline: UInt64,
        asking: @escaping @Sendable (String) -> Void,
        completion: @escaping @Sendable (ForwardResult) -> Void
    ) {
        let roomy = gossip.choice.roomy(for: label) { needs.allow(node: $0, reading: $1) }
        let left = remaining(until: deadline)
        let now = monotonicNanoseconds()
        let chosen = shares.withLock { shares -> (peer: NodeIdentity, time: ForwardingTime)? in
            for (member, spare, detour) in roomy {
                let time = ForwardingTime(left: left, roundTrip: member.roundTripNanoseconds, usual: detour)
                guard let time, shares.take(member.identity.name, spare: spare, time: detour, now: now) else {
                    continue
                }
                return (member.identity, time)
            }
            return nil
        }
        guard let chosen else { return completion(.failed("no peer has more room")) }
        let name = chosen.peer.name
        guard let body = ForwardWire.encode(request, isSurplus: true) else {
            shares.withLock { $0.answered(name, isRefusal: false, now: now) }
            return completion(.failed("its head is too long"))
        }
        asking(name)
        ask(chosen.peer, body, chosen.time) { result in
            var isRefusal = true
            if case .answered(let response, _) = result, needs.isHandedOn(response.status) { isRefusal = false }
            self.shares.withLock { $0.answered(name, isRefusal: isRefusal, now: monotonicNanoseconds()) }
            self.counters.note { counts in
                if isRefusal { counts.surplusRefused += 1 } else { counts.surplusOut += 1 }
            }
            completion(result)
        }
    }

    /// The next peer from which an answer can come in time, as long as there is one.
    private func attempt(
        _ body: SecretBytes, _ peers: ArraySlice<Member>, _ needs: ForwardingNeeds, _ deadline: UInt64,
        last: ForwardResult, asking: @escaping @Sendable (String) -> Void,
        completion: @escaping @Sendable (ForwardResult) -> Void
    ) {
        guard let member = peers.first else { return completion(last) }
        let (peer, rest) = (member.identity, peers.dropFirst())
        let time = ForwardingTime(
            left: remaining(until: deadline), roundTrip: member.roundTripNanoseconds,
            next: rest.first?.roundTripNanoseconds)
        guard let time else {
            var reason = last
            if case .failed = last { reason = .failed("\(peer.name): too little time is left") }
            return attempt(body, rest, needs, deadline, last: reason, asking: asking, completion: completion)
        }
        asking(peer.name)
        ask(peer, body, time) { mine in
            if case .answered(let response, _) = mine, needs.isDecided(by: response.status) { return completion(mine) }
            // An answer, whichever, says more than none.
            if case .answered = last, case .failed = mine {
                self.attempt(body, rest, needs, deadline, last: last, asking: asking, completion: completion)
            } else {
                self.attempt(body, rest, needs, deadline, last: mine, asking: asking, completion: completion)
            }
        }
    }

    /// Has one peer answer; what it says is handed on only when it is an answer of the API.
    private func ask(
        _ peer: NodeIdentity, _ body: SecretBytes, _ time: ForwardingTime,
        completion: @escaping @Sendable (ForwardResult) -> Void
    ) {
        let call = PeerCall(path: .forward, body: body, budget: time.budget / 1_000, limit: limits.limit(.forward))
        pool.perform(call, to: peer.address, name: peer.name, timeout: time.timeout).whenComplete { result in
            switch result {
            case .success(let answer):
                guard answer.status == 200, let status = answer.forwardStatus else {
                    return completion(.failed("\(peer.name): \(PeerFailure.refused(answer.status))"))
                }
                let response = ProxyResponse(status: status, body: answer.body)
                guard response.isFitToHandOn else {
                    self.counters.dropped(.malformed)
                    return completion(.failed("\(peer.name): \(PeerFailure.malformed)"))
                }
                completion(.answered(response, by: peer.name))
            case .failure(let error): completion(.failed("\(peer.name): \(error)"))
            }
        }
    }

    // MARK: From peers

    func received(_ request: PeerRequest) async -> PeerReply {
        guard let budget = request.budget.flatMap({ UInt64($0) }), budget <= Self.mostBudget,
            let forwarded = ForwardWire.decode(request.body, receivedAt: request.receivedAt)
        else {
            counters.dropped(.malformed)
            return .refusal(400)
        }
        counters.note { counts in
            if forwarded.isSurplus { counts.surplusIn += 1 } else { counts.forwardsIn += 1 }
        }
        let promise = loop.makePromise(of: ProxyResponse.self)
        // The peer that asked has given up by then, so nothing is kept for it.
        let timer = loop.scheduleTask(in: TimeAmount(clampingNanoseconds: budget * 1_000)) {
            promise.succeed(.failure(XKSError(.dependencyTimeout, "the time that the peer left is over")))
        }
        delegate.serve(forwarded, by: request.peer, deadline: request.receivedAt &+ budget * 1_000) {
            promise.succeed($0)
        }
        guard let answer = try? await promise.futureResult.get() else { return .refusal(500) }
        timer.cancel()
        return PeerReply(status: 200, body: answer.body, forwardStatus: answer.status)
    }

    /// A minute, microseconds: more than any request has.
    private static let mostBudget: UInt64 = 60_000_000
}

extension Member {
    /// 0 until one was measured: whoever cannot be judged is asked.
    fileprivate var roundTripNanoseconds: UInt64 { UInt64(roundTrip ?? 0) * 1_000 }
}

// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Gossip
import KeyProof
import LaneProtocol
import Routing
import XKSProtocol
import XKSService

// The node as its service meets it, and requests that are passed on.

extension SimulatedNode: KeyOperationPool {
    func decision(on label: KeyLabel, for purpose: KeyPurpose, on hsms: HSMSet) -> KeyDecision {
        let decision = pool.decide(on: label, for: purpose, on: hsms)
        return world.mutant.decision(decision)
    }

    func word(onCiphertextOf label: KeyLabel) -> CiphertextWord {
        world.mutant.word(pool.proof.word(onCiphertextOf: label))
    }
}

extension SimulatedNode: BlockSource {
    func current() -> BlockList { world.mutant.blocks(blocks) }
}

extension SimulatedNode: OfferSource {
    func wordOnUnoffered() -> UnofferedWord {
        let agreement = agreement
        guard let doubt = agreement.doubt else { return .nowhere }
        return .elsewhere(nodes: Set(agreement.others), reason: doubt)
    }
}

extension SimulatedNode: RequestForwarder {
    private static let mostPeers = 3

    func canForward(label: KeyLabel, needs: ForwardingNeeds) -> Bool {
        guard !world.mutant.isAlone else { return false }
        guard needs.isSurplus else { return choice.canServe(label.text) { needs.allow(node: $0, reading: $1) } }
        return !choice.roomy(for: label.text) { needs.allow(node: $0, reading: $1) }.isEmpty
    }

    func forward(
        _ request: ProxyRequest, label: KeyLabel, needs: ForwardingNeeds, deadline: UInt64,
        asking: @escaping @Sendable (String) -> Void,
        completion: @escaping @Sendable (ForwardOutcome) -> Void
    ) {
        guard !needs.isSurplus else { return forwardSurplus(request, label, needs, deadline, completion) }
        let peers = choice.members(for: label.text) { needs.allow(node: $0, reading: $1) }.prefix(Self.mostPeers)
        attempt(request, peers[...], needs, deadline, last: .failed("no peer can serve the key"), completion)
    }

    private func forwardSurplus(
        _ request: ProxyRequest, _ label: KeyLabel, _ needs: ForwardingNeeds, _ deadline: UInt64,
        _ completion: @escaping @Sendable (ForwardOutcome) -> Void
    ) {
        for (member, spare, detour) in choice.roomy(for: label.text, where: { needs.allow(node: $0, reading: $1) }) {
            guard
                let time = ForwardingTime(
                    left: deadline - min(now, deadline), roundTrip: member.roundTripNanoseconds, usual: detour),
                shares.take(member.identity.name, spare: spare, time: detour, now: now)
            else { continue }
            return ask(member.identity, request, isSurplus: true, time) { node, outcome in
                var isRefusal = true
                if case .answered(let response, _) = outcome, needs.isHandedOn(response.status) { isRefusal = false }
                node.shares.answered(member.identity.name, isRefusal: isRefusal, now: node.now)
                completion(outcome)
            }
        }
        completion(.failed("no peer has more room"))
    }

    private func attempt(
        _ request: ProxyRequest, _ peers: ArraySlice<Member>, _ needs: ForwardingNeeds, _ deadline: UInt64,
        last: ForwardOutcome, _ completion: @escaping @Sendable (ForwardOutcome) -> Void
    ) {
        guard let member = peers.first else { return completion(last) }
        let rest = peers.dropFirst()
        guard
            let time = ForwardingTime(
                left: deadline - min(now, deadline), roundTrip: member.roundTripNanoseconds,
                next: rest.first?.roundTripNanoseconds)
        else { return attempt(request, rest, needs, deadline, last: last, completion) }
        ask(member.identity, request, isSurplus: false, time) { node, mine in
            if case .answered(let response, _) = mine, needs.isDecided(by: response.status) { return completion(mine) }
            if case .answered = last, case .failed = mine {
                node.attempt(request, rest, needs, deadline, last: last, completion)
            } else {
                node.attempt(request, rest, needs, deadline, last: mine, completion)
            }
        }
    }

    private func ask(
        _ peer: NodeIdentity, _ request: ProxyRequest, isSurplus: Bool, _ time: ForwardingTime,
        _ done: @escaping (SimulatedNode, ForwardOutcome) -> Void
    ) {
        guard let other = world.nodes.first(where: { $0.name == peer.name }) else {
            return done(self, .failed("\(peer.name) is not there"))
        }
        world.call(
            from: self, to: other, timeout: time.timeout,
            ask: { other, answer in
                guard let service = other.service else { return answer(nil) }
                var request = request
                request.receivedAt = other.now
                let reply = Reply(answer)
                service.handle(
                    request, forwardedBy: self.name, isSurplus: isSurplus, deadline: other.now + time.budget
                ) { reply.answer($0) }
            },
            done: { (node: SimulatedNode, response: ProxyResponse?) in
                done(node, response.map { .answered($0, by: peer.name) } ?? .failed("\(peer.name) does not answer"))
            })
    }
}

/// The simulation has one thread.
private struct Reply: @unchecked Sendable {
    let answer: (ProxyResponse?) -> Void
    init(_ answer: @escaping (ProxyResponse?) -> Void) { self.answer = answer }
}

extension Member {
    fileprivate var roundTripNanoseconds: UInt64 { UInt64(roundTrip ?? 0) * 1_000 }
}

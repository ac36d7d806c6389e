// SPDX-License-Identifier: Apache-2.0
import Gossip
import SecureMemory
import Synchronization

/// What each path of the cluster listener does.
struct Answering: Sendable {
    let gossip: GossipDriver
    let blocks: BlockExchange
    let canaries: CanaryExchange
    let heads: AuditHeadExchange
    let forwarder: Forwarder
    let counters: ClusterCounters

    func respond(to request: PeerRequest) async -> PeerReply {
        switch request.path {
        case .gossip: return await gossip(request)
        case .blocks: return reply(await blocks.receivedList(request.body, from: request.peer))
        case .blockPages: return reply(await blocks.receivedPage(request.body, from: request.peer))
        case .canaries: return reply(canaries.received(request.body, from: request.peer))
        case .audit: return reply(await heads.received(request.body, from: request.peer))
        case .forward: return await forwarder.received(request)
        }
    }

    private func gossip(_ request: PeerRequest) async -> PeerReply {
        guard let message = try? ClusterJSON.decode(GossipMessage.self, request.body) else {
            counters.dropped(.malformed)
            return .refusal(400)
        }
        let answer = await gossip.received(message, from: request.peer)
        return reply(answer.flatMap { try? ClusterJSON.encode($0) })
    }

    private func reply(_ body: SecretBytes?) -> PeerReply {
        guard let body else { return .refusal(400) }
        return PeerReply(status: 200, body: body)
    }
}

/// The listener is there before what answers: the port it is given stands in what this node says of itself.
final class LateResponder: Sendable {
    private let answering = Mutex<Answering?>(nil)

    func begin(_ answering: Answering) { self.answering.withLock { $0 = answering } }

    func respond(to request: PeerRequest) async -> PeerReply {
        guard let answering = answering.withLock({ $0 }) else { return .refusal(503) }
        return await answering.respond(to: request)
    }
}

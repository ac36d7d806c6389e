// SPDX-License-Identifier: Apache-2.0
import Cluster
import LaneProtocol
import XKSProtocol
import XKSService

// Passing requests on, and what is said of keys that are not offered here.

extension NodeNeighbours: RequestForwarder {
    /// Whether another node could serve some key for this one.
    var canForwardAny: Bool { isForwarding && cluster?.canForwardAny ?? false }

    /// Whether another node serves one of these keys.
    func canForward(anyOf labels: [String]) -> Bool { isForwarding && cluster?.canForward(anyOf: labels) ?? false }

    func canForward(label: KeyLabel, needs: ForwardingNeeds) -> Bool {
        cluster?.canForward(label: label.text, needs: needs) ?? false
    }

    func forward(
        _ request: ProxyRequest, label: KeyLabel, needs: ForwardingNeeds, deadline: UInt64,
        asking: @escaping @Sendable (String) -> Void,
        completion: @escaping @Sendable (ForwardOutcome) -> Void
    ) {
        guard let cluster else { return completion(.failed("there is no cluster")) }
        cluster.forward(
            request, label: label.text, needs: needs, deadline: deadline, asking: asking
        ) { result in
            switch result {
            case .answered(let response, let node): completion(.answered(response, by: node))
            case .failed(let reason): completion(.failed(reason))
            }
        }
    }
}

extension NodeNeighbours: OfferSource {
    func wordOnUnoffered() -> UnofferedWord {
        guard let cluster else {
            return isSeeking ? .elsewhere(nodes: [], reason: "this node has just begun") : .nowhere
        }
        let agreement = cluster.agreement
        guard let doubt = agreement.doubt else { return .nowhere }
        return .elsewhere(nodes: Set(agreement.others), reason: doubt)
    }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import XKSProtocol

/// Why a request is not answered as its caller wants, and whether another node may do better.
struct Refusal: Error {
    var error: XKSError
    /// This node's HSMs stand in the way, not the request: a peer with HSMs of its own may be asked.
    var isOnlyHere: Bool
    /// Which peers may.
    var needs = ForwardingNeeds.none

    /// Whichever node is asked, the answer is this.
    static func everywhere(_ name: XKSError.Name, _ message: String) -> Refusal {
        Refusal(error: XKSError(name, message), isOnlyHere: false)
    }

    /// A node with other HSMs may answer otherwise.
    static func here(_ name: XKSError.Name, _ message: String) -> Refusal {
        Refusal(error: XKSError(name, message), isOnlyHere: true)
    }
}

extension XKSService {
    /// Answers with the refusal, unless a peer can be asked: at most once on a request's way, and within its deadline.
    func refuse(_ exchange: Exchange, _ refusal: Refusal, label: KeyLabel) {
        guard refusal.isOnlyHere, exchange.forwardedBy == nil, let forwarder = neighbours.forwarder,
            forwarder.canForward(label: label, needs: refusal.needs)
        else { return finish(exchange, refusing: refusal.error) }
        exchange.trace.reason = refusal.error.message
        forwarder.forward(
            exchange.request, label: label, needs: refusal.needs, deadline: exchange.deadline
        ) { outcome in
            switch outcome {
            case .answered(let response, let node):
                exchange.trace.forwardedTo = node
                exchange.trace.reason = response.status == 200 ? nil : exchange.trace.reason
                self.finish(exchange, response, error: response.error)
            case .failed(let reason):
                exchange.trace.reason = "\(refusal.error.message); not forwarded: \(reason)"
                self.finish(exchange, refusing: refusal.error)
            }
        }
    }
}

extension ProxyResponse {
    /// What a peer's answer says went wrong; `nil` for a success. Peers write errors as this node does.
    fileprivate var error: XKSError? {
        guard status != 200 else { return nil }
        let text = body.withUnsafeBytes { String(decoding: $0.prefix(256), as: UTF8.self) }
        let name = XKSError.Name.allCases.first { text.contains($0.rawValue) }
        return XKSError(name ?? .internalFailure, "so a peer says")
    }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
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
    /// Gives an operation to the pool. Where nothing here serves the key, or a peer that has room would do it sooner, it
    /// comes back in time for that.
    ///
    /// - Parameters:
    ///   - calls: how many calls of HSMs the request still takes, this one included.
    ///   - isContinuation: an earlier call of the request has been made.
    func submit(
        _ operation: KeyOperation, _ exchange: Exchange, _ store: ServedKeyStore, calls: Int = 1,
        isContinuation: Bool = false,
        completion: @escaping @Sendable (OperationResult) -> Void
    ) {
        let (hsms, deadline) = (store.hsms, exchange.deadline)
        let terms = OperationTerms(
            share: exchange.position, calls: calls, isContinuation: isContinuation, isSurplus: exchange.isSurplus)
        guard exchange.forwardedBy == nil, exchange.mayForward, neighbours.forwarder != nil else {
            return pool.submit(operation, on: hsms, deadline: deadline, terms: terms, completion: completion)
        }
        var passing = terms
        passing.mayPassOn = true
        pool.submit(operation, on: hsms, deadline: deadline, terms: passing) { result in
            switch result.outcome {
            case .unavailable, .crowded:
                exchange.retryHere = {
                    self.pool.submit(operation, on: hsms, deadline: deadline, terms: terms, completion: completion)
                }
            case .done, .callersFault, .timedOut, .overloaded, .abandoned: break
            }
            completion(result)
        }
    }

    /// Where the pool gave an operation back for a peer to be asked, and none can be, what can still be done here is.
    ///
    /// - Parameter reason: why it was not done elsewhere.
    private func retryHere(_ exchange: Exchange, reason: String? = nil) -> Bool {
        guard let retry = exchange.retryHere, clocks.monotonic() < exchange.deadline else { return false }
        exchange.retryHere = nil
        exchange.mayForward = false
        exchange.trace.reason = nil
        exchange.notElsewhere = reason
        retry()
        return true
    }

    /// Answers with the refusal, unless a peer can be asked: at most once on a request's way, and within its deadline.
    func refuse(_ exchange: Exchange, _ refusal: Refusal, label: KeyLabel) {
        guard refusal.isOnlyHere, exchange.mayForward, exchange.forwardedBy == nil,
            let forwarder = neighbours.forwarder, forwarder.canForward(label: label, needs: refusal.needs)
        else {
            if retryHere(exchange) { return }
            return finish(exchange, refusing: refusal.error)
        }
        exchange.trace.reason = refusal.error.message
        let began = clocks.monotonic()
        passedOn.add(exchange)
        var request = exchange.request
        let span = exchange.recorder?.passing(at: began)
        request.traceContext = span?.context
        request.isDiagnostic = exchange.trace.isDiagnostic
        forwarder.forward(
            request, label: label, needs: refusal.needs, deadline: exchange.deadline,
            asking: { peer in
                self.passedOn.note(exchange, askedOf: peer)
                if let span { exchange.recorder?.asked(peer, in: span.position) }
            }
        ) { outcome in
            self.passedOn.remove(exchange)
            let now = self.clocks.monotonic()
            if let span { exchange.recorder?.passed(span.position, outcome, at: now) }
            exchange.trace.passedOnMicroseconds += (now > began ? now - began : 0) / 1_000
            switch outcome {
            case .answered(let response, let node) where !refusal.needs.isHandedOn(response.status):
                let reason = "\(node) answers \(response.status)"
                if self.retryHere(exchange, reason: reason) { return }
                exchange.trace.reason = "\(refusal.error.message); \(reason)"
                self.finish(exchange, refusing: refusal.error)
            case .answered(let response, let node):
                exchange.trace.forwardedTo = node
                exchange.trace.reason = response.status == 200 ? nil : exchange.trace.reason
                self.finish(exchange, response, error: response.error)
            case .failed(let reason):
                if self.retryHere(exchange, reason: "not forwarded: \(reason)") { return }
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

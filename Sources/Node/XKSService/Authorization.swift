// SPDX-License-Identifier: Apache-2.0
import Policy
import XKSProtocol

extension XKSService {
    /// Secondary authorization (XKS 1.0.3, "Authorization"): the key store's policy, where it has one.
    ///
    /// Each node that has to do with a request asks its own policy: of one that a peer has passed on, by the address of
    /// the client that this peer names.
    func authorize(_ exchange: Exchange, _ store: ServedKeyStore, _ externalKeyID: String?) throws(Refusal) {
        guard let policy = store.policy, let action = exchange.trace.operation.flatMap(PolicyAction.init),
            let metadata = exchange.trace.metadata
        else { return }
        let decision = policy.decide(
            PolicyRequest(
                action: action, externalKeyID: externalKeyID ?? "", keyStore: store.keyStore.pathPrefix,
                clientAddress: exchange.request.peer, time: clocks.wall(), metadata: metadata))
        exchange.trace.policyStatement = decision.statement
        guard !decision.isAllowed else { return }
        exchange.trace.reason =
            decision.statement.map { "the policy denies it by \($0)" } ?? "no statement of the policy allows it"
        // The statement is for this side's log alone: the name may say more than the caller should know.
        throw .everywhere(.accessDenied, "the policy of the external key store does not allow this")
    }
}

// SPDX-License-Identifier: Apache-2.0
import AccessControl
import KeyProof
import LaneProtocol
import Routing
import StatusVocabulary
import XKSProtocol

// Whether a key may be used at all: blocks, the key's own dates, and what the pool decides (`KeyDecision`).

/// A key that a request means, found and not blocked.
struct AdmittedKey {
    var label: KeyLabel
    var usage: KeyUsage
}

extension XKSService {
    /// The key that is meant, for an operation that uses it.
    ///
    /// Blocks come first, then the policy, then the quota: they hold for keys that are not there, too, and before anything
    /// else is said about a key.
    func admit(
        _ exchange: Exchange, _ store: ServedKeyStore, _ externalKeyID: String?, for purpose: KeyPurpose
    ) throws(Refusal) -> AdmittedKey {
        let label = label(externalKeyID, in: store)
        if let verdict = blockVerdict(exchange, store, externalKeyID, label: label) {
            exchange.trace.reason = verdict.logText
            exchange.trace.block = verdict.block?.id
            throw .everywhere(.invalidState, verdict.clientMessage)
        }
        try authorize(exchange, store, externalKeyID)
        try charge(exchange)
        let (found, decision) = try decision(on: label, of: externalKeyID, exchange, store, for: purpose)
        let terms = try terms(decision, for: purpose)
        // Dates forbid new encryptions, never to open what was made before (NIST SP 800-57 part 1, section 7).
        if purpose == .encrypt, !isWithinDates(terms) {
            throw .everywhere(.invalidState, "the key is outside its CKA_START_DATE and CKA_END_DATE")
        }
        return AdmittedKey(label: found, usage: terms.usage)
    }

    /// The label of the key that is meant; `nil` when the key store has none of this id.
    func label(_ externalKeyID: String?, in store: ServedKeyStore) -> KeyLabel? {
        externalKeyID.flatMap { store.keyStore.resolve(externalKeyID: $0) }.map { KeyLabel($0) }
    }

    /// The block that stands against the request, if there is one.
    ///
    /// - Parameter label: of the key that is meant; `nil` when the key store has none of this id.
    func blockVerdict(
        _ exchange: Exchange, _ store: ServedKeyStore, _ externalKeyID: String?, label: KeyLabel?
    ) -> BlockVerdict? {
        neighbours.blocks.current().verdict(
            keyStore: store.keyStore.pathPrefix, externalKeyID: externalKeyID ?? "", label: label?.text ?? "",
            principal: exchange.trace.metadata?.awsPrincipalArn ?? "", now: clocks.wall())
    }

    /// The label of the key that is meant, and whether it may be used.
    func decision(
        on label: KeyLabel?, of externalKeyID: String?, _ exchange: Exchange, _ store: ServedKeyStore,
        for purpose: KeyPurpose
    ) throws(Refusal) -> (label: KeyLabel, decision: KeyDecision) {
        guard let label else { throw refusal(ofUnoffered: externalKeyID) }
        exchange.label = label
        return (label, pool.decision(on: label, for: purpose, on: store.hsms))
    }

    /// No key of this id is offered here. Another node may offer it where its configuration is a different one, on the
    /// way from an old file to a new one for example: then it is asked, and where it cannot be, KMS shall try again.
    private func refusal(ofUnoffered externalKeyID: String?) -> Refusal {
        guard let externalKeyID, ExternalKeyID.isValid(externalKeyID),
            case .elsewhere(let nodes, let reason) = neighbours.offers.wordOnUnoffered()
        else { return .everywhere(.keyNotFound, "this key store serves no key of this id") }
        return Refusal(
            error: XKSError(.internalFailure, "this node serves no key of this id, and \(reason)"), isOnlyHere: true,
            needs: ForwardingNeeds(only: nodes, mayNotOffer: true))
    }

    /// Whether today, in UTC, lies between the key's dates; a missing one is no bound.
    func isWithinDates(_ terms: KeyTerms) -> Bool {
        terms.validity.isUnbounded
            || terms.validity.contains(day: CivilDay(unixSeconds: clocks.wall()).number)
    }

    /// What there is to say of a key that may be used, now or soon. A decision against it gets its name of the API
    /// here.
    func terms(_ decision: KeyDecision, for purpose: KeyPurpose) throws(Refusal) -> KeyTerms {
        switch decision {
        case .use(_, let terms), .wait(_, let terms): return terms
        case .forbidden:
            throw .everywhere(.invalidKeyUsage, "the key does not allow \(purpose == .encrypt ? "Encrypt" : "Decrypt")")
        case .refused(let reason): throw .here(.invalidState, reason)
        // A peer that encrypts under another key would answer for a key that is not this one.
        case .contested(let reason): throw .everywhere(.internalFailure, reason)
        case .absent(let detail):
            throw .here(.keyNotFound, detail ?? "every HSM that can be asked says that it has no key of this id")
        case .unknown(let reason): throw .here(.internalFailure, reason)
        }
    }
}

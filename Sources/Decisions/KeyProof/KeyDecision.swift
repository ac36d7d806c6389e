// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import StatusVocabulary

/// What a key is wanted for.
package enum KeyPurpose: Sendable, Hashable, CaseIterable {
    case encrypt, decrypt
    /// To be reported of: nothing is done with it.
    case metadata

    /// What the key's attributes have to allow.
    package var needed: KeyUsage {
        switch self {
        case .encrypt: .encrypt
        case .decrypt: .decrypt
        case .metadata: []
        }
    }
}

/// What there is to say of a key that may be used.
package struct KeyTerms: Sendable, Equatable {
    /// What at least one of the HSMs that serve it may do with it.
    package var usage: KeyUsage
    /// Between which days it may be used to encrypt: the latest start and the earliest end that those report which
    /// serve it.
    package var validity: KeyValidity

    package init(usage: KeyUsage, validity: KeyValidity = KeyValidity()) {
        self.usage = usage
        self.validity = validity
    }
}

/// Whether these HSMs may use a key, soon, or why not: the one place where that is decided. Absence, unavailability and
/// refusal are different answers, all the way to the caller: absence is final for KMS, the other two are not.
package enum KeyDecision: Sendable, Equatable {
    /// HSMs may be given the operation now.
    case use(HSMSet, KeyTerms)
    /// None may at the moment; these may before long.
    case wait(HSMSet, KeyTerms)
    /// The key's own attributes forbid it, wherever it lies: it may be used for this only.
    case forbidden(KeyUsage)
    /// HSMs hold it, but none may serve it: they disagree on its value, or cannot prove that they have the right one.
    case refused(String)
    /// Other nodes hold another key under this label, and only they encrypt. Not to be passed on to them.
    case contested(String)
    /// Everybody who could know says that there is no such key. The text says more where there is more to say.
    case absent(String?)
    /// Nobody knows at the moment: worth another try.
    case unknown(String)
}

/// What may be said of a ciphertext that this node's HSMs do not open.
package enum CiphertextWord: Sendable, Equatable {
    /// When witnesses have confirmed it: that it is invalid, which is final for KMS.
    case invalid
    /// That one of these nodes may open it: they prove the key by another value. What they cannot open either is
    /// unknown.
    case elsewhere([String])
    /// Nothing final, and why.
    case unknown(String)
}

/// The HSMs of a pool by what can be believed of them.
package struct KeyWitnesses: Sendable, Equatable {
    /// Those that have a worker which has listed its keys, and so can say that they have none of a label.
    package var responding: HSMSet
    /// All of the configuration. What those listed last that have no worker is still believed: it may be on its way.
    package var members: HSMSet
    /// Those whose list was cut short, or was read by a worker that is not fresh: they cannot say that they have none.
    package var doubtful: HSMSet

    package init(responding: HSMSet, members: HSMSet, doubtful: HSMSet = []) {
        self.responding = responding
        self.members = members
        self.doubtful = doubtful
    }
}

extension KeyProof {
    /// Whether the key may be used on these HSMs, soon, or why not.
    ///
    /// - Parameters:
    ///   - witnesses: asked for only where the key may not be used at once: most requests do without.
    ///   - complaint: why an object of this label cannot serve, where an HSM has said so.
    package func decision(
        on label: KeyLabel, for purpose: KeyPurpose, on permitted: HSMSet,
        witnesses: @autoclosure () -> KeyWitnesses, complaint: () -> String? = { nil }
    ) -> KeyDecision {
        guard let position = positions[label] else {
            return missing(label, isProven: false, permitted, witnesses(), complaint: complaint)
        }
        // So far nothing is copied: this is all that most requests ask.
        let able = able(position, purpose).intersection(permitted)
        if !able.isEmpty { return .use(able, terms(position, able)) }
        let witnesses = witnesses()
        let record = records[position]
        var listing = HSMSet()
        permitted.intersection(witnesses.members).forEach {
            if names.indices.contains($0), record.slots[$0].isRemembered { listing.insert($0) }
        }
        guard !listing.isEmpty else {
            let isProven = record.canary != nil || !record.claims.isEmpty
            return missing(label, isProven: isProven, permitted, witnesses, complaint: complaint)
        }
        return listed(position, for: purpose, listing, witnesses)
    }

    /// HSMs that may be given an operation for this purpose.
    private func able(_ position: Int, _ purpose: KeyPurpose) -> HSMSet {
        switch purpose {
        case .encrypt:
            records[position].encrypting.isEmpty
                ? withoutProof(position, for: .encrypt) : records[position].encrypting
        case .decrypt:
            records[position].served.isEmpty ? withoutProof(position, for: .decrypt) : records[position].served
        case .metadata:
            records[position].served.isEmpty
                ? withoutProof(position, for: .decrypt).union(withoutProof(position, for: .encrypt))
                : records[position].served
        }
    }

    /// A key that HSMs list, and none may serve now.
    private func listed(
        _ position: Int, for purpose: KeyPurpose, _ listing: HSMSet, _ witnesses: KeyWitnesses
    ) -> KeyDecision {
        let terms = terms(position, listing)
        if !terms.usage.isSuperset(of: purpose.needed) { return .forbidden(terms.usage) }
        let isMetadataOnly = purpose == .metadata && !terms.usage.isSuperset(of: [.encrypt, .decrypt])
        if isMetadataOnly { return .use(listing, terms) }
        let label = records[position].label
        if case .disputed(let text) = standing(of: label) { return .refused(text) }
        if purpose == .encrypt, let contest = records[position].contest, !contest.isOurs {
            return .contested(
                "nodes hold different keys under this label, and \(contest.nodes.joined(separator: ", ")) encrypts")
        }
        let waiting = hopeful(records[position]).intersection(listing)
            .union(listing.subtracting(witnesses.responding))
        if !waiting.isEmpty || records[position].trusting != nil {
            return .wait(waiting.isEmpty ? listing : waiting, terms)
        }
        switch standing(of: label) {
        case .disputed(let text), .excluded(let text): return .refused(text)
        case .ambiguous(let text), .failing(let text): return .unknown(text)
        case .unlisted, .served, .pending: return .wait(listing, terms)
        }
    }

    /// A key that no HSM lists. Absence is believed only where everybody answers who could know of it.
    private func missing(
        _ label: KeyLabel, isProven: Bool, _ permitted: HSMSet, _ witnesses: KeyWitnesses,
        complaint: () -> String?
    ) -> KeyDecision {
        let responding = witnesses.responding.intersection(permitted)
        if isProven { return .unknown("no HSM that can be asked lists this key, which was proven before") }
        if responding.isEmpty { return .unknown("no HSM can be asked at the moment") }
        if !responding.intersection(witnesses.doubtful).isEmpty {
            return .unknown("an HSM cannot tell whether it has this key")
        }
        guard cluster.isComplete else { return .unknown("not every node of the cluster can be asked for this key") }
        return .absent(complaint())
    }

    private func terms(_ position: Int, _ hsms: HSMSet) -> KeyTerms {
        // Not `[]`: that goes through the generic initializer of `SetAlgebra`, at the cost of a whole table look-up.
        var terms = KeyTerms(usage: KeyUsage(rawValue: 0))
        hsms.forEach { hsm in
            guard names.indices.contains(hsm) else { return }
            // Field by field: an object's identity has arrays, and most requests come by here.
            terms.usage.formUnion(records[position].slots[hsm].object.usage)
            let validity = records[position].slots[hsm].object.validity
            if !validity.isUnbounded { terms.validity = terms.validity.intersection(validity) }
        }
        return terms
    }

    /// What may be said of a ciphertext that the HSMs that serve the key do not open.
    package func word(onCiphertextOf label: KeyLabel) -> CiphertextWord {
        guard let position = positions[label], records[position].canary != nil else { return .invalid }
        let record = records[position]
        if let contest = record.contest { return .elsewhere(contest.nodes.filter(cluster.isLive)) }
        if case .disputed(let text) = record.stage { return .unknown(text) }
        if unconfirmed.contains(position) {
            return .unknown("whether other nodes hold another key under this label is not known yet")
        }
        // It may be under the key that an HSM of another node holds under this label, and that node tries it there.
        let excluding = record.claims.filter { $0.value.canary.history.excludes }
        if !excluding.isEmpty { return .elsewhere(excluding.keys.filter(cluster.isLive).sorted()) }
        return isCompared(position) ? .invalid : .unknown("the key is being compared with that of another node")
    }
}

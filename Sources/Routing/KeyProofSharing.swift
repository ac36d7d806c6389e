// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// Canaries that nodes tell each other. A peer only informs: what it says decides alone where nothing is known here, and
// otherwise after an HSM that holds the key has opened it. docs/internals/key-proof.md, "Between nodes".
extension KeyProof {
    /// Most peers of one label that are remembered for disagreeing.
    private static let mostRefused = 64
    /// Longest name of a node, bytes.
    private static let longestNode = 64

    // MARK: What peers get

    /// Canaries that decide and that nobody disputes, by label, in order.
    ///
    /// - Parameter after: only those whose labels come after this one.
    package func shared(after: KeyLabel? = nil, limit: Int = .max) -> [Canary] {
        let all = places.values.compactMap { records[$0].shareable }.filter { canary in
            after.map { $0 < canary.label } ?? true
        }
        return Array(all.sorted { $0.label < $1.label }.prefix(max(limit, 0)))
    }

    /// True while a peer proves a key by a canary that no HSM here opens.
    package var hasDisagreements: Bool { !contested.isEmpty }

    /// Where peers prove keys by canaries that no HSM here opens: sentences for people, in order.
    package func disagreements() -> [String] {
        contested.flatMap { record in
            records[record].refused.map { node, refusal in
                "key \(records[record].label): node \(node) proves it by another key value than HSM \(refusal.hsm) here"
            }
        }.sorted()
    }

    // MARK: What peers tell

    /// A peer has told canaries. What is malformed, worse than ours, or refused before, is passed over.
    package mutating func offered(
        _ canaries: [Canary], by node: String, now: UInt64, unixSeconds: Int64
    ) -> ProofActions {
        var actions = ProofActions()
        guard (1...Self.longestNode).contains(node.utf8.count) else { return actions }
        var room: Int?
        for offered in canaries where offered.isWellFormed {
            if places[offered.label] == nil {
                let left = room ?? limits.unlisted - places.values.count { !records[$0].isRemembered }
                guard left > 0 else { continue }
                room = left - 1
            }
            var canary = offered
            canary.dispute = nil
            // A clock that is ahead does not make a canary younger than now.
            canary.madeAt = min(offered.madeAt, unixSeconds)
            consider(canary, for: place(for: canary.label), from: node, now: now, into: &actions)
        }
        issueChecks(into: &actions)
        return actions
    }

    /// A peer proves its keys by the same canaries as this node, or it is no peer any more: where it disagreed is
    /// forgotten.
    package mutating func agreed(with node: String) {
        for record in contested { forgetRefusal(record, of: node) }
    }

    private mutating func consider(
        _ canary: Canary, for record: Int, from node: String, now: UInt64, into actions: inout ProofActions
    ) {
        // An operator has spoken here, and is about to be obeyed.
        guard records[record].trusting == nil else { return }
        guard let ours = records[record].canary else {
            return take(canary, for: record, from: node, now: now, into: &actions)
        }
        if let refusal = records[record].refused[node] {
            if refusal.canary.isSame(as: canary) { return }
            forgetRefusal(record, of: node)
        }
        guard !ours.isSame(as: canary) else { return }
        if case .disputed = records[record].stage {
            // It waits for an operator. One has spoken, at another node.
            if canary.isTrusted { take(canary, for: record, from: node, now: now, into: &actions) }
            return
        }
        guard canary.isBetter(than: ours), records[record].refused.count < Self.mostRefused else { return }
        if let refusal = records[record].refused.values.first(where: { $0.canary.isSame(as: canary) }) {
            return refuse(canary, for: record, of: node, hsm: refusal.hsm, into: &actions)
        }
        if let pending = records[record].offer {
            guard canary.isBetter(than: pending.canary) else { return }
            if let hsm = pending.hsm { records[record].slots[hsm].work = .idle }
        }
        records[record].offer = CanaryOffer(canary: canary, node: node)
        assess(record, now: now, into: &actions)
    }

    /// Nothing serves the key, or could: the peer's canary decides from now on.
    private mutating func take(
        _ canary: Canary, for record: Int, from node: String, now: UInt64, into actions: inout ProofActions
    ) {
        records[record].canary = canary
        records[record].draft = nil
        records[record].offer = nil
        records[record].stage = .decided
        due.clear(timer(of: record))
        for hsm in names.indices where records[record].slots[hsm].isPresent { forget(record, hsm: hsm) }
        actions.canaries.append(canary)
        actions.news.append(.adopted(label: canary.label, node: node, maker: canary.maker))
        assess(record, now: now, into: &actions)
    }

    // MARK: Trials

    /// Has one HSM that has proven the key open the peer's canary, where one is to be tried.
    mutating func askToTry(_ record: Int) {
        guard let offer = records[record].offer else { return }
        let proven = records[record].proven
        if let hsm = offer.hsm, proven.contains(hsm), records[record].slots[hsm].isPresent { return }
        for hsm in names.indices where proven.contains(hsm) && records[record].slots[hsm].isPresent {
            if case .outstanding = records[record].slots[hsm].work { continue }
            records[record].offer?.hsm = hsm
            enqueue(record, hsm: hsm, isUrgent: false)
            return
        }
    }

    /// An HSM has tried a peer's canary. `digest`: of the block in it; `nil` where it did not open it.
    mutating func tried(
        _ check: CheckTicket, digest: [UInt8]?, now: UInt64, into actions: inout ProofActions
    ) {
        let (record, hsm) = (check.record, check.hsm)
        guard let offer = records[record].offer else { return }
        records[record].offer = nil
        guard digest == offer.canary.digest else {
            refuse(offer.canary, for: record, of: offer.node, hsm: names[hsm], into: &actions)
            // It may be this HSM's key that has changed.
            return enqueue(record, hsm: hsm, isUrgent: false)
        }
        records[record].canary = offer.canary
        records[record].stage = .decided
        due.clear(timer(of: record))
        actions.canaries.append(offer.canary)
        actions.news.append(.adopted(label: offer.canary.label, node: offer.node, maker: offer.canary.maker))
        prove(record, hsm: hsm, now: now, into: &actions)
        // The others go on serving while they open it; what they were asked about the old one counts for nothing.
        for other in names.indices where other != hsm && records[record].slots[other].isPresent {
            guard !records[record].slots[other].isUnprovable else { continue }
            records[record].slots[other].work = .idle
            enqueue(record, hsm: other, isUrgent: false)
        }
    }

    private mutating func refuse(
        _ canary: Canary, for record: Int, of node: String, hsm: String, into actions: inout ProofActions
    ) {
        records[record].refused[node] = RefusedCanary(canary: canary, hsm: hsm)
        contested.insert(record)
        actions.news.append(.disagrees(label: canary.label, node: node, hsm: hsm))
    }

    private mutating func forgetRefusal(_ record: Int, of node: String) {
        guard records[record].refused.removeValue(forKey: node) != nil else { return }
        if records[record].refused.isEmpty { contested.remove(record) }
    }

    /// An HSM turns out to hold another key, or is gone: what it has refused is tried by another when it is offered
    /// again.
    mutating func recant(_ record: Int, hsm: Int) {
        for (node, refusal) in records[record].refused where refusal.hsm == names[hsm] {
            forgetRefusal(record, of: node)
        }
    }
}

extension Canary {
    /// Longest label that keys have, bytes (`KeyDescription.label`).
    private static let longestLabel = 255

    /// True when it can be opened at all, as far as its sizes go.
    var isWellFormed: Bool {
        (1...Self.longestLabel).contains(label.text.utf8.count) && maker.utf8.count <= Self.longestLabel
            && digest.count == 32 && sealed.ciphertext.count == SealedCanary.sealedLength
            && (12...GCMProfile.longestIV).contains(sealed.initializationVector.count)
    }

    /// The same block, sealed once. Who made it when is not compared: nodes may have been told differently.
    func isSame(as other: Canary) -> Bool { sealed == other.sealed && digest == other.digest }

    /// Which of two canaries is to decide, the same on all nodes: an operator's before another's, then the older, then
    /// the one of the smaller digest.
    func isBetter(than other: Canary) -> Bool {
        if isTrusted != other.isTrusted { return isTrusted }
        if madeAt != other.madeAt { return madeAt < other.madeAt }
        if digest != other.digest { return digest.lexicographicallyPrecedes(other.digest) }
        let (mine, others) = (sealed, other.sealed)
        return (mine.initializationVector + mine.ciphertext)
            .lexicographicallyPrecedes(others.initializationVector + others.ciphertext)
    }
}

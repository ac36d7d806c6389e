// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// Canaries that nodes send each other. A peer only informs: what it says decides alone where nothing is known here, and
// otherwise after an HSM that lists the key has opened it. docs/internals/key-proof.md, "Between nodes".
extension KeyProof {
    /// Most peers of one label whose claims are remembered.
    private static let mostClaims = 64
    /// Longest name of a node, bytes.
    private static let longestNode = 64

    // MARK: What peers get

    /// Everything that peers are sent, by label, in order: what serves, and what is about to.
    package func announced() -> [Canary] {
        positions.values.compactMap { records[$0].announced }.sorted { $0.label < $1.label }
    }

    /// Of that, what versions up to 16631be are sent, and compare by digest: canaries that decide.
    package func shared() -> [Canary] { announced().filter { !$0.history.isProvisional } }

    // MARK: What peers send

    /// An exchange of all canaries with a peer begins. What the peer said before it and does not say in it is forgotten
    /// at its end. Returns the version of what this node sends in it.
    package mutating func exchangeBegan(with node: String) -> UInt64 {
        guard isName(node), exchanges[node] != nil || exchanges.count < 4_096 else { return 0 }
        exchanges[node, default: 0] &+= 1
        return sharedVersion
    }

    /// The exchange has come to its end: the peer has sent all that it knows.
    package mutating func exchangeEnded(with node: String, now: UInt64) -> ProofActions {
        var actions = ProofActions()
        guard let round = exchanges[node] else { return actions }
        for record in records.indices {
            guard let claim = records[record].claims[node], claim.round < round else { continue }
            withdraw(record, node: node, now: now, into: &actions)
        }
        issueChecks(now: now, into: &actions)
        return actions
    }

    /// A peer has sent canaries. What is malformed, or forgotten by an order, is passed over.
    package mutating func offered(_ canaries: [Canary], by node: String, now: UInt64) -> ProofActions {
        var actions = ProofActions()
        guard isName(node) else { return actions }
        var room: Int?
        for offered in canaries where offered.isWellFormed && !isForgotten(offered) {
            if positions[offered.label] == nil {
                let left = room ?? limits.unlisted - positions.values.count { !records[$0].isRemembered }
                guard left > 0 else { continue }
                room = left - 1
            }
            var canary = offered
            canary.dispute = nil
            canary.history.bound()
            let record = position(for: canary.label)
            guard take(canary, for: record, from: node, now: now, into: &actions) else { continue }
            assess(record, now: now, into: &actions)
        }
        issueChecks(now: now, into: &actions)
        return actions
    }

    private func isName(_ node: String) -> Bool { (1...Self.longestNode).contains(node.utf8.count) }

    /// Remembers what a peer says. Returns whether that changes anything.
    private mutating func take(
        _ canary: Canary, for record: Int, from node: String, now: UInt64, into actions: inout ProofActions
    ) -> Bool {
        let old = records[record].claims[node]
        guard old != nil || records[record].claims.count < Self.mostClaims else { return false }
        var claim = CanaryClaim(canary: canary, round: exchanges[node] ?? 0)
        if let old, old.canary.isSame(as: canary) { claim.isAlarmed = old.isAlarmed }
        records[record].claims[node] = claim
        let isNews = old.map { !$0.weighs(asMuchAs: claim) } ?? true
        guard let ours = records[record].canary, ours.isSame(as: canary) else { return isNews }
        // It was taken over from a peer that has decided by now.
        if records[record].stage == .provisional, ours.history.servingSince == nil, !canary.history.isProvisional {
            endStage(record, now: now, into: &actions)
        }
        if let outlived = canary.history.outlived, outlived > ours.history.outlived ?? .min {
            records[record].canary?.history.outlived = outlived
            store(record, into: &actions)
        }
        return isNews
    }

    private mutating func withdraw(
        _ record: Int, node: String, now: UInt64, into actions: inout ProofActions
    ) {
        guard records[record].claims.removeValue(forKey: node) != nil else { return }
        assess(record, now: now, into: &actions)
        dropIfEmpty(record)
    }

    /// A peer proves all its keys by the same canaries as this node does, as far as they decide: of those that do not yet,
    /// here or there, this says nothing.
    package mutating func agreed(with node: String, now: UInt64) -> ProofActions {
        var actions = ProofActions()
        for record in contested {
            guard let claim = records[record].claims[node], let ours = records[record].canary,
                !claim.canary.isSame(as: ours), !claim.canary.history.isProvisional,
                records[record].stage == .decided
            else { continue }
            withdraw(record, node: node, now: now, into: &actions)
        }
        issueChecks(now: now, into: &actions)
        return actions
    }

    /// From now on this is the cluster.
    package mutating func cluster(_ view: ProofCluster, now: UInt64) -> ProofActions {
        var actions = ProofActions()
        guard view != cluster else { return actions }
        let gone = Set(cluster.peers.map(\.name)).subtracting(view.peers.map(\.name))
        if cluster.peers.contains(where: \.isLive), !view.peers.contains(where: \.isLive) { aloneSince = now }
        cluster = view
        for node in gone {
            exchanges[node] = nil
            for record in records.indices { withdraw(record, node: node, now: now, into: &actions) }
        }
        for record in records.indices where mayServeNow(record) { endStage(record, now: now, into: &actions) }
        for record in unconfirmed { confirm(record, into: &actions) }
        // More or fewer live nodes are on either side.
        for record in contested { assess(record, now: now, into: &actions) }
        for record in records.indices where mayLeaveDispute(record) { assess(record, now: now, into: &actions) }
        issueChecks(now: now, into: &actions)
        return actions
    }

    /// True when other nodes have been informed of a key that is new, and what they say of it has been compared.
    func mayServeNow(_ record: Int) -> Bool {
        guard records[record].stage == .announced else { return false }
        guard cluster.hasOthers else { return true }
        return cluster.hasExchanged(since: records[record].announcedSince) && isCompared(record)
    }

    /// True when every canary of a peer is ours, or has been tried by an HSM that has proven ours.
    func isCompared(_ record: Int) -> Bool {
        guard let ours = records[record].canary else { return true }
        let proven = records[record].proven
        return records[record].claims.values.allSatisfy { claim in
            claim.canary.isSame(as: ours)
                || records[record].trials.contains {
                    $0.canary.isSame(as: claim.canary) && !$0.opened.union($0.refuted).intersection(proven).isEmpty
                }
        }
    }

    /// What was decided here alone, or contested when the node ended, has been compared with other nodes since.
    private mutating func confirm(_ record: Int, into actions: inout ProofActions) {
        guard unconfirmed.contains(record), let history = records[record].canary?.history else { return }
        if history.wasContested {
            guard cluster.isComplete, records[record].contest == nil, !cluster.isSought || !cluster.peers.isEmpty
            else { return }
        } else if !cluster.peers.isEmpty, !cluster.hasExchanged(since: records[record].announcedSince) {
            return
        }
        unconfirmed.remove(record)
        records[record].canary?.history.isUnconfirmed = false
        records[record].canary?.history.wasContested = false
        store(record, into: &actions)
    }
}

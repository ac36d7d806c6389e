// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// Nodes prove one label by different canaries: of one key the better canary is taken over, of two keys one side encrypts.
// docs/internals/key-proof.md, "Between nodes".
extension KeyProof {
    // MARK: Weighing

    /// Compares our canary with those of peers: takes over a better one where an HSM here opens it, has it tried where
    /// none has yet, and says who encrypts where nodes hold different keys.
    mutating func weigh(_ record: Int, now: UInt64, into actions: inout ProofActions) {
        guard !records[record].claims.isEmpty || records[record].contest != nil else { return }
        switch records[record].stage {
        case .unseen, .firstSight, .making, .agreeing:
            // Nothing has been encrypted here.
            if let best = foreign(record).max(by: { $1.isBetter(than: $0) }) {
                adopt(best, for: record, openedBy: nil, now: now, into: &actions)
            }
        case .disputed:
            setContest(nil, record, into: &actions)
            // It waits for an operator. One has spoken, at another node.
            if let order = foreign(record).first(where: { endsDispute($0, of: record) }) {
                adopt(order, for: record, openedBy: nil, now: now, into: &actions)
            } else {
                leaveDispute(record, now: now, into: &actions)
            }
        case .announced, .provisional, .decided: compare(record, now: now, into: &actions)
        }
    }

    /// Canaries of peers that are not ours, each once, in an order that is the same on all nodes.
    private func foreign(_ record: Int) -> [Canary] {
        let ours = records[record].canary
        var result: [Canary] = []
        for claim in records[record].claims.values {
            if let ours, claim.canary.isSame(as: ours) { continue }
            if !result.contains(where: { $0.isSame(as: claim.canary) }) { result.append(claim.canary) }
        }
        return result.sorted { $0.isBetter(than: $1) }
    }

    private func endsDispute(_ order: Canary, of record: Int) -> Bool {
        guard order.isTrusted, let ours = records[record].canary else { return false }
        guard ours.isTrusted else { return true }
        return ([ours.digest] + ours.history.rivals).allSatisfy(order.history.replaces.contains)
    }

    /// A dispute ends without an order where there is nothing left to decide: no HSM here holds the disputed canary's key any
    /// more, and each that lists the label opens the one by which live nodes prove it. So it does not matter whether keys
    /// were replaced on all HSMs in one moment, or one after the other.
    private mutating func leaveDispute(_ record: Int, now: UInt64, into actions: inout ProofActions) {
        guard let ours = records[record].canary, !ours.isTrusted, ours.history.rivals.isEmpty,
            records[record].isLost
        else { return }
        let decided = foreign(record).filter { canary in
            records[record].claims.contains { node, claim in
                claim.canary.isSame(as: canary) && claim.isProven && !claim.canary.history.isProvisional
                    && cluster.isLive(node)
            }
        }
        guard let winner = decided.max(by: { weight(of: $0, record) < weight(of: $1, record) }) else { return }
        let trial = records[record].trials.first { $0.canary.isSame(as: winner) } ?? CanaryTrial(canary: winner)
        let listing = HSMSet(names.indices.filter { records[record].slots[$0].canOpen })
        guard trial.refuted.intersection(listing).isEmpty else { return }
        if listing.subtracting(trial.opened).isEmpty, let hsm = listing.member(after: 0) {
            adopt(winner, for: record, openedBy: hsm, now: now, into: &actions)
        } else {
            _ = haveTried(winner, record, listing, except: trial)
        }
    }

    /// True where what other nodes prove may end a dispute.
    func mayLeaveDispute(_ record: Int) -> Bool {
        if case .disputed = records[record].stage { !records[record].claims.isEmpty } else { false }
    }

    private mutating func compare(_ record: Int, now: UInt64, into actions: inout ProofActions) {
        var rivals: [Canary] = []
        var isTrying = false
        for canary in foreign(record) {
            guard let ours = records[record].canary else { return }
            let trial = records[record].trials.first { $0.canary.isSame(as: canary) } ?? CanaryTrial(canary: canary)
            let proven = records[record].proven
            if let hsm = trial.opened.intersection(proven).member(after: 0) {
                // The same key: one canary for all nodes.
                guard canary.isBetter(than: ours) else { continue }
                return adopt(canary, for: record, openedBy: hsm, now: now, into: &actions)
            }
            if trial.refuted.intersection(proven).isEmpty {
                // A node that proves nothing joins those whose key its HSMs hold, and counts as one of them.
                if let hsm = opener(of: trial, record), proven.isEmpty,
                    weight(of: canary, record, isJoined: true) > weight(of: ours, record)
                {
                    return adopt(canary, for: record, openedBy: hsm, now: now, into: &actions)
                }
                if !isTrying { isTrying = haveTried(canary, record, proven.isEmpty ? .all : proven, except: trial) }
                continue
            }
            if ours.contradicts(canary) { return disputeOrders(record, canary, into: &actions) }
            rivals.append(canary)
        }
        settleContest(record, rivals, now: now, into: &actions)
    }

    /// Has one of these HSMs open a peer's canary, where one can that has not. Returns whether one does.
    private mutating func haveTried(_ canary: Canary, _ record: Int, _ candidates: HSMSet, except trial: CanaryTrial)
        -> Bool
    {
        if let trying = records[record].trying, trying.canary.isSame(as: canary) { return true }
        let open = candidates.subtracting(trial.opened.union(trial.refuted))
        for hsm in names.indices where open.contains(hsm) && records[record].slots[hsm].canOpen {
            if case .outstanding = records[record].slots[hsm].work { continue }
            // Its last check has failed: first it is to open the canary of the key again, after a pause.
            if records[record].slots[hsm].failures > 0 { continue }
            records[record].trying = (canary, hsm)
            enqueue(record, hsm: hsm, .ordinary)
            return true
        }
        return false
    }

    /// An HSM that has opened a peer's canary with the object that it lists now.
    private func opener(of trial: CanaryTrial, _ record: Int) -> Int? {
        names.indices.first { trial.opened.contains($0) && records[record].slots[$0].canOpen }
    }

    /// An HSM has tried a peer's canary.
    mutating func tried(_ check: CheckTicket, _ canary: Canary, isOpen: Bool) {
        let (record, hsm) = (check.record, check.hsm)
        var trials = records[record].trials.filter { trial in
            records[record].claims.values.contains { $0.canary.isSame(as: trial.canary) }
        }
        var trial = trials.first { $0.canary.isSame(as: canary) } ?? CanaryTrial(canary: canary)
        if isOpen { trial.opened.insert(hsm) } else { trial.refuted.insert(hsm) }
        trials.removeAll { $0.canary.isSame(as: canary) }
        records[record].trials = trials + [trial]
        // It may be this HSM's key that has changed.
        if !isOpen, records[record].proven.contains(hsm) { enqueue(record, hsm: hsm, .ordinary) }
    }

    /// From now on the key is proven by a peer's canary.
    private mutating func adopt(
        _ canary: Canary, for record: Int, openedBy hsm: Int?, now: UInt64, into actions: inout ProofActions
    ) {
        let node = records[record].claims.filter { $0.value.canary.isSame(as: canary) }.keys.min() ?? ""
        // Where the same HSMs serve on, they are asked again while they do.
        let isSameKey = hsm.map { records[record].proven.contains($0) } ?? false
        var ours = canary
        (ours.history.provers, ours.history.rivals, ours.history.isProvisional) = ([], [], false)
        ours.history.excludes = false
        replaceCanary(record, with: ours)
        setContest(nil, record, into: &actions)
        records[record].stage = canary.history.isProvisional ? .provisional : .decided
        records[record].outvoted = []
        due.clear(timer(of: record))
        if canary.history.isProvisional { due.set(timer(of: record), at: now &+ limits.provisional) }
        for other in names.indices where records[record].slots[other].isPresent {
            if !isSameKey {
                forget(record, hsm: other)
            } else if other != hsm, !records[record].slots[other].isUnprovable {
                records[record].slots[other].work = .idle
                enqueue(record, hsm: other, .ordinary)
            }
        }
        actions.news.append(.adopted(label: canary.label, node: node, maker: canary.maker))
        store(record, into: &actions)
        if let hsm { prove(record, hsm: hsm, now: now, into: &actions) }
        if !isSameKey { assess(record, now: now, into: &actions) }
    }

    private mutating func disputeOrders(_ record: Int, _ rival: Canary, into actions: inout ProofActions) {
        let node = records[record].claims.filter { $0.value.canary.isSame(as: rival) }.keys.min() ?? ""
        records[record].canary?.history.rivals.append(rival.digest)
        setContest(nil, record, into: &actions)
        refuseEverywhere(
            record, "two orders trust different keys of this label, here and at node \(node)", into: &actions)
        actions.news.append(.ordersDisagree(label: records[record].label, node: node))
    }

    // MARK: Contests

    /// Nodes hold different keys: the side of the last order encrypts, else the side that more live nodes prove, of
    /// equals what is decided before what is provisional, then the older one.
    private mutating func settleContest(
        _ record: Int, _ rivals: [Canary], now: UInt64, into actions: inout ProofActions
    ) {
        guard !rivals.isEmpty, let ours = records[record].canary else { return setContest(nil, record, into: &actions) }
        let winner = rivals.reduce(ours) { weight(of: $1, record) > weight(of: $0, record) ? $1 : $0 }
        let isOurs = winner.isSame(as: ours)
        if !isOurs {
            if records[record].stage == .announced {
                return adopt(winner, for: record, openedBy: nil, now: now, into: &actions)
            }
            let trial = records[record].trials.first { $0.canary.isSame(as: winner) } ?? CanaryTrial(canary: winner)
            if let hsm = opener(of: trial, record) {
                return adopt(winner, for: record, openedBy: hsm, now: now, into: &actions)
            }
            _ = haveTried(winner, record, .all, except: trial)
        }
        let nodes = records[record].claims.filter { _, claim in rivals.contains { $0.isSame(as: claim.canary) } }
        setContest(KeyContest(isOurs: isOurs, nodes: nodes.keys.sorted()), record, into: &actions)
        for (node, claim) in nodes.sorted(by: { $0.key < $1.key }) where !claim.isAlarmed {
            records[record].claims[node]?.isAlarmed = true
            actions.news.append(
                .disagrees(label: records[record].label, node: node, hsm: refuter(of: claim.canary, record)))
        }
    }

    private func refuter(of canary: Canary, _ record: Int) -> String {
        let trial = records[record].trials.first { $0.canary.isSame(as: canary) }
        return trial?.refuted.member(after: 0).map { names[$0] } ?? ""
    }

    /// - Parameter isJoined: this node counts as one that proves it.
    private func weight(of canary: Canary, _ record: Int, isJoined: Bool = false) -> ContestWeight {
        var (nodes, isDecided) = (isJoined ? 1 : 0, false)
        if let ours = records[record].canary, ours.isSame(as: canary) {
            nodes = records[record].provers.isEmpty || records[record].isLost ? 0 : 1
            isDecided = records[record].stage == .decided
        }
        for (node, claim) in records[record].claims where claim.canary.isSame(as: canary) {
            if claim.isProven, cluster.isLive(node) { nodes += 1 }
            if !claim.canary.history.isProvisional { isDecided = true }
        }
        return ContestWeight(canary: canary, nodes: nodes, isDecided: isDecided)
    }

    private mutating func setContest(_ contest: KeyContest?, _ record: Int, into actions: inout ProofActions) {
        guard records[record].contest != contest else { return }
        records[record].contest = contest
        if contest == nil { contested.remove(record) } else { contested.insert(record) }
        guard contest != nil, records[record].canary?.history.wasContested == false else { return }
        records[record].canary?.history.wasContested = true
        unconfirmed.insert(record)
        store(record, into: &actions)
    }

    /// True while a peer proves a key by a canary that no HSM here opens.
    package var hasDisagreements: Bool { !contested.isEmpty }

    /// Where peers prove keys by canaries that no HSM here opens: sentences for people, in order.
    package func disagreements() -> [String] {
        contested.flatMap { record -> [String] in
            guard let contest = records[record].contest else { return [] }
            return contest.nodes.map { node in
                let hsm = records[record].claims[node].map { refuter(of: $0.canary, record) } ?? ""
                return "key \(records[record].label): node \(node) proves it by another key value than HSM \(hsm) here"
                    + (contest.isOurs ? "" : ", and only the other side encrypts")
            }
        }.sorted()
    }

    /// An HSM holds another object than before, or is gone: what it has tried is tried anew.
    mutating func discardTrials(_ record: Int, hsm: Int) {
        for trial in records[record].trials.indices {
            records[record].trials[trial].opened.remove(hsm)
            records[record].trials[trial].refuted.remove(hsm)
        }
    }
}

/// Of two canaries of different keys the heavier one's side encrypts.
private struct ContestWeight: Comparable {
    let canary: Canary
    let nodes: Int
    let isDecided: Bool

    static func == (one: ContestWeight, other: ContestWeight) -> Bool { !(one < other) && !(other < one) }

    static func < (one: ContestWeight, other: ContestWeight) -> Bool {
        if let isOrder = one.canary.isOrdered(before: other.canary) { return !isOrder }
        if one.nodes != other.nodes { return one.nodes < other.nodes }
        if one.isDecided != other.isDecided { return other.isDecided }
        return other.canary.isBetter(than: one.canary)
    }
}

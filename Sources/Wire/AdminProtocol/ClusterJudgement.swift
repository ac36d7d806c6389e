// SPDX-License-Identifier: Apache-2.0

/// What a cluster's state amounts to, in one word and in sentences.
package struct ClusterJudgement: Sendable, Equatable {
    /// Most reasons that are reported; the gravest come first.
    package static let mostReasons = 40
    /// Most names in one sentence.
    package static let mostNames = 10

    package var verdict: NodeStatus.Verdict
    /// Why the verdict is not ACTIVE, the gravest first. Names nodes and HSMs, and no key.
    package var reasons: [String]
    /// What people should know besides, and nobody has to mend.
    package var notes: [String]

    package init(verdict: NodeStatus.Verdict, reasons: [String], notes: [String]) {
        self.verdict = verdict
        self.reasons = reasons
        self.notes = notes
    }
}

extension ClusterHealth {
    /// Judges, and puts everything together.
    package init(
        here: NodeStatus, isClustered: Bool, nodes: [ClusterNode], blocks: BlockListing,
        dropped: [String: UInt64] = [:], asOfUnixSeconds: Int64
    ) {
        let judgement = Self.judge(here: here, nodes: nodes, blocks: blocks, nowUnixSeconds: asOfUnixSeconds)
        self.init(
            node: here.node, verdict: judgement.verdict, reasons: judgement.reasons, notes: judgement.notes,
            isClustered: isClustered, nodes: nodes, keys: here.keys, blocks: blocks, dropped: dropped,
            asOfUnixSeconds: asOfUnixSeconds)
    }

    /// ACTIVE when there is nothing that somebody has to mend; UNAVAILABLE only when no live node can serve; DEGRADED
    /// otherwise. What operators do on purpose (blocks, a node that ends, two versions during an upgrade) is noted, and
    /// is no degradation.
    ///
    /// - Parameters:
    ///   - here: this node's own status.
    ///   - nodes: all nodes, this one among them.
    ///   - nowUnixSeconds: what ages are counted to.
    package static func judge(
        here: NodeStatus, nodes: [ClusterNode], blocks: BlockListing, nowUnixSeconds: Int64
    ) -> ClusterJudgement {
        let judging = ClusterJudging(here: here, nodes: nodes, blocks: blocks, now: nowUnixSeconds)
        let all = judging.reasons
        var reasons = Array(all.prefix(ClusterJudgement.mostReasons))
        if all.count > reasons.count { reasons.append("\(all.count - reasons.count) further things are wrong") }
        let verdict: NodeStatus.Verdict =
            judging.canAnyServe ? (reasons.isEmpty ? .active : .degraded) : .unavailable
        return ClusterJudgement(verdict: verdict, reasons: reasons, notes: judging.notes)
    }
}

extension ClusterNode {
    /// SWIM goes on treating a suspect as a member. Who was only reported is none yet.
    package var isLive: Bool { liveness == .alive || liveness == .suspect }

    /// How many keys it offers and cannot serve at the moment.
    package var keysUnserved: Int { max(Int(unservedCount), unservedKeys.count) }

    /// Whether it has an HSM that is given requests.
    package var hasUsableHSM: Bool { hsms.contains(where: \.canServe) }
}

extension ClusterNode.HSM {
    /// Whether requests are given to it.
    package var canServe: Bool { state.canServe && !drained }
}

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusVocabulary

/// What a cluster's state amounts to, in one word and in conditions.
package struct ClusterJudgement: Sendable, Equatable {
    /// Most reasons that are reported; the gravest come first.
    package static let mostReasons = 40
    /// Most names in one sentence.
    package static let mostNames = 10

    /// The gravest first.
    package var conditions: [Condition]

    package init(conditions: [Condition]) { self.conditions = conditions }

    /// ACTIVE when there is nothing that somebody has to mend; UNAVAILABLE only when no live node can serve; DEGRADED
    /// otherwise. What operators do on purpose (blocks, a node that ends, two versions during an upgrade) is noted, and
    /// is no degradation.
    package var verdict: NodeStatus.Verdict { NodeStatus.verdict(of: conditions) }

    /// Why the verdict is not ACTIVE, the gravest first. Names nodes and HSMs, and no key.
    package var reasons: [String] {
        let all = conditions.filter { $0.severity != .note }.map(\.text)
        let shown = Array(all.prefix(Self.mostReasons))
        return all.count > shown.count ? shown + ["\(all.count - shown.count) further things are wrong"] : shown
    }

    /// What people should know besides, and nobody has to mend.
    package var notes: [String] { conditions.filter { $0.severity == .note }.map(\.text) }
}

extension ClusterHealth {
    /// Most conditions that are reported; the gravest come first.
    package static let mostConditions = 200

    /// Judges, and puts everything together.
    package init(
        here: NodeStatus, isClustered: Bool, nodes: [ClusterNode], blocks: BlockListing,
        dropped: [String: UInt64] = [:], asOfUnixSeconds: Int64
    ) {
        let judgement = Self.judge(here: here, nodes: nodes, blocks: blocks, nowUnixSeconds: asOfUnixSeconds)
        self.init(
            node: here.node, verdict: judgement.verdict, reasons: judgement.reasons, notes: judgement.notes,
            conditions: Array(judgement.conditions.prefix(Self.mostConditions)), isClustered: isClustered, nodes: nodes,
            keys: here.keys, blocks: blocks, dropped: dropped, asOfUnixSeconds: asOfUnixSeconds)
    }

    /// - Parameters:
    ///   - here: this node's own status, judged.
    ///   - nodes: all nodes, this one among them.
    ///   - nowUnixSeconds: what ages are counted to.
    package static func judge(
        here: NodeStatus, nodes: [ClusterNode], blocks: BlockListing, nowUnixSeconds: Int64
    ) -> ClusterJudgement {
        ClusterJudgement(
            conditions: ClusterConditions(here: here, nodes: nodes, blocks: blocks, now: nowUnixSeconds).all)
    }
}

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusVocabulary

/// Looks through a cluster for what a person should know of: what its nodes report of themselves, what follows from it, and
/// what this node sees of the others.
struct ClusterConditions {
    let here: NodeStatus
    let nodes: [ClusterNode]
    let blocks: BlockListing
    let now: Int64

    private var live: [ClusterNode] { nodes.filter(\.isLive) }

    /// Whether it is given requests, or would be, and can answer some.
    private func canServe(_ node: ClusterNode) -> Bool {
        node.hasUsableHSM && !node.draining && !told(node).contains(where: \.stopsItsNode)
    }

    var canAnyServe: Bool { live.contains(where: canServe) }

    var all: [Condition] {
        [
            service, live.flatMap(told), twins, deaths, restorations, nodesWithoutHSMs, unservedKeys, suspicions,
            oneWays,
            strangers, hsmTrouble, drifts, notes,
        ].flatMap(\.self).byGravity
    }

    // MARK: What nodes report

    /// What a node reports of itself. It stops no other node: where others serve, nothing of it is critical.
    private func told(_ node: ClusterNode) -> [Condition] {
        let own = node.name == here.node ? here.conditions : node.conditions
        // This node knows best what it refuses.
        let conditions = node.name == here.node ? own + listing(own) : own
        return conditions.filter { $0.known.map { $0.origin == .reported } ?? true }.map { condition in
            var condition = condition
            condition.node = node.name
            if condition.severity == .critical { condition.severity = .warning }
            return condition
        }
    }

    /// The list of blocks was read a moment later than the status.
    private func listing(_ own: [Condition]) -> [Condition] {
        guard let unknown = blocks.unknown, !own.contains(where: { $0.known == .blocksUnknown }) else { return [] }
        var status = here
        status.blocksUnknown = unknown
        return NodeConditions(status: status, circumstances: NodeCircumstances()).all
            .filter { $0.known == .blocksUnknown }
    }

    private func found(
        _ code: ConditionCode, _ node: ClusterNode, _ text: String, subject: String = "", details: [String] = [],
        since: Int64? = nil
    ) -> Condition {
        Condition(
            code, of: node.name, subject, text, details: details, since: since,
            severity: code == .noHSMServes ? .warning : nil)
    }

    /// A condition that is a matter of several nodes is this node's, who sees it.
    private func seen(_ code: ConditionCode, _ subject: String, _ text: String) -> Condition {
        Condition(code, of: here.node, subject, text)
    }

    private var service: [Condition] {
        canAnyServe ? [] : [seen(.noNodeServes, "", "no live node can serve: every request fails")]
    }

    /// One certificate in two places: orders reach one of the two only, and the others cannot distinguish them.
    private var twins: [Condition] {
        nodes.compactMap { node in
            node.twinAddress.map {
                found(
                    .nodeNameUsedTwice, node,
                    "two nodes bear the name \(node.name) (\(node.address) and \($0)): give each a node.id and a "
                        + "certificate of its own; an order reaches one of them only")
            }
        }
    }

    private var deaths: [Condition] {
        nodes.filter { $0.liveness == .dead }.map { node in
            found(
                .nodeDead, node, "\(title(node)) is dead, for \(age(node.sinceUnixSeconds))",
                since: node.sinceUnixSeconds)
        }
    }

    /// The list is merged within seconds; what else went back with it is for people to look after.
    private var restorations: [Condition] {
        live.compactMap { node in
            node.restored.map { restored in
                found(
                    .nodeRestored, node,
                    "\(title(node)) was put back to an earlier state, \(age(restored.sinceUnixSeconds)) ago: its list "
                        + "of blocks had seen \(restored.rememberedChanges) changes, and came back with fewer "
                        + "(\(restored.toldChanges) now); docs/guides/restore.md", since: restored.sinceUnixSeconds)
            }
        }
    }

    // MARK: Nodes

    private var nodesWithoutHSMs: [Condition] {
        live.filter { !$0.hasUsableHSM && !$0.draining }.map { node in
            var text = "no HSM of \(title(node)) can serve"
            if node.name == here.node {
                text += here.canForward ? "; it passes requests on to others" : "; it passes none on to others"
            } else if canAnyServe {
                text += "; it depends on passing requests on to others"
            }
            return found(.noHSMServes, node, text)
        }
    }

    private var unservedKeys: [Condition] {
        // Where no HSM can serve, no key can be; that none of them is served, the node says itself.
        live.filter { node in
            node.hasUsableHSM && node.keysUnserved > 0 && !told(node).contains { $0.known == .noKeyServed }
        }.map { node in
            found(
                .keyUnserved, node,
                "\(NodeConditions.count(node.keysUnserved)) offered by \(title(node)) and not served by its HSMs",
                details: node.unservedKeys)
        }
    }

    private var suspicions: [Condition] {
        nodes.filter { $0.liveness == .suspect }.map { node in
            found(
                .nodeSuspect, node,
                "\(title(node)) does not answer, for \(age(node.sinceUnixSeconds)); it is given time to say that it "
                    + "lives", since: node.sinceUnixSeconds)
        }
    }

    /// How long a node that others report may take to be reached before people are informed, seconds: several attempts.
    private static let introductionTime: Int64 = 30

    /// Reported by who cannot reach; who cannot be reached sees everybody.
    private var oneWays: [Condition] {
        live.flatMap { node in
            node.unreached.map {
                found(
                    .nodeUnreachable, node,
                    "\(title(node)) cannot reach node \($0), which reaches it: look at the cluster port of \($0) and "
                        + "the firewall between them", subject: "node \($0)")
            }
        }
    }

    private var strangers: [Condition] {
        let names = nodes.filter { $0.liveness == .unconfirmed && age(of: $0) > Self.introductionTime }.map(\.name)
        guard !names.isEmpty else { return [] }
        let them = names.count == 1 ? "it" : "them"
        return [
            seen(
                .nodeUnconfirmed, "",
                "node \(here.node) hears of \(list(names)) from others and cannot reach \(them): nothing is passed on to "
                    + them)
        ]
    }

    private func age(of node: ClusterNode) -> Int64 {
        let (difference, overflow) = now.subtractingReportingOverflow(node.sinceUnixSeconds)
        return overflow ? 0 : max(difference, 0)
    }

    // MARK: HSMs

    /// One HSM may be reached by several nodes: it is reported once for each state, with the nodes that see it so.
    private var hsmTrouble: [Condition] {
        var order: [Sight] = []
        var seers: [Sight: [String]] = [:]
        for node in live {
            for hsm in node.hsms {
                guard let sight = Sight(hsm, node: node.name) else { continue }
                if seers[sight] == nil { order.append(sight) }
                seers[sight, default: []].append(node.name)
            }
        }
        return order.map { sight in
            let nodes = seers[sight] ?? []
            return Condition(
                sight.code, of: nodes.first ?? here.node, sight.name, "\(sight.words) on \(list(nodes))")
        }
    }

    private struct Sight: Hashable {
        /// Names in the configuration may differ between nodes; the first one seen stands for all.
        var identity: String
        var state: HSMState
        var isDrained: Bool
        var name: String
        var code: ConditionCode

        /// `nil` for an HSM with which nothing is wrong.
        init?(_ hsm: ClusterNode.HSM, node: String) {
            guard let code = ConditionCode(hsm.state, isDrained: hsm.drained) else { return nil }
            self.code = code
            // Without a serial number nobody knows whether two nodes mean the same.
            identity = hsm.serial.isEmpty ? "\(node)/\(hsm.name)" : hsm.serial
            name = hsm.serial.isEmpty ? "hsm \(hsm.name)" : "hsm \(hsm.name) (serial \(hsm.serial))"
            state = hsm.state
            isDrained = hsm.drained
        }

        var words: String { "\(name) is \(NodeConditions.words(state, isDrained: isDrained))" }

        static func == (left: Sight, right: Sight) -> Bool {
            left.identity == right.identity && left.state == right.state && left.isDrained == right.isDrained
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(identity)
            hasher.combine(state)
            hasher.combine(isDrained)
        }
    }

    // MARK: What should be alike

    private var drifts: [Condition] {
        let kinds: [(String, ConditionCode, String)] = [
            ("configuration", .configurationDiffers, "configuration"), ("blocks", .blocksDiffer, "list of blocks"),
            ("refused", .refusedCertificatesDiffer, "list of refused certificates"),
        ]
        return kinds.compactMap { drift, code, thing in
            let names = live.filter { $0.drift.contains(drift) }.map(\.name)
            guard !names.isEmpty else { return nil }
            return seen(code, "", "the \(thing) of \(list(names)) differs from that of node \(here.node)")
        }
    }

    // MARK: Notes

    private var notes: [Condition] {
        var notes: [Condition] = []
        let ending = live.filter(\.draining).map(\.name)
        if !ending.isEmpty {
            notes.append(
                seen(
                    .nodeEnding, "",
                    "\(list(ending)) \(ending.count == 1 ? "is" : "are") ending: no new requests go there"))
        }
        let forgotten = nodes.filter { $0.forgottenBy != nil }
        for node in forgotten.prefix(ClusterJudgement.mostNames) {
            notes.append(
                found(
                    .nodeForgotten, node,
                    "\(title(node)) was forgotten by \(node.forgottenBy ?? ""): orders do not wait for it, until it "
                        + "speaks"))
        }
        if forgotten.count > ClusterJudgement.mostNames {
            let more = forgotten.count - ClusterJudgement.mostNames
            notes.append(seen(.nodeForgotten, "more", "\(more) more nodes were forgotten"))
        }
        let versions = Set(live.map(\.version)).subtracting([""]).sorted()
        if versions.count > 1 { notes.append(seen(.versionsDiffer, "", "versions differ: \(list(versions))")) }
        let compared = live.filter { $0.drift.contains("canaries") }.map(\.name)
        if !compared.isEmpty {
            notes.append(
                seen(
                    .canariesDiffer, "", "node \(here.node) and \(list(compared)) prove keys by different canaries"))
        }
        let count = blocks.blocks.count
        if count > 0 {
            notes.append(
                seen(.blocksInForce, "", "\(count == 1 ? "1 block is" : "\(count) blocks are") in force"))
        }
        return notes
    }

    // MARK: Words

    private func title(_ node: ClusterNode) -> String {
        node.site.isEmpty ? "node \(node.name)" : "node \(node.name) (site \(node.site))"
    }

    private func list(_ names: [String]) -> String {
        let shown = names.prefix(ClusterJudgement.mostNames).joined(separator: ", ")
        let rest = names.count - min(names.count, ClusterJudgement.mostNames)
        return rest > 0 ? "\(shown) and \(rest) more" : shown
    }

    /// In the largest unit of which there are at least two.
    private func age(_ since: Int64) -> String {
        let (difference, overflow) = now.subtractingReportingOverflow(since)
        let seconds = overflow ? 0 : max(difference, 0)
        switch seconds {
        case ..<120: return "\(seconds) s"
        case ..<7200: return "\(seconds / 60) min"
        case ..<172_800: return "\(seconds / 3600) h"
        default: return "\(seconds / 86_400) days"
        }
    }
}

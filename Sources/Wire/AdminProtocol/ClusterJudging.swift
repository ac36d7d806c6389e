// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// Looks through a cluster for what is wrong.
struct ClusterJudging {
    let here: NodeStatus
    let nodes: [ClusterNode]
    let blocks: BlockListing
    let now: Int64

    private var live: [ClusterNode] { nodes.filter(\.isLive) }

    /// Whether it is given requests, or would be: a node that has lost its blocks refuses them all. Only of this node
    /// that is known.
    private func canServe(_ node: ClusterNode) -> Bool {
        node.hasUsableHSM && !node.draining && (node.name != here.node || unknownBlocks == nil)
    }

    private var unknownBlocks: String? { here.blocksUnknown ?? blocks.unknown }

    var canAnyServe: Bool { live.contains(where: canServe) }

    /// The gravest first: what stops requests, what might harm keys, what takes away the spare, what differs.
    var reasons: [String] {
        let groups = [
            refusals, overload, twins, deaths, quarrels, restorations, nodesWithoutHSMs, unservedKeys, suspicions,
            oneWays,
            strangers,
            hsmTrouble,
            keyTrouble,
            drifts,
            storeTrouble,
        ]
        return groups.flatMap { $0 }
    }

    // MARK: Requests fail

    private var refusals: [String] {
        var reasons: [String] = []
        if let unknownBlocks {
            reasons.append(
                "node \(here.node) refuses every request: \(BlockListing.mend(unknownBlocks))")
        }
        if !canAnyServe { reasons.append("no live node can serve: every request fails") }
        return reasons
    }

    private var overload: [String] { here.overload.map { ["node \(here.node): \($0)"] } ?? [] }

    /// One certificate in two places: orders reach one of the two only, and the others cannot distinguish them.
    private var twins: [String] {
        nodes.compactMap { node in
            node.twinAddress.map {
                "two nodes bear the name \(node.name) (\(node.address) and \($0)): give each a node.id and a certificate "
                    + "of its own; an order reaches one of them only"
            }
        }
    }

    private var deaths: [String] {
        nodes.filter { $0.liveness == .dead }.map { "\(title($0)) is dead, for \(age($0.sinceUnixSeconds))" }
    }

    private var quarrels: [String] {
        var reasons: [String] = []
        let disputed = here.keys.count { $0.disputed != nil }
        if disputed > 0 {
            reasons.append(
                "\(keys(disputed)) refused on node \(here.node), because HSMs hold different keys under one label: "
                    + "`claviger status` names them, `claviger key trust` decides")
        }
        let count = here.disagreements.count
        if count > 0 {
            reasons.append(
                "node \(here.node) and others hold different keys under \(count == 1 ? "1 label" : "\(count) labels"): "
                    + "`claviger status` names the keys and the nodes")
        }
        return reasons
    }

    /// The list is merged within seconds; what else went back with it is for people to look after.
    private var restorations: [String] {
        live.compactMap { node in
            node.restored.map { restored in
                "\(title(node)) was put back to an earlier state, \(age(restored.sinceUnixSeconds)) ago: its list of blocks "
                    + "had seen \(restored.rememberedChanges) changes, and came back with fewer "
                    + "(\(restored.toldChanges) now); docs/guides/restore.md"
            }
        }
    }

    // MARK: Nodes

    private var nodesWithoutHSMs: [String] {
        live.filter { !$0.hasUsableHSM && !$0.draining }.map { node in
            let text = "no HSM of \(title(node)) can serve"
            guard node.name == here.node else {
                return text + (canAnyServe ? "; it depends on passing requests on to others" : "")
            }
            return text + (here.canForward ? "; it passes requests on to others" : "; it passes none on to others")
        }
    }

    private var unservedKeys: [String] {
        // Where no HSM can serve, no key can be.
        live.filter { $0.hasUsableHSM && $0.keysUnserved > 0 }.map { node in
            "\(keys(node.keysUnserved)) offered by \(title(node)) and not served by its HSMs"
        }
    }

    private var suspicions: [String] {
        nodes.filter { $0.liveness == .suspect }
            .map {
                "\(title($0)) does not answer, for \(age($0.sinceUnixSeconds)); it is given time to say that it lives"
            }
    }

    /// How long a node that others report may take to be reached before people are informed, seconds: several attempts.
    private static let introductionTime: Int64 = 30

    /// Reported by who cannot reach; who cannot be reached sees everybody.
    private var oneWays: [String] {
        live.flatMap { node in
            node.unreached.map {
                "\(title(node)) cannot reach node \($0), which reaches it: look at the cluster port of \($0) and the "
                    + "firewall between them"
            }
        }
    }

    private var strangers: [String] {
        let names = nodes.filter { $0.liveness == .unconfirmed && age(of: $0) > Self.introductionTime }.map(\.name)
        guard !names.isEmpty else { return [] }
        return [
            "node \(here.node) hears of \(list(names)) from others and cannot reach "
                + "\(names.count == 1 ? "it" : "them"): nothing is passed on to \(names.count == 1 ? "it" : "them")"
        ]
    }

    private func age(of node: ClusterNode) -> Int64 {
        let (difference, overflow) = now.subtractingReportingOverflow(node.sinceUnixSeconds)
        return overflow ? 0 : max(difference, 0)
    }

    // MARK: HSMs

    /// One HSM may be reached by several nodes: it is reported once for each state, with the nodes that see it so.
    private var hsmTrouble: [String] {
        var order: [Sight] = []
        var seers: [Sight: [String]] = [:]
        for node in live {
            for hsm in node.hsms where hsm.state != .active || hsm.drained {
                let sight = Sight(hsm, node: node.name)
                if seers[sight] == nil { order.append(sight) }
                seers[sight, default: []].append(node.name)
            }
        }
        let sorted = order.filter { !$0.isServing } + order.filter(\.isServing)
        return sorted.map { "\($0.words) on \(list(seers[$0] ?? []))" }
    }

    private struct Sight: Hashable {
        /// Names in the configuration may differ between nodes; the first one seen stands for all.
        var identity: String
        var state: HSMState
        var isDrained: Bool
        var name: String

        init(_ hsm: ClusterNode.HSM, node: String) {
            // Without a serial number nobody knows whether two nodes mean the same.
            identity = hsm.serial.isEmpty ? "\(node)/\(hsm.name)" : hsm.serial
            name = hsm.serial.isEmpty ? "hsm \(hsm.name)" : "hsm \(hsm.name) (serial \(hsm.serial))"
            state = hsm.state
            isDrained = hsm.drained
        }

        var isServing: Bool { state.canServe && !isDrained }

        var words: String {
            guard isDrained else { return "\(name) is \(state.rawValue)" }
            return state == .active ? "\(name) is drained" : "\(name) is \(state.rawValue) and drained"
        }

        static func == (left: Sight, right: Sight) -> Bool {
            left.identity == right.identity && left.state == right.state && left.isDrained == right.isDrained
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(identity)
            hasher.combine(state)
            hasher.combine(isDrained)
        }
    }

    private var keyTrouble: [String] {
        let count = here.keys.count { $0.disputed == nil && !$0.isWhole }
        guard count > 0 else { return [] }
        return [
            "\(keys(count)) missing or different on an HSM of node \(here.node) that should serve "
                + "\(count == 1 ? "it" : "them"): `claviger status` shows which"
        ]
    }

    // MARK: What should be alike

    private var drifts: [String] {
        [("configuration", "configuration"), ("blocks", "list of blocks"), ("refused", "list of refused certificates")]
            .compactMap { drift, thing in
                let names = live.filter { $0.drift.contains(drift) }.map(\.name)
                return names.isEmpty ? nil : "the \(thing) of \(list(names)) differs from that of node \(here.node)"
            }
    }

    private var storeTrouble: [String] {
        guard case .failing(let reason) = here.store else { return [] }
        return ["the store of node \(here.node) cannot be written: \(reason)"]
    }

    // MARK: Notes

    var notes: [String] {
        var notes: [String] = []
        let ending = live.filter(\.draining).map(\.name)
        if !ending.isEmpty {
            notes.append("\(list(ending)) \(ending.count == 1 ? "is" : "are") ending: no new requests go there")
        }
        let forgotten = nodes.filter { $0.forgottenBy != nil }
        for node in forgotten.prefix(ClusterJudgement.mostNames) {
            notes.append(
                "\(title(node)) was forgotten by \(node.forgottenBy ?? ""): orders do not wait for it, until it speaks")
        }
        if forgotten.count > ClusterJudgement.mostNames {
            notes.append("\(forgotten.count - ClusterJudgement.mostNames) more nodes were forgotten")
        }
        let versions = Set(live.map(\.version)).subtracting([""]).sorted()
        if versions.count > 1 { notes.append("versions differ: \(list(versions))") }
        let compared = live.filter { $0.drift.contains("canaries") }.map(\.name)
        if !compared.isEmpty {
            notes.append("node \(here.node) and \(list(compared)) prove keys by different canaries")
        }
        let count = blocks.blocks.count
        if count > 0 { notes.append("\(count == 1 ? "1 block is" : "\(count) blocks are") in force") }
        return notes
    }

    // MARK: Words

    private func title(_ node: ClusterNode) -> String {
        node.site.isEmpty ? "node \(node.name)" : "node \(node.name) (site \(node.site))"
    }

    private func keys(_ count: Int) -> String { count == 1 ? "1 key is" : "\(count) keys are" }

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

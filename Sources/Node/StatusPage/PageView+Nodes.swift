// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

extension PageView {
    /// Nodes by site, the site of this node first. Where there are too many, those with trouble are shown.
    var sites: [Fields] {
        let shown = shownNodes
        let own = cluster.nodes.first?.site ?? ""
        let names = Set(shown.map(\.site)).sorted { ($0 != own ? 1 : 0, $0) < ($1 != own ? 1 : 0, $1) }
        return names.map { site in
            let nodes = shown.filter { $0.site == site }
            return [
                "name": site.isEmpty ? "No site" : site, "count": PageText.count(nodes.count, "node"),
                "width": nodes.count > 2 ? "wide" : nodes.count == 2 ? "double" : "single",
                "nodes": nodes.map(node),
            ]
        }
    }

    /// What is said of those that are not shown; empty where all are.
    var moreNodes: String {
        let rest = cluster.nodes.count - shownNodes.count
        return rest > 0 ? "… and \(PageText.grouped(rest)) more: claviger cluster status --json has all." : ""
    }

    private var shownNodes: [ClusterNode] {
        guard cluster.nodes.count > Self.mostNodes else { return cluster.nodes }
        // This node stays first.
        let others = cluster.nodes.dropFirst()
        let isWell = { (node: ClusterNode) in Mark.of(node).mark == .good && node.hsms.allSatisfy(\.canServe) }
        return Array(
            (cluster.nodes.prefix(1) + others.filter { !isWell($0) } + others.filter(isWell)).prefix(Self.mostNodes))
    }

    private func node(_ node: ClusterNode) -> Fields {
        let (mark, word) = Mark.of(node)
        // What a dead node said of its HSMs is no news.
        let hsms = node.isLive ? node.hsms : []
        let ordered = hsms.filter { !$0.canServe } + hsms.filter(\.canServe)
        // All in their own order where there is room.
        let shown = hsms.count > Self.mostHSMsOfNode ? Array(ordered.prefix(Self.mostHSMsOfNode)) : hsms
        var fields: Fields = [
            "kind": mark.rawValue, "name": node.name, "state": word, "facts": facts(of: node).joined(separator: " · "),
            "hasHSMs": !shown.isEmpty,
            "hsms": shown.map { hsm -> Fields in
                let (mark, word) = Mark.of(hsm.state, isDrained: hsm.drained)
                return ["kind": mark.rawValue, "name": hsm.name, "state": word]
            },
        ]
        if hsms.count > shown.count {
            fields["moreHSMs"] = "… and \(PageText.count(hsms.count - shown.count, "HSM")) more"
        }
        if !node.drift.isEmpty { fields["drift"] = node.drift.joined(separator: ", ") }
        return fields
    }

    private func facts(of node: ClusterNode) -> [String] {
        var facts: [String] = []
        if node.name == status.node { facts.append("this node") }
        if node.isLive {
            if let trip = node.roundTripMicroseconds {
                facts.append("\(PageText.milliseconds(Double(trip) / 1_000)) ms away")
            }
            if let rate = snapshot.traffic.operationRates[node.name] {
                facts.append("\(PageText.rate(rate)) operations/s")
            }
            if node.inFlight > 0 { facts.append("\(PageText.grouped(node.inFlight)) in flight") }
        }
        facts.append("for \(PageText.age(since: node.sinceUnixSeconds, now: now))")
        if !node.version.isEmpty { facts.append("version \(node.version)") }
        return facts
    }
}

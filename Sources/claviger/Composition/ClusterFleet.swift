// SPDX-License-Identifier: Apache-2.0
import Gossip
import XKSService

/// The HSMs behind the endpoint, each once, the ones that a person must look at first.
///
/// One HSM may be reached by several nodes: a serial number names it. It is as healthy as the node that sees it best
/// says: if one node can work with it, it works, and what keeps another from it is reported in `/cluster/health`.
enum ClusterFleet {
    /// - Parameter nodes: the facts of every live node, this one's among them, with the nodes' names.
    static func merge(_ nodes: [(name: String, facts: NodeFacts)]) -> Fleet {
        var merged: [String: FleetHSM] = [:]
        for node in nodes {
            for hsm in node.facts.hsms {
                // Without a serial number nobody knows whether two nodes mean the same.
                let identity =
                    hsm.serial.isEmpty ? "\(node.name)\u{0}\(hsm.name)" : "\(hsm.manufacturer)\u{0}\(hsm.serial)"
                let view = FleetHSM(hsm)
                if let other = merged[identity], other.health <= view.health { continue }
                merged[identity] = view
            }
        }
        return Fleet(nodes: max(nodes.count, 1), hsms: Array(merged.values))
    }
}

extension FleetHSM {
    fileprivate init(_ hsm: HSMFact) {
        let isKnown = !hsm.serial.isEmpty
        self.init(
            id: isKnown ? "\(hsm.name) (\(hsm.serial))" : hsm.name,
            manufacturer: isKnown ? hsm.manufacturer : nil,
            model: isKnown ? "\(hsm.manufacturer) \(hsm.model), firmware \(hsm.firmware)" : nil,
            health: hsm.state.state.health(isDrained: hsm.isDrained))
    }
}

extension NodeNeighbours: FleetSource {
    func fleet() -> Fleet {
        let others = members.filter { $0.isLive && $0.hasSpoken }.map { ($0.identity.name, $0.facts ?? NodeFacts()) }
        return ClusterFleet.merge([(node.id, facts())] + others)
    }
}

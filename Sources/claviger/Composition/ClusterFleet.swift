// SPDX-License-Identifier: Apache-2.0
import Gossip
import XKSService

/// The HSMs behind the endpoint, each once, the ones that a person must look at first.
///
/// One HSM may be reached by several nodes: a serial number names it. It is as healthy as the node that sees it best
/// says: if one node can work with it, it works, and what keeps another from it is reported in `/cluster/health`.
enum ClusterFleet {
    /// - Parameters:
    ///   - nodes: the facts of every live node, this one's first, with the nodes' names.
    ///   - names: the HSMs of this node that are meant; `nil` for all. Of other nodes those are meant that bear such a
    ///     name, or the serial number of such an HSM: which HSMs a key store has at another node is not told.
    static func merge(_ nodes: [(name: String, facts: NodeFacts)], names: Set<String>? = nil) -> Fleet {
        let own = nodes.first?.facts.hsms.filter { names?.contains($0.name) == true } ?? []
        let serials = Set(own.map(\.serial).filter { !$0.isEmpty })
        func isMeant(_ hsm: HSMFact) -> Bool { names?.contains(hsm.name) ?? true || serials.contains(hsm.serial) }
        var merged: [String: FleetHSM] = [:]
        for node in nodes {
            for hsm in node.facts.hsms where isMeant(hsm) {
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
        // Not every token says everything of itself.
        let product = [hsm.manufacturer, hsm.model].filter { !$0.isEmpty }.joined(separator: " ")
        let firmware = hsm.firmware.isEmpty ? nil : "firmware \(hsm.firmware)"
        let known = [product.isEmpty ? nil : product, firmware].compactMap { $0 }
        self.init(
            id: hsm.serial.isEmpty ? hsm.name : "\(hsm.name) (\(hsm.serial))",
            manufacturer: hsm.manufacturer.isEmpty ? nil : hsm.manufacturer,
            model: known.isEmpty ? nil : known.joined(separator: ", "),
            health: hsm.state.state.health(isDrained: hsm.isDrained))
    }
}

extension NodeNeighbours: FleetSource {
    func fleet(of names: Set<String>?) -> Fleet {
        let others = members.filter { $0.isLive && $0.hasSpoken }.map { ($0.identity.name, $0.facts ?? NodeFacts()) }
        return ClusterFleet.merge([(node.id, facts())] + others, names: names)
    }
}

extension NodeNeighbours: NodeCountSource {
    func nodeCounts() -> (live: Int, members: Int) {
        let members = members.filter(\.isAwaited)
        return (1 + members.count { $0.isLive && $0.hasSpoken }, 1 + members.count)
    }
}

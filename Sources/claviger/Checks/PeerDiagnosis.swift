// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import Cluster
import NIOCore
import NodeConfig

/// Whether the other nodes can be reached as this node would, and what they say of its clock.
struct PeerDiagnosis {
    let settings: NodeSettings
    /// What the running node says; `nil` where none runs.
    let cluster: ClusterHealth?
    let status: NodeStatus?

    func findings(on loop: any EventLoop) async -> [Diagnosis.Finding] {
        guard let table = settings.cluster else { return [] }
        let files = ClusterTLSFiles(table)
        var findings: [Diagnosis.Finding] = []
        let (node, addresses) = (settings.node.id, addresses(table))
        // Side by side: each that does not answer takes its seconds.
        let results = await withTaskGroup(of: (String, Result<PeerReach, PeerTrouble>).self) { group in
            for address in addresses {
                group.addTask { (address, await ClusterService.reach(address, by: files, node: node, on: loop)) }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for address in addresses { if let result = results[address] { findings.append(finding(address, result)) } }
        if findings.isEmpty {
            findings.append(
                Diagnosis.Finding(
                    "peers", "none", .ok, "there is neither a seed nor a known member: this node begins its cluster"))
        }
        return findings + clocks
    }

    /// Seeds, and members that the node knows, each once.
    private func addresses(_ table: ClusterTableSettings) -> [String] {
        let own = table.advertise.description
        let members = (cluster?.nodes ?? []).dropFirst().filter { $0.liveness != .left }.map(\.address)
        var seen: Set<String> = [own]
        return (table.seeds.map(\.description) + members).filter { seen.insert($0).inserted }
    }

    private func finding(
        _ address: String, _ result: Result<PeerReach, PeerTrouble>
    ) -> Diagnosis.Finding {
        switch result {
        case .success(let reach) where reach.peer == settings.node.id:
            // A seed may be a name for all of them.
            return Diagnosis.Finding("peers", address, .ok, "is this node itself")
        case .success(let reach):
            let time = tenths(Double(reach.nanoseconds) / 1e6)
            return Diagnosis.Finding(
                "peers", address, .ok, "node \(reach.peer), connected with TLS in \(time) ms")
        case .failure(let trouble):
            if let gone = gone(address) { return gone }
            return Diagnosis.Finding(
                "peers", address, .failure, trouble.message,
                advice: trouble.advice)
        }
    }

    /// Nobody is missed at the address of a node that has left in good order, or was given up by order.
    private func gone(_ address: String) -> Diagnosis.Finding? {
        guard let node = cluster?.nodes.first(where: { $0.address == address }) else { return nil }
        if node.liveness == .left {
            return Diagnosis.Finding("peers", address, .skipped, "node \(node.name) has left in good order")
        }
        return node.forgottenBy.map {
            Diagnosis.Finding("peers", address, .skipped, "node \(node.name) was given up by \($0)")
        }
    }

    /// From this difference on a person should look, milliseconds.
    private static let notable: Int64 = 2_000

    private var clocks: [Diagnosis.Finding] {
        guard let clock = status?.clock else { return [] }
        return clock.peersMilliseconds.sorted { $0.key < $1.key }.map { peer, offset in
            let isOff = offset.magnitude >= Self.notable.magnitude
            return Diagnosis.Finding(
                "peers", "clock of \(peer)", isOff ? .warning : .ok,
                "\(offset.magnitude) ms \(offset < 0 ? "behind" : "ahead of") this node's",
                advice: isOff ? "synchronize both hosts' clocks: chronyc tracking, timedatectl" : nil)
        }
    }
}

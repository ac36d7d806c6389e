// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import NodeConfig
import NodeStore
import StatusVocabulary

/// What the store remembers of a node, in the form in which a running one reports it.
enum StoredStatus {
    /// - Parameter settings: the node's configuration, when it is known: it says which HSMs there are, in which order,
    ///   and with which tiers and weights. The store keeps those of earlier configurations for a time, too.
    /// - Returns: the status, and the process of the node if that is alive all the same.
    static func read(
        stateDirectory: String, settings: NodeSettings?
    ) throws(StoreError) -> (status: AdminStatus, livingProcess: Int32?) {
        let reader = try StoreReader.open(directory: stateDirectory)
        let drained = try reader.drained()
        let hsms = chosen(try reader.hsms(), settings)
        let names = Set(hsms.map(\.name))
        let transitions = try reader.transitions(limit: AdminStatus.transitionLimit).reversed().map(HSMTransition.init)
        let nodes = try reader.nodes().sorted { $0.startedUnixSeconds > $1.startedUnixSeconds }
        let node = nodes.first { $0.id == settings?.node.id } ?? (settings == nil ? nodes.first : nil)
        let status = NodeStatus(
            node: settings?.node.id ?? node?.id ?? "unknown", version: node?.version ?? "", draining: false,
            hsms: hsms.map { hsm($0, isDrained: drained.contains($0.name), settings) },
            keys: keys(try reader.keys().filter { names.contains($0.hsm) }))
        let asOf = hsms.map(\.updatedUnixSeconds).max() ?? node?.startedUnixSeconds ?? 0
        return (
            AdminStatus(status: status, transitions: transitions, running: false, asOfUnixSeconds: Int64(asOf)),
            nodes.lazy.map {
                ProcessIdentity(pid: Int32(clamping: $0.pid), startTicks: UInt64(clamping: $0.processStart))
            }
            .first(where: \.isAlive)?.pid
        )
    }

    private static func chosen(_ stored: [StoredHSM], _ settings: NodeSettings?) -> [StoredHSM] {
        guard let settings else { return stored }
        return settings.hsms.compactMap { configured in stored.first { $0.name == configured.name } }
    }

    private static func hsm(_ stored: StoredHSM, isDrained: Bool, _ settings: NodeSettings?) -> HSMStatus {
        let configured = settings?.hsms.first { $0.name == stored.name }
        let latency = HSMStatus.Latency(
            p50: UInt64(clamping: stored.p50Microseconds), p95: UInt64(clamping: stored.p95Microseconds),
            p99: UInt64(clamping: stored.p99Microseconds))
        return HSMStatus(
            name: stored.name, tokenLabel: known(stored.tokenLabel), serial: known(stored.serial),
            model: known(stored.model), firmware: known(stored.firmware), state: stored.state.state,
            reason: known(stored.reason), sinceUnixSeconds: Int64(stored.sinceUnixSeconds),
            // Lanes end with the process that had them.
            lanes: .init(open: 0, inUse: 0, overdue: 0), keys: 0, tier: configured?.tier, weight: configured?.weight,
            drained: isDrained, latencyMicroseconds: latency.p99 == 0 ? nil : latency)
    }

    private static func keys(_ stored: [StoredKey]) -> [KeyStatus] {
        Dictionary(grouping: stored, by: \.label).sorted { $0.key < $1.key }.map { label, fields in
            let cells = fields.map { ($0.hsm, $0.verdict.state) }
            return KeyStatus(
                label: label, canaryBy: nil, cells: Dictionary(cells, uniquingKeysWith: { _, last in last }))
        }
    }

    private static func known(_ text: String) -> String? { text.isEmpty ? nil : text }
}

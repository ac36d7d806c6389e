// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Conditions
import Foundation
import StatusPage
import StatusVocabulary
import Testing

/// What pages are made from in these tests.
enum Scene {
    /// 2023-11-14T22:13:20Z
    static let now: Int64 = 1_700_000_000

    static let edges = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.25]

    static func hsm(_ name: String, _ state: HSMState = .active, drained: Bool = false) -> HSMStatus {
        HSMStatus(
            name: name, tokenLabel: "xks", serial: "b493a14e5e45-\(name)", model: "nShield 5c", firmware: "13.4",
            state: state,
            reason: state == .active ? nil : "C_Login: CKR_DEVICE_REMOVED (0x32)", sinceUnixSeconds: now - 7_300,
            lanes: .init(open: 16, inUse: 3, overdue: 0), keys: 12, tier: 0, weight: 100, drained: drained,
            latencyMicroseconds: .init(p50: 1_240, p95: 2_510, p99: 9_820),
            learned: .init(callMicroseconds: 1_260, usefulCalls: 16, callsPerSecond: 12_400),
            work: .init(callsPerSecond: 312))
    }

    static func node(
        _ name: String, site: String = "fra", _ hsms: [HSMStatus], liveness: ClusterNode.Liveness = .alive,
        conditions: [Condition] = []
    ) -> ClusterNode {
        ClusterNode(
            name: name, site: site, address: "10.0.1.1:7443", liveness: liveness, sinceUnixSeconds: now - 90_000,
            draining: false, version: "0.1.0", incarnation: 3, roundTripMicroseconds: name == "fra-1" ? nil : 940,
            inFlight: 4, encrypts: 5_000, decrypts: 90_000, drift: [],
            hsms: hsms.map {
                .init(
                    name: $0.name, serial: $0.serial ?? "", model: $0.model ?? "", state: $0.state, drained: $0.drained)
            }, unservedKeys: [], conditions: conditions, certificateEnd: now + 86_400 * 200)
    }

    static func key(_ label: String, _ cells: [String: KeyState], disputed: String? = nil) -> KeyStatus {
        KeyStatus(label: label, canaryBy: cells.keys.sorted().first, disputed: disputed, cells: cells)
    }

    /// - Parameter others: nodes beside this one, `fra-1`.
    static func snapshot(
        hsms: [HSMStatus] = [hsm("hsm-1"), hsm("hsm-2")], keys: [KeyStatus]? = nil, others: [ClusterNode] = [],
        blocks: [BlockView] = [], showsKeys: Bool = false, change: (inout NodeStatus) -> Void = { _ in }
    ) -> StatusSnapshot {
        let proven = Dictionary(hsms.map { ($0.name, KeyState.proven) }) { first, _ in first }
        var status = NodeStatus(
            node: "fra-1", version: "0.1.0", draining: false, hsms: hsms,
            keys: keys ?? (1...12).map { key("key-\($0)", proven) })
        change(&status)
        status = status.judged()
        let cluster = ClusterHealth(
            here: status, isClustered: !others.isEmpty, nodes: [node("fra-1", hsms)] + others,
            blocks: BlockListing(blocks: blocks, unknown: status.blocksUnknown), asOfUnixSeconds: now)
        return StatusSnapshot(
            status: status, cluster: cluster, transitions: [], traffic: traffic(), certificateEnds: [:],
            showsKeys: showsKeys, nowUnixSeconds: now)
    }

    /// Twelve minutes of a wave, and one in which some failed.
    static func traffic() -> TrafficHistory {
        var history = TrafficHistory(edges: edges)
        var counts = TrafficHistory.Counts(
            answered: 0, unreliable: 0, buckets: Array(repeating: 0, count: edges.count + 1))
        for step in 0..<144 {
            history.note(counts, now: Int64(step) * 5)
            let requests = 900 + (step * 37 % 41) * 14 + (step > 90 ? 500 : 0)
            counts.answered += UInt64(requests)
            for (bucket, share) in [5, 620, 300, 55, 14, 4, 2, 0].enumerated() {
                counts.buckets[bucket] += UInt64(requests * share / 1_000)
            }
            if (96...101).contains(step) {
                counts.unreliable += 60
                counts.buckets[6] += 40
            }
            counts.operations["fra-1"] = counts.answered
        }
        return history
    }

    static func page(_ snapshot: StatusSnapshot) throws -> String {
        String(decoding: try StatusPage().html(snapshot), as: UTF8.self)
    }
}

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import CPlatform
import ControlPlane
import Glibc
import HSMPool
import NodeConfig
import NodeStore
import Routing
import Synchronization

/// Informs listeners what the pool, the store and the other nodes say.
final class PoolStatusSource: NodeStatusSource {
    private let node: NodeIdentitySettings
    private let pool: HSMPool
    private let store: NodeStore
    private let neighbours: NodeNeighbours
    private let blocks: BlockBook
    private let keyStores: Mutex<[PlannedKeyStore]>
    private let startedAt = Int64(time(nil))
    private let isDraining = Atomic(false)

    init(
        node: NodeIdentitySettings, pool: HSMPool, store: NodeStore, neighbours: NodeNeighbours, blocks: BlockBook,
        keyStores: [PlannedKeyStore]
    ) {
        self.node = node
        self.pool = pool
        self.store = store
        self.neighbours = neighbours
        self.blocks = blocks
        self.keyStores = Mutex(keyStores)
    }

    /// From now on load balancers are sent elsewhere.
    func drain() { isDraining.store(true, ordering: .relaxed) }

    /// From now on these are the key stores.
    func serve(_ new: [PlannedKeyStore]) { keyStores.withLock { $0 = new } }

    func status() -> NodeStatus {
        let keyStores = keyStores.withLock { $0 }
        let keys = pool.keys().compactMap { view($0, keyStores) }
        return NodeStatus(
            node: node.id, version: Product.version, draining: isDraining.load(ordering: .relaxed),
            hsms: pool.status().map(view), store: storeStatus, keys: keys, canForward: neighbours.canForwardAny,
            blocksUnknown: blocks.current().unknown, disagreements: pool.disagreements(),
            overload: pool.overload)
    }

    func clusterHealth() -> ClusterHealth {
        let view = ClusterView(
            own: neighbours.facts(), identity: neighbours.identity, startedAt: startedAt,
            twins: neighbours.twins)
        return ClusterHealth(
            here: status(), isClustered: neighbours.isClustered, nodes: view.nodes(neighbours.members),
            blocks: blocks.listing(), dropped: neighbours.dropped, asOfUnixSeconds: Int64(time(nil)))
    }

    private var storeStatus: StoreStatus {
        switch store.health {
        case .ok: .ok
        case .failing(let reason, _): .failing(reason: reason)
        }
    }

    private func view(_ hsm: Routing.HSMStatus) -> AdminProtocol.HSMStatus {
        AdminProtocol.HSMStatus(
            name: hsm.name, tokenLabel: hsm.identity?.label, serial: hsm.identity?.serial, model: hsm.identity?.model,
            firmware: hsm.identity?.firmware, state: AdminProtocol.HSMStatus.State(hsm.condition),
            reason: hsm.reason.isEmpty ? nil : hsm.reason,
            sinceUnixSeconds: UnixTime.seconds(ofMonotonic: hsm.since),
            lanes: .init(
                open: hsm.lanesOpen, inUse: hsm.lanesBusy, overdue: hsm.lanesOverdue, queued: hsm.queued),
            keys: hsm.keys,
            tier: hsm.tier, weight: hsm.weight, drained: hsm.isDrained,
            latencyMicroseconds: hsm.latency.map { .init(p50: $0.p50, p95: $0.p95, p99: $0.p99) },
            learned: hsm.learned.map {
                .init(callMicroseconds: $0.call / 1_000, usefulCalls: $0.calls, callsPerSecond: $0.perSecond)
            },
            work: .init(
                callsPerSecond: hsm.work.callsPerSecond, thrownAway: hsm.work.thrownAway,
                longestWaitMicroseconds: hsm.work.longestWait.map { $0 / 1_000 }))
    }

    /// A key as far as key stores offer it; `nil` when none does. HSMs that are not to serve it are left out.
    private func view(_ key: Routing.KeyStatus, _ keyStores: [PlannedKeyStore]) -> AdminProtocol.KeyStatus? {
        let offering = keyStores.filter { $0.keyStore.offers(label: key.label.text) }
        guard !offering.isEmpty else { return nil }
        var cells: [String: AdminProtocol.KeyStatus.Verdict] = [:]
        for cell in key.cells where offering.contains(where: { $0.hsms?.contains(cell.hsm) ?? true }) {
            cells[cell.hsm] = AdminProtocol.KeyStatus.Verdict(cell.cell)
        }
        var status = AdminProtocol.KeyStatus(
            label: key.label.text, canaryBy: key.canaryMaker, disputed: key.dispute, complaints: key.complaints,
            cells: cells)
        status.encrypts = key.uses.encrypts
        return status
    }
}

extension AdminProtocol.HSMStatus.State {
    fileprivate init(_ condition: HSMCondition) {
        self =
            switch condition {
            case .starting: .starting
            case .active: .active
            case .degraded: .degraded
            case .probing: .probing
            case .unavailable: .unavailable
            }
    }
}

extension AdminProtocol.KeyStatus.Verdict {
    fileprivate init(_ cell: KeyCell) {
        self =
            switch cell {
            case .proven: .proven
            case .unproven: .unproven
            case .different: .different
            case .unprovable: .unprovable
            case .absent: .absent
            }
    }
}

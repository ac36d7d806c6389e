// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import CPlatform
import ControlPlane
import HSMPool
import NodeConfig
import NodeStore
import Routing
import Synchronization
import XKSService

/// Tells listeners what the pool and the store know.
final class PoolStatusSource: NodeStatusSource {
    private let node: NodeIdentitySettings
    private let pool: HSMPool
    private let store: NodeStore
    private let keyStores: [ServedKeyStore]
    private let hsmNames: [String]
    private let isDraining = Atomic(false)

    init(
        node: NodeIdentitySettings, pool: HSMPool, store: NodeStore, keyStores: [ServedKeyStore], hsmNames: [String]
    ) {
        self.node = node
        self.pool = pool
        self.store = store
        self.keyStores = keyStores
        self.hsmNames = hsmNames
    }

    /// From now on load balancers are told to go elsewhere.
    func drain() { isDraining.store(true, ordering: .relaxed) }

    func status() -> NodeStatus {
        NodeStatus(
            node: node.id, version: Product.version, draining: isDraining.load(ordering: .relaxed),
            hsms: pool.status().map(view), store: storeStatus, keys: pool.keys().compactMap(view))
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
            lanes: .init(open: hsm.lanesOpen, inUse: hsm.lanesBusy, overdue: hsm.lanesOverdue), keys: hsm.keys,
            tier: hsm.tier, weight: hsm.weight, drained: hsm.isDrained,
            latencyMicroseconds: hsm.latency.map { .init(p50: $0.p50, p95: $0.p95, p99: $0.p99) })
    }

    /// A key as far as key stores offer it; `nil` when none does. HSMs that are not to serve it are left out.
    private func view(_ key: Routing.KeyStatus) -> AdminProtocol.KeyStatus? {
        var offered: HSMSet = []
        for store in keyStores where store.keyStore.offers(label: key.label) { offered = offered.union(store.hsms) }
        guard !offered.isEmpty else { return nil }
        var cells: [String: AdminProtocol.KeyStatus.Verdict] = [:]
        for (index, cell) in key.cells.enumerated() where offered.contains(index) && hsmNames.indices.contains(index) {
            cells[hsmNames[index]] = AdminProtocol.KeyStatus.Verdict(cell.cell)
        }
        return AdminProtocol.KeyStatus(
            label: key.label, canaryBy: key.canaryMaker, disputed: key.dispute, cells: cells)
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

// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Glibc
import HSMPool
import NodeConfig
import Routing
import Synchronization

/// Tells the control listener what the pool knows.
final class PoolStatusSource: NodeStatusSource {
    private let node: NodeIdentitySettings
    private let pool: HSMPool
    private let isDraining = Atomic(false)

    init(node: NodeIdentitySettings, pool: HSMPool) {
        self.node = node
        self.pool = pool
    }

    /// From now on load balancers are told to go elsewhere.
    func drain() { isDraining.store(true, ordering: .relaxed) }

    func status() -> NodeStatus {
        NodeStatus(
            node: node.id, version: Product.version, draining: isDraining.load(ordering: .relaxed),
            hsms: pool.status().map(view))
    }

    private func view(_ hsm: Routing.HSMStatus) -> ControlPlane.HSMStatus {
        ControlPlane.HSMStatus(
            name: hsm.name, tokenLabel: hsm.identity?.label, serial: hsm.identity?.serial, model: hsm.identity?.model,
            firmware: hsm.identity?.firmware, state: state(hsm.condition),
            reason: hsm.reason.isEmpty ? nil : hsm.reason,
            sinceUnixSeconds: unixSeconds(monotonic: hsm.since),
            lanes: .init(open: hsm.lanesOpen, inUse: hsm.lanesBusy, overdue: hsm.lanesOverdue), keys: hsm.keys)
    }

    private func state(_ condition: HSMCondition) -> ControlPlane.HSMStatus.State {
        switch condition {
        case .starting: .starting
        case .active: .active
        case .degraded: .degraded
        case .unavailable: .unavailable
        }
    }

    private func unixSeconds(monotonic: UInt64) -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let age = Int64(now.tv_sec) - Int64(clamping: monotonic / 1_000_000_000)
        return Int64(time(nil)) - max(age, 0)
    }
}

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Cluster
import ControlPlane
import Glibc
import HSMPool
import HostLimits
import NodeConfig
import NodeStore
import Routing
import StatusVocabulary
import Synchronization
import TLSFacts
import XKSListener

/// Informs listeners what the pool, the store and the other nodes say.
final class PoolStatusSource: NodeStatusSource {
    private let node: NodeIdentitySettings
    private let pool: HSMPool
    private let store: NodeStore
    private let neighbours: NodeNeighbours
    private let blocks: BlockBook
    private let keyStores: Mutex<[PlannedKeyStore]>
    private let log: NodeLog
    private let descriptors: DescriptorStatus
    private let startedAt = Int64(time(nil))
    private let isDraining = Atomic(false)
    private let links = Mutex<(@Sendable () -> [LinkStatus])?>(nil)
    private let listeners = Mutex<[ShownListener]>([])

    init(
        node: NodeIdentitySettings, pool: HSMPool, store: NodeStore, neighbours: NodeNeighbours, blocks: BlockBook,
        keyStores: [PlannedKeyStore], log: NodeLog, descriptors: DescriptorPlan
    ) {
        self.descriptors = DescriptorStatus(descriptors)
        self.log = log
        self.node = node
        self.pool = pool
        self.store = store
        self.neighbours = neighbours
        self.blocks = blocks
        self.keyStores = Mutex(keyStores)
    }

    /// From now on load balancers are sent elsewhere.
    func drain() { isDraining.store(true, ordering: .relaxed) }

    /// From now on the connections of these listeners are reported.
    func observe(_ listener: XKSListener, _ cluster: ClusterService?) {
        links.withLock { $0 = { LinkStatus.all(of: listener, cluster) } }
    }

    /// From now on these are the key stores.
    func serve(_ new: [PlannedKeyStore]) { keyStores.withLock { $0 = new } }

    /// From now on the connections of these listeners are shown.
    func show(_ shown: [ShownListener]) { listeners.withLock { $0 = shown } }

    func status() -> NodeStatus {
        let keyStores = keyStores.withLock { $0 }
        let keys = pool.keys().compactMap { shown($0, keyStores) }
        return NodeStatus(
            node: node.id, version: Product.version, draining: isDraining.load(ordering: .relaxed),
            hsms: pool.status().map(\.shown), store: storeStatus, keys: keys, canForward: neighbours.canForwardAny,
            blocksUnknown: blocks.current().unknown, disagreements: pool.disagreements(),
            overload: pool.overload, links: links.withLock { $0 }?() ?? [],
            refusals: log.refusals.counts.map { RefusalStatus($0) }, log: log.status, descriptors: descriptors,
            limits: LimitsStatus(
                maxUnauthenticatedBytes: node.maxUnauthenticatedBytes,
                listeners: listeners.withLock { $0 }.compactMap { $0.look() }))
    }

    func clusterHealth() -> ClusterHealth {
        let view = ClusterView(
            own: neighbours.facts(), identity: neighbours.identity, startedAt: startedAt,
            twins: neighbours.twins, serials: neighbours.serials)
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

    /// A key as far as key stores offer it; `nil` when none does. HSMs that are not to serve it are left out.
    private func shown(_ key: KeyRow, _ keyStores: [PlannedKeyStore]) -> KeyStatus? {
        let offering = keyStores.filter { $0.keyStore.offers(label: key.label.text) }
        guard !offering.isEmpty else { return nil }
        return key.shown { hsm in offering.contains { $0.hsms?.contains(hsm) ?? true } }
    }
}

extension LinkStatus {
    fileprivate static func all(of listener: XKSListener, _ cluster: ClusterService?) -> [LinkStatus] {
        var all = list("xks", listener.links)
        if let links = cluster?.links {
            all += list("cluster in", links.incoming) + list("cluster out", links.outgoing)
            all += list("forwarding out", links.forwarding)
        }
        return all
    }

    /// The most frequent first.
    private static func list(_ link: String, _ counts: [HandshakeFacts: Int]) -> [LinkStatus] {
        counts.map {
            LinkStatus(
                link: link, version: $0.key.version, group: $0.key.group, suite: $0.key.suite, connections: $0.value)
        }.sorted { ($1.connections, $0.version, $0.group, $0.suite) < ($0.connections, $1.version, $1.group, $1.suite) }
    }
}

extension DescriptorStatus {
    fileprivate init(_ plan: DescriptorPlan) {
        self.init(
            limit: plan.limit, reserved: plan.reserved, xks: plan.xks, cluster: plan.cluster, control: plan.control,
            admin: plan.admin)
    }
}

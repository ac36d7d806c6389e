// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import CPlatform
import Cluster
import Conditions
import ControlPlane
import Glibc
import HSMPool
import HostLimits
import Monitoring
import NodeConfig
import NodeStore
import RequestTraces
import Routing
import StatusPage
import StatusVocabulary
import Synchronization
import TLSFacts
import XKSListener
import XKSService

/// Informs listeners what the pool, the store and the other nodes say.
final class PoolStatusSource: NodeStatusSource {
    private let node: NodeIdentitySettings
    private let pool: HSMPool
    private let store: NodeStore
    private let neighbours: NodeNeighbours
    private let blocks: BlockBook
    private let credentials: CredentialBook
    private let keyUses: KeyUseBook
    private let bytes = Mutex<(@Sendable () -> (received: UInt64, sent: UInt64))?>(nil)
    private let roundTrips = Mutex<(@Sendable () -> Void)?>(nil)
    private let looks = Atomic<Int>(0)
    private let keyStores: Mutex<[PlannedKeyStore]>
    private let log: NodeLog
    private let requestMetrics: RequestMetrics
    private let showsKeys = Atomic(false)
    private let requestsInFlight = Mutex<(@Sendable () -> Int)?>(nil)
    private let traces = Mutex<(@Sendable () -> TraceOutbox.Counts?)?>(nil)
    private let quotas = Mutex<(@Sendable () -> [QuotaStatus])?>(nil)
    private let audit = Mutex<AuditTrail?>(nil)
    private let descriptors: DescriptorStatus
    private let startedAt = Int64(time(nil))
    private let isDraining = Atomic(false)
    private let links = Mutex<(@Sendable () -> [LinkStatus])?>(nil)
    private let listeners = Mutex<[ShownListener]>([])
    private let book = Mutex(ConditionBook())
    /// Since when this node knows what others say themselves: they log it.
    private let elsewhere = Mutex(ConditionBook())
    /// That clients are shown, the node's own first, by the setting that names their file.
    private let certificates = Mutex<[(setting: String, chain: [ServerCertificate])]>([])
    /// The CAs that vouch for clients.
    private let authorities = Mutex<[ServerCertificate]>([])
    private let traffic = Mutex(TrafficHistory(edges: NodeMetric.edges))
    private let circumstances = Mutex<(@Sendable () -> NodeCircumstances)?>(nil)

    init(
        node: NodeIdentitySettings, pool: HSMPool, store: NodeStore, neighbours: NodeNeighbours, blocks: BlockBook,
        keyStores: [PlannedKeyStore], log: NodeLog, descriptors: DescriptorPlan, metrics: RequestMetrics,
        credentials: CredentialBook, keyUses: KeyUseBook
    ) {
        self.credentials = credentials
        self.keyUses = keyUses
        requestMetrics = metrics
        self.descriptors = DescriptorStatus(descriptors)
        self.log = log
        self.node = node
        self.pool = pool
        self.store = store
        self.neighbours = neighbours
        self.blocks = blocks
        self.keyStores = Mutex(keyStores)
    }

    /// Looks, about a second each, from one measurement of the clients' round trips to the next.
    private static let looksPerRoundTrip = 10

    /// The node's name.
    var name: String { node.id }

    /// From now on load balancers are sent elsewhere, and what ends with the node is no trouble.
    func drain() {
        // Before anything looks as it does in a node that ends.
        book.withLock { $0.end() }
        elsewhere.withLock { $0.end() }
        isDraining.store(true, ordering: .relaxed)
    }

    /// From now on the connections of these listeners are reported.
    func observe(_ listener: XKSListener, _ control: ControlProtection, _ cluster: ClusterService?) {
        links.withLock { $0 = { LinkStatus.all(of: listener, control, cluster) } }
        bytes.withLock { $0 = { listener.traffic } }
        let metrics = requestMetrics
        roundTrips.withLock { $0 = { listener.measureRoundTrips { metrics.clientRoundTrip(nanoseconds: $0) } } }
    }

    /// From now on these are the key stores, and the certificates that clients are shown; metrics and the status page name
    /// keys or not.
    func serve(_ plan: NodePlan) {
        showsKeys.store(plan.settings.control.showsKeys, ordering: .relaxed)
        keyStores.withLock { $0 = plan.keyStores }
        authorities.withLock { $0 = plan.listener.transport.authorities }
        certificates.withLock {
            $0 = [
                ("xks.certificate", plan.listener.transport.certificates),
                ("control.certificate", plan.control.certificates),
            ]
        }
    }

    /// From now on this is the node's audit log.
    func show(_ trail: AuditTrail?) { audit.withLock { $0 = trail } }

    /// From now on these are the requests that have not been answered.
    func count(requestsInFlight count: @escaping @Sendable () -> Int) { requestsInFlight.withLock { $0 = count } }

    /// From now on this is what has become of traces.
    func count(traces count: @escaping @Sendable () -> TraceOutbox.Counts?) { traces.withLock { $0 = count } }

    /// From now on this is what quotas have refused.
    func count(quotas count: @escaping @Sendable () -> [QuotaStatus]) { quotas.withLock { $0 = count } }

    /// From now on the connections of these listeners are shown.
    func show(_ shown: [ShownListener]) { listeners.withLock { $0 = shown } }

    /// From now on this is looked at besides.
    func know(_ new: @escaping @Sendable () -> NodeCircumstances) { circumstances.withLock { $0 = new } }

    /// Looks at what is so, and returns what there is to say of it. To be called about once a second.
    func look() -> [ConditionBook.News] {
        if looks.add(1, ordering: .relaxed).newValue % Self.looksPerRoundTrip == 0 { roundTrips.withLock { $0 }?() }
        let known = known()
        let status = status(known)
        let own = status.conditions
        // The others say themselves what they suffer from; this node says that they are gone, or differ.
        let cluster = clusterHealth(here: status)
        let all = cluster.conditions ?? []
        let seen = all.filter { $0.known?.origin == .seen }
        let now = Int64(clamping: claviger_monotonic_nanoseconds() / 1_000_000_000)
        let unixSeconds = Int64(time(nil))
        let (news, dated) = book.withLock { book in
            let news = book.update(own + seen, now: now, unixSeconds: unixSeconds)
            return (news, book.standing(book.dated(own)))
        }
        traffic.withLock { $0.note(TrafficHistory.Counts(requestMetrics.totals, cluster), now: now) }
        elsewhere.withLock { _ = $0.update(all, now: now, unixSeconds: unixSeconds) }
        neighbours.tell(dated, certificateEnd: known.certificateEnds.values.min())
        return news
    }

    func status() -> NodeStatus { status(known()) }

    func metrics() -> String {
        let known = known()
        let status = status(known)
        var page = MetricPage()
        requestMetrics.write(to: &page)
        if let (received, sent) = bytes.withLock({ $0 })?() {
            page.add(.receivedBytes, ["xks"], Double(received))
            page.add(.sentBytes, ["xks"], Double(sent))
        }
        if let counts = traces.withLock({ $0 })?() {
            page.add(.traceSpans, ["sent"], Double(counts.sent))
            page.add(.traceSpans, ["refused"], Double(counts.refused))
            page.add(.traceSpans, ["unsent"], Double(counts.unsent))
            page.add(.traceSpans, ["crowded_out"], Double(counts.crowdedOut))
        }
        page.add(.requestsInFlight, [], Double(requestsInFlight.withLock { $0 }?() ?? 0))
        StatusMetrics(
            status: status, cluster: clusterHealth(here: status), showsKeys: showsKeys.load(ordering: .relaxed)
        ).write(to: &page)
        for (setting, end) in known.certificateEnds.sorted(by: { $0.key < $1.key }) {
            page.add(.certificateEnd, [setting], Double(end))
        }
        ProcessMetrics.write(startedAt: startedAt, to: &page)
        return page.text
    }

    /// What the status page shows. Asks neither an HSM nor the disk.
    func snapshot() -> StatusSnapshot {
        let known = known()
        let status = status(known)
        return StatusSnapshot(
            status: status, cluster: clusterHealth(here: status),
            transitions: store.knownTransitions(limit: AdminStatus.transitionLimit).reversed().map(HSMTransition.init),
            traffic: traffic.withLock { $0 }, certificateEnds: known.certificateEnds,
            showsKeys: showsKeys.load(ordering: .relaxed), nowUnixSeconds: Int64(time(nil)))
    }

    private func known() -> NodeCircumstances {
        var known = circumstances.withLock { $0 }?() ?? NodeCircumstances()
        let now = Int64(time(nil))
        known.auditContradictions = neighbours.heads.contradictions.reduce(into: [:]) { $0[$1.node] = $1.text }
        let shown = certificates.withLock { $0 }
        known.certificates =
            shown.compactMap { $0.chain.flaw(now: now, setting: $0.setting) } + known.certificates
        if let flaw = authorities.withLock({ $0 }).flawOfAuthorities(now: now, setting: "xks.client_ca") {
            known.certificates.append(flaw)
        }
        for (setting, chain) in shown { known.certificateEnds[setting] = chain.map(\.notAfter).min() }
        return known
    }

    private func status(_ circumstances: NodeCircumstances) -> NodeStatus {
        var known = circumstances
        let hsms = pool.status().map { hsm in
            var shown = hsm.shown
            if shown.drained {
                let begin = pool.timedDrainBegin(of: shown.name)
                shown.drainedSinceUnixSeconds = begin ?? store.drainedSince(shown.name).map(Int64.init)
                if begin != nil, shown.reason == nil {
                    shown.reason = "for a time, as by a drill: the node puts it back by itself"
                }
            }
            return shown
        }
        let rows = pool.keys()
        let elsewhere = keyUses.collect(rows)
        let keys = OfferedKeyStatus(
            rows: rows, keyStores: keyStores.withLock { $0 }, hsms: hsms, complaints: pool.complaints())
        neighbours.know(unlisted: keys.unlisted)
        known.unservedKeys = neighbours.unservedKeys.map(\.text)
        known.areServedElsewhere = !known.unservedKeys.isEmpty && neighbours.canForward(anyOf: known.unservedKeys)
        known.keyStoreGaps = keyStores.withLock { $0 }.compactMap {
            KeyStoreGap($0, keys: keys.keys, hsms: hsms, unserved: Set(known.unservedKeys))
        }
        var status = unjudged(hsms, keys.keys)
        status.clock = ClockStatus(peersMilliseconds: known.clock.peers, kmsSeconds: known.clock.tolerated)
        if let quotas = quotas.withLock({ $0 })?(), !quotas.isEmpty { status.quotas = quotas }
        status.credentials = credentials.statuses()
        status.audit = audit.withLock { $0 }?.status
        for index in status.keys.indices {
            status.keys[index].encryptsElsewhere = elsewhere[Array(status.keys[index].label.utf8)]
        }
        status = status.judged(known)
        status.conditions = book.withLock { $0.standing($0.dated(status.conditions)) }
        return status
    }

    private func unjudged(_ hsms: [HSMStatus], _ keys: [KeyStatus]) -> NodeStatus {
        NodeStatus(
            node: node.id, version: Product.version, draining: isDraining.load(ordering: .relaxed), hsms: hsms,
            store: storeStatus, keys: keys, canForward: neighbours.canForwardAny,
            blocksUnknown: blocks.current().unknown, disagreements: pool.disagreements(),
            overload: pool.overload, links: links.withLock { $0 }?() ?? [],
            refusals: log.refusals.counts.map { RefusalStatus($0) }, log: log.status, descriptors: descriptors,
            limits: LimitsStatus(
                maxUnauthenticatedBytes: node.maxUnauthenticatedBytes,
                listeners: listeners.withLock { $0 }.compactMap { $0.look() }))
    }

    func clusterHealth() -> ClusterHealth { clusterHealth(here: status()) }

    private func clusterHealth(here status: NodeStatus) -> ClusterHealth {
        let view = ClusterView(
            own: neighbours.facts(), identity: neighbours.identity, startedAt: startedAt,
            twins: neighbours.twins, serials: neighbours.serials)
        var health = ClusterHealth(
            here: status, isClustered: neighbours.isClustered, nodes: view.nodes(neighbours.members),
            blocks: blocks.listing(), dropped: neighbours.dropped, asOfUnixSeconds: Int64(time(nil)))
        health.conditions = health.conditions.map { conditions in
            let dated = book.withLock { $0.dated(conditions) }
            return elsewhere.withLock { $0.standing($0.dated(dated)) }
        }
        return health
    }

    private var storeStatus: StoreStatus {
        switch store.health {
        case .ok: .ok
        case .failing(let reason, _): .failing(reason: reason)
        }
    }
}

extension TrafficHistory.Counts {
    fileprivate init(_ totals: RequestTotals, _ cluster: ClusterHealth) {
        self.init(
            answered: totals.answered, unreliable: totals.unreliable, buckets: totals.buckets,
            operations: Dictionary(cluster.nodes.map { ($0.name, $0.encrypts &+ $0.decrypts) }) { first, _ in first })
    }
}

extension LinkStatus {
    fileprivate static func all(
        of listener: XKSListener, _ control: ControlProtection, _ cluster: ClusterService?
    ) -> [LinkStatus] {
        var all = list("xks", listener.links) + list("control", control.links.connections)
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

extension QuotaStatus {
    init(_ quota: KeyStoreQuotaCounts) {
        let counts = quota.counts
        self.init(
            keyStore: quota.keyStore, nodes: quota.nodes, refusedByStore: Int(clamping: counts.refusedByStore),
            refusedByPrincipal: Int(clamping: counts.refusedByPrincipal), principals: counts.principals,
            principalsRefused: counts.principalsRefused, shared: Int(clamping: counts.shared),
            requestsPerSecond: quota.limits.store?.perSecond,
            principalRequestsPerSecond: quota.limits.principal?.perSecond, admitted: Int(clamping: counts.admitted))
    }
}

extension DescriptorStatus {
    fileprivate init(_ plan: DescriptorPlan) {
        self.init(
            limit: plan.limit, reserved: plan.reserved, xks: plan.xks, cluster: plan.cluster, control: plan.control,
            admin: plan.admin)
    }
}

// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminProtocol
import CPlatform
import ConnectionLimits
import ControlPlane
import Glibc
import HSMPool
import Logging
import Monitoring
import NIOCore
import NIOPosix
import NodeConfig
import NodeStore
import Observability
import PrivateFiles
import Routing
import Synchronization
import TraceExport
import XKSProtocol
import XKSService

/// What a node consists of behind its listeners.
struct NodeComponents: Sendable {
    let store: NodeStore
    let pool: HSMPool
    let service: XKSService
    let blocks: BlockBook
    private let offered: BlockScopes
    let neighbours: NodeNeighbours
    let status: PoolStatusSource
    /// `nil` where no audit log is written.
    let audit: AuditTrail?
    let slowest: SlowestRequests
    private let traces: TraceExporter
    let credentials: CredentialBook
    /// What the control listener is protected by at the moment.
    let controlProtection = ControlProtection()
    let group: MultiThreadedEventLoopGroup
    let logger: Logger
    /// Whom the listeners have turned away.
    var refusals: RefusalCounter { log.refusals }
    /// The lines of requests.
    var requestLog: RequestLog { log.requests }
    private let log: NodeLog
    private let trail: RefusalTrail
    private let conditions: ConditionTrail
    private let refusedPINs: RefusedPINs
    /// Of this start: greater than of any before.
    let incarnation: UInt64

    /// Nothing of it runs yet, but for the event loops.
    init(_ plan: NodePlan, log: NodeLog) throws {
        let settings = plan.settings
        let logger = log.logger
        let group = MultiThreadedEventLoopGroup.forRequests(loops: settings.node.eventLoops)
        let bell = ConditionTrail.Bell()
        let store = NodeStore.open(
            directory: settings.node.stateDirectory, isClustered: settings.cluster != nil,
            onHealth: { _ in bell.ring() })
        let refusedPINs = RefusedPINs(stateDirectory: settings.node.stateDirectory, marks: plan.pinMarks)
        let pool = HSMPool(
            settings: plan.pool, journal: StoreJournal(store: store, refusedPINs: refusedPINs), group: group,
            logger: logger)
        let offered = BlockScopes(pool: pool)
        let blocks = BlockBook(store: store, node: settings.node.id, scope: { offered.scope(of: $0) }, logger: logger)
        let incarnation = store.beginIncarnation(of: settings.node.id)
        let isForwarding = settings.cluster?.forwarding == true
        let formats = ActivatedFormat(stateDirectory: settings.node.stateDirectory, logger: logger)
        let keyUses = KeyUseBook(store: store)
        let credentials = CredentialBook(store: store, node: settings.node.id)
        let neighbours = NodeNeighbours(
            pool: pool, store: store, blocks: blocks, formats: formats, credentials: credentials, keyUses: keyUses,
            node: settings.node, incarnation: incarnation, isForwarding: isForwarding,
            isSeeking: settings.cluster.map { !$0.seeds.isEmpty || !store.peers().isEmpty } ?? false, logger: logger)
        let audit = AuditTrail(plan, incarnation: incarnation, neighbours: neighbours, logger: logger)
        let metrics = RequestMetrics(MetricRegistry())
        let slowest = SlowestRequests()
        let traces = TraceExporter(
            .init(node: settings.node.id, site: settings.node.site, version: Product.version), logger: logger)
        let service = try XKSService(
            settings: plan.service(hsms: pool.hsmSet),
            pool: pool,
            neighbours: ServiceNeighbours(
                blocks: blocks, forwarder: isForwarding ? neighbours : nil, fleet: neighbours, formats: formats,
                offers: neighbours, nodes: neighbours, audit: audit),
            observer: RequestObservers(log.requests, metrics, slowest, traces), clocks: .system)
        neighbours.serve(with: service)
        self.audit = audit
        self.store = store
        self.pool = pool
        self.refusedPINs = refusedPINs
        self.service = service
        self.slowest = slowest
        self.traces = traces
        self.credentials = credentials
        self.blocks = blocks
        self.offered = offered
        self.neighbours = neighbours
        self.group = group
        self.logger = logger
        self.incarnation = incarnation
        status = PoolStatusSource(
            node: settings.node, pool: pool, store: store, neighbours: neighbours, blocks: blocks,
            keyStores: plan.keyStores, log: log, descriptors: plan.descriptors, metrics: metrics,
            credentials: credentials, keyUses: keyUses)
        self.log = log
        trail = RefusalTrail(log.refusals, log.repeated, logger: logger)
        conditions = ConditionTrail(status, bell: bell, logger: logger)
        connect(keyUses, settings)
        apply(plan)
        trail.start()
        conditions.start()
    }

    /// Lets those who report ask those who know.
    private func connect(_ keyUses: KeyUseBook, _ settings: NodeSettings) {
        status.count(requestsInFlight: { [weak service] in service?.requestsInFlight ?? 0 })
        status.count(traces: { [weak traces] in traces?.counts })
        status.count(quotas: { [weak service] in service?.quotaCounts().map { QuotaStatus($0) } ?? [] })
        credentials.observe(
            uses: { [weak service] in service?.credentialUses() ?? [:] },
            peers: { [weak neighbours] in
                neighbours?.members.compactMap { member in
                    member.facts?.credentials.map { (member.identity.name, $0) }
                } ?? []
            })
        status.show(audit)
        if let audit {
            neighbours.onNewCertificates { [weak audit] in audit?.keyChanged(settings) }
        }
        keyUses.observe { [weak neighbours] in
            neighbours?.members.compactMap { member in member.facts?.keyUses.map { (member.identity.name, $0) } } ?? []
        }
    }

    /// To be called before workers are started by this one.
    func expect(_ plan: NodePlan) { refusedPINs.use(plan.pinMarks) }

    /// Informs everybody who shows or compares the configuration about this one.
    func apply(_ plan: NodePlan) {
        setLogLevel(plan.settings.node.logLevel)
        log.setFormat(plan.settings.node.logFormat)
        status.serve(plan)
        controlProtection.replace(context: plan.control.context, token: plan.control.token)
        offered.serve(plan.keyStores.map(\.keyStore))
        credentials.serve(plan.settings.keyStores)
        neighbours.configured(plan)
        traces.send(to: plan.tracing?.destination)
    }

    /// Logs nothing below this level, one of `NodeIdentitySettings.logLevels`. Returns the one before.
    @discardableResult
    func setLogLevel(_ name: String) -> String {
        let before = log.level.current
        if let level = Logger.Level(rawValue: name) { log.level.set(level) }
        return before.rawValue
    }

    /// The last lines of the log, the oldest first.
    var logTail: [String] { log.tail }

    /// Closes the audit log, once. Requests that come later are refused.
    func closeAudit() async {
        guard let audit else { return }
        let isClosed = await withCheckedContinuation { continuation in
            Patience.detach { continuation.resume(returning: audit.close()) }
        }
        guard !isClosed else { return }
        logger.warning(
            "the audit log was not closed in time: its disk is slow; what was not on it yet may be lost",
            metadata: ["directory": "\(audit.directory)"])
    }

    /// Ends the workers, closes the store, and ends the event loops: last of all.
    func stop() async {
        blocks.stop()
        trail.stop()
        conditions.stop()
        await traces.stop()
        await pool.stop()
        await closeAudit()
        refusedPINs.flush()
        if !store.close() {
            logger.warning(
                "the store was not closed in time: its disk is slow; what was not on it yet may be lost",
                metadata: ["seconds": "\(NodeStore.closeSeconds)"])
        }
        try? await group.shutdownGracefully()
    }
}

extension NodeStore {
    /// Counts this start: each has an incarnation of its own, greater than those before. It is not below the time, so
    /// that a node whose store was lost, put back or could not be written mostly goes beyond what it was; where it does
    /// not, its peers say.
    fileprivate func beginIncarnation(of node: String) -> UInt64 {
        let incarnation = max((nodes().first { $0.id == node }?.incarnation ?? 0) &+ 1, time(nil))
        let process = ProcessIdentity.current
        record(
            node: StoredNode(
                id: node, incarnation: incarnation, pid: Int(process.pid),
                processStart: Int(clamping: process.startTicks), startedUnixSeconds: Int(time(nil)),
                version: Product.version))
        return UInt64(clamping: incarnation)
    }
}

extension MultiThreadedEventLoopGroup {
    /// So many event loops; without a number, one less than the processors that this process may use: the lanes of the
    /// workers, the kernel and the log want one too (docs/internals/decisions/0018).
    ///
    /// With SCHED_BATCH, as the workers' lanes have: a loop that is at work is not interrupted for each lane that
    /// answers, so more is done per turn (docs/internals/decisions/0004).
    fileprivate static func forRequests(loops: Int?) -> MultiThreadedEventLoopGroup {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: loops ?? max(System.coreCount - 1, 1))
        for loop in group.makeIterator() { loop.execute { _ = claviger_use_batch_scheduling() } }
        return group
    }
}

extension ServiceClocks {
    fileprivate static let system = ServiceClocks(
        monotonic: { claviger_monotonic_nanoseconds() }, wall: { Int64(time(nil)) })
}

/// The key stores and keys that this node offers, for whoever is informed of what an order hits.
final class BlockScopes: Sendable {
    private let pool: HSMPool
    private let keyStores = Mutex<[KeyStore]>([])

    init(pool: HSMPool) { self.pool = pool }

    func serve(_ new: [KeyStore]) { keyStores.withLock { $0 = new } }

    func scope(of target: BlockTarget) -> BlockScope {
        BlockScope(of: target, keyStores: keyStores.withLock { $0 }, labels: pool.keys().map(\.label.text))
    }
}

/// Informed one after the other.
private struct RequestObservers: RequestObserver {
    private let log: RequestLog
    private let metrics: RequestMetrics
    private let slowest: SlowestRequests
    private let traces: TraceExporter

    init(_ log: RequestLog, _ metrics: RequestMetrics, _ slowest: SlowestRequests, _ traces: TraceExporter) {
        self.log = log
        self.metrics = metrics
        self.slowest = slowest
        self.traces = traces
    }

    func answered(_ trace: RequestTrace) {
        if !trace.isDiagnostic { metrics.answered(trace) }
        slowest.answered(trace)
        traces.answered(trace)
        log.answered(trace)
    }
}

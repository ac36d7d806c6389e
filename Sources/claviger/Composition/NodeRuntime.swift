// SPDX-License-Identifier: Apache-2.0
import CPlatform
import ControlPlane
import Glibc
import HSMPool
import Logging
import NIOCore
import NIOPosix
import NodeConfig
import NodeStore
import Observability
import Routing
import XKSListener
import XKSService

/// A running node: store, pool, service and the listeners, joined.
final class NodeRuntime: Sendable {
    /// How long requests in flight may take to finish when the node is told to stop.
    static let grace = TimeAmount.seconds(15)

    let pool: HSMPool
    let listener: XKSListener
    let control: ControlServer
    /// Where the control listener answers, for example `http://127.0.0.1:8080`.
    let controlURL: String
    private let admin: AdminListener
    private let store: NodeStore
    private let status: PoolStatusSource
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger

    private init(
        pool: HSMPool, listener: XKSListener, control: ControlServer, controlURL: String, admin: AdminListener,
        store: NodeStore, status: PoolStatusSource, group: MultiThreadedEventLoopGroup, logger: Logger
    ) {
        self.admin = admin
        self.store = store
        self.pool = pool
        self.listener = listener
        self.control = control
        self.controlURL = controlURL
        self.status = status
        self.group = group
        self.logger = logger
    }

    /// Reads what the configuration points at, starts the workers, and listens. Returns as soon as it listens: HSMs
    /// come up in their own time (`pool.settled()`).
    static func start(_ configuration: NodeConfiguration, log: NodeLog) async throws -> NodeRuntime {
        let settings = configuration.settings
        let translation = Translation(
            secrets: SecretReader(taking: settings.secretVariables), now: Int64(time(nil)))
        var findings = Findings(configuration)
        let poolSettings = translation.pool(&findings)
        let serviceSettings = translation.service(&findings)
        let listenerSettings = translation.listener(&findings)
        for warning in findings.warnings { log.logger.warning("configuration", metadata: ["warning": "\(warning)"]) }
        if let error = findings.error { throw error }
        guard let listenerSettings else { throw ConfigurationProblems(file: configuration.file, problems: []) }

        let group = MultiThreadedEventLoopGroup.threadPerCore()
        let hsmNames = settings.hsms.map(\.name)
        let store = openStore(settings.node, logger: log.logger)
        let pool = HSMPool(
            settings: poolSettings, journal: StoreJournal(store: store, hsms: hsmNames), group: group,
            logger: log.logger)
        let service = try XKSService(
            settings: serviceSettings, pool: pool, observer: RequestLogAdapter(log: log.requests), clocks: .system)
        pool.start()
        do {
            let listener = try await XKSListener.start(
                configuration: listenerSettings, handler: service, group: group, logger: log.logger)
            let status = PoolStatusSource(
                node: settings.node, pool: pool, store: store, keyStores: serviceSettings.keyStores,
                hsmNames: hsmNames)
            let address = settings.control.listen
            let control = try await ControlServer.start(
                host: address.host, port: address.port, source: status, logger: log.logger)
            let bound = NodeConfig.ListenAddress(host: address.host, port: control.port)
            let admin = AdminListener(
                stateDirectory: settings.node.stateDirectory,
                administration: PoolAdministration(pool: pool, store: store, source: status, hsmNames: hsmNames),
                logger: log.logger)
            admin.start()
            return NodeRuntime(
                pool: pool, listener: listener, control: control, controlURL: "http://\(bound)", admin: admin,
                store: store, status: status, group: group, logger: log.logger)
        } catch {
            await pool.stop()
            store.close()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// Finishes what is in flight and ends everything, workers last.
    func stop() async {
        status.drain()
        logger.notice("stopping", metadata: ["grace_s": "\(Self.grace.nanoseconds / 1_000_000_000)"])
        await listener.shutdown(gracePeriod: Self.grace)
        await control.stop()
        await admin.stop()
        await pool.stop()
        store.close()
        try? await group.shutdownGracefully()
        logger.notice("stopped")
    }
}

extension NodeRuntime {
    /// The node serves with or without its store, and says when it cannot be used.
    private static func openStore(_ node: NodeIdentitySettings, logger: Logger) -> NodeStore {
        let store = NodeStore.open(directory: node.stateDirectory) { health in
            switch health {
            case .ok: logger.notice("store works again")
            case .failing(let reason, _): logger.error("store fails", metadata: ["reason": "\(reason)"])
            }
        }
        let before = store.nodes().first { $0.id == node.id }?.incarnation ?? 0
        let process = ProcessIdentity.current
        store.record(
            node: StoredNode(
                id: node.id, incarnation: before &+ 1, pid: Int(process.pid),
                processStart: Int(clamping: process.startTicks), startedUnixSeconds: Int(time(nil)),
                version: Product.version))
        return store
    }
}

extension MultiThreadedEventLoopGroup {
    /// One event loop for each processor that this process may use.
    ///
    /// With SCHED_BATCH, as the workers' lanes have: a loop that is at work is not interrupted for each lane that
    /// answers, so more is done per turn (docs/internals/decisions/0004).
    fileprivate static func threadPerCore() -> MultiThreadedEventLoopGroup {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        for loop in group.makeIterator() { loop.execute { _ = claviger_use_batch_scheduling() } }
        return group
    }
}

extension ServiceClocks {
    fileprivate static let system = ServiceClocks(
        monotonic: { claviger_monotonic_nanoseconds() }, wall: { Int64(time(nil)) })
}

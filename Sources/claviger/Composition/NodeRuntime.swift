// SPDX-License-Identifier: Apache-2.0
import CPlatform
import ControlPlane
import Glibc
import HSMPool
import Logging
import NIOCore
import NIOPosix
import NodeConfig
import Observability
import Routing
import XKSListener
import XKSService

/// A running node: pool, service, listener and control listener, joined.
final class NodeRuntime: Sendable {
    /// How long requests in flight may take to finish when the node is told to stop.
    static let grace = TimeAmount.seconds(15)

    let pool: HSMPool
    let listener: XKSListener
    let control: ControlServer
    /// Where the control listener answers, for example `http://127.0.0.1:8080`.
    let controlURL: String
    private let status: PoolStatusSource
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger

    private init(
        pool: HSMPool, listener: XKSListener, control: ControlServer, controlURL: String, status: PoolStatusSource,
        group: MultiThreadedEventLoopGroup, logger: Logger
    ) {
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
        let pool = HSMPool(settings: poolSettings, group: group, logger: log.logger)
        let service = try XKSService(
            settings: serviceSettings, pool: pool, observer: RequestLogAdapter(log: log.requests), clocks: .system)
        pool.start()
        do {
            let listener = try await XKSListener.start(
                configuration: listenerSettings, handler: service, group: group, logger: log.logger)
            let status = PoolStatusSource(node: settings.node, pool: pool)
            let address = settings.control.listen
            let control = try await ControlServer.start(
                host: address.host, port: address.port, source: status, logger: log.logger)
            let bound = NodeConfig.ListenAddress(host: address.host, port: control.port)
            return NodeRuntime(
                pool: pool, listener: listener, control: control, controlURL: "http://\(bound)", status: status,
                group: group, logger: log.logger)
        } catch {
            await pool.stop()
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
        await pool.stop()
        try? await group.shutdownGracefully()
        logger.notice("stopped")
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
        monotonic: {
            var now = timespec()
            clock_gettime(CLOCK_MONOTONIC, &now)
            return UInt64(clamping: now.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: now.tv_nsec)
        },
        wall: { Int64(time(nil)) })
}

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import CPlatform
import Cluster
import ControlPlane
import Glibc
import HSMPool
import Logging
import NIOCore
import NIOPosix
import NodeConfig
import NodeStore
import Observability
import XKSListener
import XKSService

/// A running node: store, pool, service, cluster and the listeners, joined.
final class NodeRuntime: Sendable {
    /// How long requests in flight may take to finish when the node is told to stop.
    static let grace = TimeAmount.seconds(15)

    let parts: NodeParts
    let listener: XKSListener
    let control: ControlServer
    /// Where the control listener answers, for example `http://127.0.0.1:8080`.
    let controlURL: String
    private let admin: AdminListener
    private let cluster: ClusterService?
    private let reloader: NodeReloader
    private let drainDelay: Duration

    var pool: HSMPool { parts.pool }

    private init(
        parts: NodeParts, listener: XKSListener, control: ControlServer, controlURL: String, admin: AdminListener,
        cluster: ClusterService?, reloader: NodeReloader, drainDelay: Duration
    ) {
        self.parts = parts
        self.listener = listener
        self.control = control
        self.controlURL = controlURL
        self.admin = admin
        self.cluster = cluster
        self.reloader = reloader
        self.drainDelay = drainDelay
    }

    /// Reads what the configuration points at, starts the workers, and listens. Returns as soon as it listens: HSMs
    /// come up in their own time (`pool.settled()`).
    static func start(
        _ configuration: NodeConfiguration, log: NodeLog, signals: NodeSignals
    ) async throws -> NodeRuntime {
        let secrets = SecretReader(taking: configuration.settings.secretVariables)
        let plan = try NodePlan(configuration, secrets: secrets, logger: log.logger)
        let parts = try NodeParts(plan, log: log)
        parts.pool.start()
        do {
            return try await listen(plan, parts, secrets: secrets, signals: signals)
        } catch {
            await parts.stop()
            throw error
        }
    }

    private static func listen(
        _ plan: NodePlan, _ parts: NodeParts, secrets: SecretReader, signals: NodeSignals
    ) async throws -> NodeRuntime {
        let settings = plan.settings
        let listener = try await XKSListener.start(
            configuration: plan.listener, handler: parts.service, group: parts.group, logger: parts.logger)
        let cluster = try await startCluster(settings, parts)
        let address = settings.control.listen
        let control = try await ControlServer.start(
            host: address.host, port: address.port, source: parts.status, logger: parts.logger)
        let reloader = NodeReloader(
            plan: plan, secrets: secrets, parts: parts, listener: listener, cluster: cluster)
        let admin = AdminListener(
            stateDirectory: settings.node.stateDirectory,
            administration: Administration(parts: parts, reloader: reloader, signals: signals),
            logger: parts.logger)
        admin.start()
        let bound = NodeConfig.ListenAddress(host: address.host, port: control.port)
        return NodeRuntime(
            parts: parts, listener: listener, control: control, controlURL: "http://\(bound)", admin: admin,
            cluster: cluster, reloader: reloader, drainDelay: settings.node.drainDelay)
    }

    private static func startCluster(_ settings: NodeSettings, _ parts: NodeParts) async throws -> ClusterService? {
        guard let table = settings.cluster else { return nil }
        let cluster = try await ClusterService.start(
            settings: ClusterSettings(settings.node, table, xks: settings.xks),
            incarnation: parts.incarnation, memory: ClusterMemory(parts.store, now: Int64(time(nil))),
            delegate: parts.neighbours,
            logger: parts.logger)
        parts.neighbours.joined(cluster)
        return cluster
    }

    /// Reads the configuration anew; says in the log, and to the caller, what came of it.
    func reload() async -> AdminAnswer { await reloader.reload() }

    /// Says goodbye, finishes what is in flight and ends everything, workers last.
    func stop() async {
        parts.status.drain()
        parts.neighbours.drain()
        parts.logger.notice("stopping", metadata: ["grace_s": "\(Self.grace.nanoseconds / 1_000_000_000)"])
        // Load balancers look at /readyz every second or so; until they have seen it, new requests still come here.
        try? await Task.sleep(for: drainDelay)
        await listener.shutdown(gracePeriod: Self.grace)
        // Orders wait for this node until its last request has been answered; after this they do not.
        await cluster?.leave()
        await control.stop()
        await admin.stop()
        await cluster?.stop()
        await parts.stop()
        parts.logger.notice("stopped")
    }
}

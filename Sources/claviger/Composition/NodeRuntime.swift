// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain
import CPlatform
import Cluster
import Conditions
import ControlPlane
import Glibc
import HSMPool
import HostLimits
import Logging
import NIOCore
import NIOPosix
import NodeConfig
import NodeStore
import Observability
import XKSListener
import XKSService

/// A listener that cannot be had: which setting, which address, why, and what mends it.
private struct StartProblem: Error, CustomStringConvertible {
    var setting: String
    var address: String
    var cause: String

    /// The error, with its setting where it is one of listening.
    static func named(_ error: any Error) -> any Error {
        if let error = error as? ListenerStartError, case .cannotListen(let address, let cause) = error {
            let address = NodeConfig.ListenAddress(host: address.host, port: address.port)
            return StartProblem(setting: "xks.listen", address: "\(address)", cause: cause)
        }
        if let error = error as? ClusterError, case .cannotListen(let address, let cause) = error {
            return StartProblem(setting: "cluster.listen", address: address, cause: cause)
        }
        return error
    }

    var description: String { "\(setting): cannot listen on \(address): \(cause)" }
}

/// A running node: store, pool, service, cluster and the listeners, joined.
final class NodeRuntime: Sendable {
    /// How long requests in flight may take to finish when the node is asked to stop.
    static let grace = TimeAmount.seconds(15)

    let components: NodeComponents
    let listener: XKSListener
    let control: ControlServer
    /// Where the control listener answers, for example `http://127.0.0.1:8080`.
    let controlURL: String
    private let admin: AdminListener
    private let cluster: ClusterService?
    private let reloader: NodeReloader
    private let drainDelay: Duration

    var pool: HSMPool { components.pool }

    private init(
        components: NodeComponents, listener: XKSListener, control: ControlServer, controlURL: String,
        admin: AdminListener,
        cluster: ClusterService?, reloader: NodeReloader, drainDelay: Duration
    ) {
        self.components = components
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
        let components = try NodeComponents(plan, log: log)
        do {
            let node = try await listen(plan, components, secrets: secrets, signals: signals)
            Supervisor.shared.ready(components.group)
            return node
        } catch {
            await components.stop()
            throw error
        }
    }

    private static func listen(
        _ plan: NodePlan, _ components: NodeComponents, secrets: SecretReader, signals: NodeSignals
    ) async throws -> NodeRuntime {
        let settings = plan.settings
        // Every port before the first login: a start that fails on a port spends no try of a PIN, and leaves what the store
        // says of the node that has the port as it is. Who asks meanwhile waits for the workers.
        components.pool.expect()
        let listener: XKSListener
        do {
            listener = try await XKSListener.start(
                configuration: plan.listener, handler: components.service, refusals: components.refusals,
                observer: components.requestLog, group: components.group, logger: components.logger)
        } catch {
            throw StartProblem.named(error)
        }
        let cluster = try await startCluster(plan, components)
        components.status.observe(listener, components.controlProtection, cluster)
        let address = settings.control.listen
        let control: ControlServer
        do {
            control = try await ControlServer.start(
                host: address.host, port: address.port, source: components.status,
                page: try LiveStatusPage(look: components.status.snapshot), protection: components.controlProtection,
                logger: components.logger, connections: plan.descriptors.control, refusals: components.refusals)
        } catch {
            let cause = "\(ListenFailure(error, port: address.port))"
            throw StartProblem(setting: "control.listen", address: "\(address)", cause: cause)
        }
        components.pool.start()
        let reloader = NodeReloader(
            plan: plan, secrets: secrets, components: components, listener: listener, cluster: cluster)
        let admin = AdminListener(
            stateDirectory: settings.node.stateDirectory,
            administration: Administration(components: components, reloader: reloader, signals: signals),
            group: settings.node.adminGroup, recorder: components.audit, connections: plan.descriptors.admin,
            refusals: components.refusals,
            logger: components.logger)
        admin.start()
        components.status.show(
            [.xks(listener), .control(control, plan.memory), .admin(admin, plan.memory)]
                + (cluster.map { [.cluster($0, plan.memory)] } ?? []))
        let clock = components.service.signedClock
        components.status.know {
            let signed = clock.facts(now: claviger_monotonic_nanoseconds())
            return NodeCircumstances(
                adminSocket: admin.problem, adminGroup: admin.groupProblem, seeds: cluster?.seedTroubles ?? [:],
                certificates: [cluster?.certificate?.flaw(now: Int64(time(nil)))].compactMap(\.self),
                certificateEnds: cluster?.certificate.map { ["cluster.certificate": $0.notAfter] } ?? [:],
                clock: ClockFacts(
                    peers: cluster?.clockOffsets ?? [:], tolerated: signed.tolerated, beyond: signed.beyond))
        }
        let bound = NodeConfig.ListenAddress(host: address.host, port: control.port)
        let scheme = plan.control.context == nil ? "http" : "https"
        return NodeRuntime(
            components: components, listener: listener, control: control, controlURL: "\(scheme)://\(bound)",
            admin: admin,
            cluster: cluster, reloader: reloader, drainDelay: settings.node.drainDelay)
    }

    private static func startCluster(_ plan: NodePlan, _ components: NodeComponents) async throws
        -> ClusterService?
    {
        let settings = plan.settings
        guard let table = settings.cluster else { return nil }
        let cluster: ClusterService
        do {
            cluster = try await ClusterService.start(
                settings: ClusterSettings(
                    settings.node, table, xks: settings.xks, connections: plan.descriptors.cluster,
                    unknownConnections: plan.descriptors.unknownPeers),
                incarnation: components.incarnation, memory: ClusterMemory(components.store, now: Int64(time(nil))),
                delegate: components.neighbours, refusals: components.refusals,
                logger: components.logger)
        } catch {
            throw StartProblem.named(error)
        }
        components.neighbours.joined(cluster)
        return cluster
    }

    /// Reads the configuration anew; says in the log, and to the caller, what came of it.
    func reload() async -> AdminAnswer { await reloader.reload() }

    /// What a signal other than that to stop means.
    func heed(_ signal: NodeSignal) async {
        switch signal {
        case .stop: break
        // Not waited for: a file that takes its time keeps nobody from stopping the node.
        case .reload:
            reloader.reloadSoon()
            components.audit?.record(AuditedOrder(words: "reload", user: "signal", status: 202))
        case .stray(let name): components.logger.notice("signal ignored", metadata: ["signal": "\(name)"])
        }
    }

    /// Says goodbye, finishes what is in flight and ends everything, workers last.
    func stop() async {
        Supervisor.shared.stopping()
        components.status.drain()
        components.neighbours.drain()
        components.audit?.record(AuditedOrder(words: "stop", user: "signal", status: 202))
        components.logger.notice("stopping", metadata: ["grace_s": "\(Self.grace.nanoseconds / 1_000_000_000)"])
        // Load balancers look at /readyz every second or so; until they have seen it, new requests still come here.
        try? await Task.sleep(for: drainDelay)
        await listener.shutdown(gracePeriod: Self.grace)
        // Orders wait for this node until its last request has been answered; after this they do not.
        await cluster?.leave()
        await control.stop()
        await admin.stop()
        // Nothing comes any more that is to be recorded: peers are told where the log ends.
        await components.closeAudit()
        await cluster?.auditEnded()
        await cluster?.stop()
        Supervisor.shared.stopWatching()
        await components.stop()
        components.logger.notice("stopped")
    }
}

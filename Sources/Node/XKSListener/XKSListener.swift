// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Glibc
import HostLimits
import Logging
import NIOCore
import NIOPosix
import TLSFacts
import TLSLinks
import XKSProtocol

/// The listener could not be started.
package enum ListenerStartError: Error, CustomStringConvertible {
    case configuration(ListenerConfigurationError)
    /// The TLS library did not accept certificates that were found to be good.
    case tls(cause: String)
    case cannotListen(address: ListenAddress, cause: String)

    package var description: String {
        switch self {
        case .configuration(let error): error.description
        case .tls(let cause): "TLS cannot be set up: \(cause)"
        case .cannotListen(let address, let cause): "cannot listen on \(address.host):\(address.port): \(cause)"
        }
    }
}

/// The data plane: accepts connections of KMS, makes whole and bounded requests of their bytes, and writes answers.
///
/// It believes nothing and knows nothing of the API: authentication and everything after it is the handler's.
/// - Start it with ``start(configuration:handler:group:logger:)``.
/// - Change certificates with ``replaceTLS(_:)``; connections go on.
/// - End it with ``shutdown(gracePeriod:)``.
package final class XKSListener: Sendable {
    /// The addresses in use, in the order of the configuration, with the ports that the system chose.
    package let addresses: [ListenAddress]

    private let servers: [any Channel]
    private let tables: [NIOLoopBound<ConnectionTable>]
    private let loopTraffic: [LoopTraffic]
    private let admission: Admission
    private let tls: TLSContextHolder?
    private let linkTally: LinkTally
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    /// For clients that have to go.
    private let patience: TimeAmount

    private init(
        servers: [any Channel], setup: ListenerSetup, group: MultiThreadedEventLoopGroup, logger: Logger
    ) {
        self.servers = servers
        self.addresses = servers.map { server in
            ListenAddress(host: server.localAddress?.ipAddress ?? "", port: server.localAddress?.port ?? 0)
        }
        self.tables = Array(setup.tables.values)
        self.loopTraffic = setup.traffic
        self.admission = setup.admission
        self.tls = setup.tls
        self.linkTally = setup.links
        self.group = group
        self.logger = logger
        patience = .milliseconds(Int64(setup.configuration.timeouts.linger))
    }

    /// What has happened so far.
    package var statistics: ListenerStatistics { admission.statistics }

    /// Bytes that all connections have received and sent since the start, TLS included, without TCP and IP.
    package var traffic: (received: UInt64, sent: UInt64) {
        loopTraffic.reduce((0, 0)) { ($0.0 &+ $1.received, $0.1 &+ $1.sent) }
    }

    /// Tells the round trip to each client that has authenticated, nanoseconds, as the kernel has it; on the event loops.
    package func measureRoundTrips(_ sink: @escaping @Sendable (UInt64) -> Void) {
        for table in tables { table.eventLoop.execute { table.value.measureRoundTrips(sink) } }
    }

    /// How many connections live, by what their handshakes have agreed on.
    package var links: [HandshakeFacts: Int] { linkTally.connections }
    /// Who holds connections, and how much.
    package var budget: ConnectionBudget { admission.budget }

    /// Listens on all addresses, or on none: when one fails, those before it are closed again.
    ///
    /// - Parameters:
    ///   - refusals: counts whom this listener turns away.
    ///   - observer: hears of the requests that it refuses itself, on the event loops.
    package static func start(
        configuration: ListenerConfiguration, handler: any ProxyRequestHandler,
        refusals: RefusalCounter = RefusalCounter { Int64(time(nil)) }, observer: (any RefusalObserver)? = nil,
        group: MultiThreadedEventLoopGroup,
        logger: Logger
    ) async throws(ListenerStartError) -> XKSListener {
        do throws(ListenerConfigurationError) {
            try configuration.validate()
        } catch {
            throw .configuration(error)
        }
        let setup = try await ListenerSetup.make(
            configuration: configuration, handler: handler, refusals: refusals, observer: observer, group: group,
            logger: logger)
        let bootstrap = setup.bootstrap(group: group)
        var servers: [any Channel] = []
        for address in configuration.addresses {
            do {
                servers.append(try await bootstrap.bind(host: address.host, port: address.port).get())
            } catch {
                for server in servers { try? await server.close().get() }
                for table in setup.tables.values { table.eventLoop.execute { table.value.stop() } }
                throw .cannotListen(address: address, cause: "\(ListenFailure(error, port: address.port))")
            }
        }
        let listener = XKSListener(servers: servers, setup: setup, group: group, logger: logger)
        for address in listener.addresses {
            logger.info(
                "XKS listener started",
                metadata: [
                    "host": "\(address.host)", "port": "\(address.port)",
                    "transport": "\(setup.tls == nil ? "plaintext" : "tls")",
                ])
        }
        return listener
    }

    /// What has come of other certificates.
    package enum TLSReplacement: Sendable, Equatable {
        /// The listener has no TLS.
        case none
        /// New connections use them.
        case replaced
        /// Others are let in than before, so that many connections of earlier clients are ended.
        case replacedForClients(ending: Int)
    }

    /// Uses other certificates for new connections. Where whom to let in has changed, the connections of earlier clients
    /// are ended as in `shutdown`, and cut off after the linger time.
    @discardableResult
    package func replaceTLS(_ material: TLSMaterial) throws(ListenerStartError) -> TLSReplacement {
        guard let tls else { return .none }
        let generation: Int?
        do {
            generation = try tls.replace(by: material)
        } catch {
            throw .tls(cause: "\(error)")
        }
        guard let generation else { return .replaced }
        let ended = admission.statistics.connections
        let patience = patience
        for table in tables {
            table.eventLoop.execute { table.value.retire(before: generation, patience: patience) }
        }
        return .replacedForClients(ending: ended)
    }

    /// Stops accepting, lets requests in flight finish, has clients go elsewhere (`Connection: close`, GOAWAY),
    /// and returns when every connection is closed. What is still open after `gracePeriod` is cut off.
    package func shutdown(gracePeriod: TimeAmount) async {
        for server in servers { try? await server.close().get() }
        for table in tables { table.eventLoop.execute { table.value.drain() } }
        let empty = group.any().makePromise(of: Void.self)
        admission.whenEmpty(empty)
        let tables = tables
        let cut = group.any().scheduleTask(in: gracePeriod) {
            for table in tables { table.eventLoop.execute { table.value.abort() } }
        }
        try? await empty.futureResult.get()
        cut.cancel()
        for table in tables { table.eventLoop.execute { table.value.stop() } }
        logger.info("XKS listener stopped")
    }
}

// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Glibc
import HostLimits
import Logging
import NIOCore
import NIOPosix
import TLSLinks
import XKSProtocol

/// Everything that new connections are made from.
struct ListenerSetup: Sendable {
    let configuration: ListenerConfiguration
    let handler: any ProxyRequestHandler
    let logger: Logger
    let admission: Admission
    let tls: TLSContextHolder?
    /// What the handshakes of live connections have agreed on.
    let links = LinkTally()
    /// One table for each event loop.
    let tables: [ObjectIdentifier: NIOLoopBound<ConnectionTable>]
    /// What each of them counts.
    let traffic: [LoopTraffic]

    static func make(
        configuration: ListenerConfiguration, handler: any ProxyRequestHandler, refusals: RefusalCounter,
        observer: (any RefusalObserver)?, group: MultiThreadedEventLoopGroup, logger: Logger
    ) async throws(ListenerStartError) -> ListenerSetup {
        do {
            let tls: TLSContextHolder?
            switch configuration.transport {
            case .tls(let material): tls = TLSContextHolder(try TLSContext(material))
            case .plaintext: tls = nil
            }
            let interval = configuration.timeouts.sweepIntervalMilliseconds
            var tables: [ObjectIdentifier: NIOLoopBound<ConnectionTable>] = [:]
            var traffic: [LoopTraffic] = []
            for eventLoop in group.makeIterator() {
                let (table, counts) = try await eventLoop.submit {
                    let table = ConnectionTable(eventLoop: eventLoop, sweepIntervalMilliseconds: interval)
                    table.start()
                    return (NIOLoopBound(table, eventLoop: eventLoop), table.traffic)
                }.get()
                tables[ObjectIdentifier(eventLoop)] = table
                traffic.append(counts)
            }
            return ListenerSetup(
                configuration: configuration, handler: handler, logger: logger,
                admission: Admission(limits: configuration.limits, refusals: refusals, observer: observer), tls: tls,
                tables: tables, traffic: traffic)
        } catch {
            throw .tls(cause: "\(error)")
        }
    }

    func bootstrap(group: MultiThreadedEventLoopGroup) -> ServerBootstrap {
        let tcp = configuration.tcp
        let logger = logger
        var bootstrap = ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptPauseHandler(logger: logger))
                }
            }
            .serverChannelOption(.backlog, value: Int32(clamping: tcp.backlog))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // Handlers ask for each read, and get one buffer: that bounds what a connection holds unread.
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 8_192))
            // Above the high mark the next request has to wait until the client has read what is written.
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 1, high: 65_536))
        if tcp.keepAlive {
            bootstrap =
                bootstrap
                .childChannelOption(.socketOption(.so_keepalive), value: 1)
                .childChannelOption(.tcpOption(.init(rawValue: TCP_KEEPIDLE)), value: .init(tcp.keepAliveIdle))
                .childChannelOption(.tcpOption(.init(rawValue: TCP_KEEPINTVL)), value: .init(tcp.keepAliveInterval))
                .childChannelOption(.tcpOption(.init(rawValue: TCP_KEEPCNT)), value: .init(tcp.keepAliveCount))
        }
        return bootstrap.childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try initialize(channel) }
        }
    }

    /// A throw closes the connection.
    private func initialize(_ channel: any Channel) throws {
        guard let table = tables[ObjectIdentifier(channel.eventLoop)] else { throw ConnectionRefused() }
        let remote = channel.remoteAddress
        let address = NetworkAddress(remote)
        let isBalanced = address.map { address in configuration.balancers.contains { $0.contains(address) } } ?? false
        let tls = tls?.context
        guard
            let client = ClientConnection(
                channel: channel, address: address, peer: remote?.hostAndPort ?? "unknown", isBalancer: isBalanced,
                generation: tls?.generation ?? 0, admission: admission)
        else { throw ConnectionRefused() }
        try channel.pipeline.syncOperations.addHandler(TrafficHandler(client, table: table.value))
        let environment = ConnectionEnvironment(
            service: handler, limits: configuration.limits, timeouts: configuration.timeouts, admission: admission,
            table: table.value, links: links, logger: logger)
        guard isBalanced else { return try environment.addProtocol(to: channel, tls: tls, client: client) }
        try channel.pipeline.syncOperations.addHandler(
            ProxyHeaderHandler(environment: environment, client: client) { channel in
                try environment.addProtocol(to: channel, tls: tls, client: client)
            })
    }
}

/// One of the limits on connections is reached.
struct ConnectionRefused: Error {}

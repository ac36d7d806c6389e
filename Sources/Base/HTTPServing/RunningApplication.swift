// SPDX-License-Identifier: Apache-2.0
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

/// What one such server takes at most.
package struct HTTPServerLimits: Sendable {
    /// Connections at a time; further ones wait in the kernel's queue.
    package var connections: Int
    /// Bytes of all header fields of a request.
    package var headerBytes: Int
    /// How long a connection may be silent.
    package var idleTime: TimeAmount
    /// How long requests in flight may take once the server has been asked to stop.
    package var drainTime: Duration

    package init(
        connections: Int = 64, headerBytes: Int = 16 * 1024, idleTime: TimeAmount = .seconds(30),
        drainTime: Duration = .seconds(2)
    ) {
        self.connections = connections
        self.headerBytes = headerBytes
        self.idleTime = idleTime
        self.drainTime = drainTime
    }

    fileprivate var channel: HTTP1Channel.Configuration {
        HTTP1Channel.Configuration(
            idleTimeout: idleTime,
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: headerBytes, maxHeaderListSize: headerBytes, maxHeaderFieldCount: 100))
    }
}

/// A small HTTP server, from its start to its end: what the listeners for people, for the command line and for peers
/// share.
package final class RunningApplication: Sendable {
    /// Where it listens.
    package let address: SocketAddress?
    private let group: ServiceGroup
    private let running: Task<Void, any Error>

    private init(address: SocketAddress?, group: ServiceGroup, running: Task<Void, any Error>) {
        self.address = address
        self.group = group
        self.running = running
    }

    /// Binds and serves; returns when connections are accepted, and throws when the address cannot be bound.
    ///
    /// - Parameters:
    ///   - eventLoopGroup: where connections live; NIO's shared threads by default.
    ///   - wrap: makes of the channel for HTTP/1.1 the one that is used, for example one with TLS before it.
    package static func start<Context>(
        at address: BindAddress, limits: HTTPServerLimits = HTTPServerLimits(), logger: Logger,
        eventLoopGroup: (any EventLoopGroup)?,
        wrap: @escaping @Sendable (HTTP1Channel) -> any ServerChildChannel = { $0 },
        respond: @escaping @Sendable (Request, Context) async -> Response
    ) async throws -> RunningApplication
    where Context: RequestContext, Context.Source == ApplicationRequestContextSource {
        let (addresses, addressReport) = AsyncThrowingStream.makeStream(of: SocketAddress?.self)
        let application = Application(
            responder: CallbackResponder<Context> { request, context in await respond(request, context) },
            server: HTTPServerBuilder { wrap(HTTP1Channel(responder: $0, configuration: limits.channel)) },
            configuration: .init(
                address: address,
                availableConnectionsDelegate: MaximumAvailableConnections(limits.connections, logger: logger)),
            onServerRunning: { channel in addressReport.yield(channel.localAddress) },
            eventLoopGroupProvider: eventLoopGroup.map { .shared($0) } ?? .singleton,
            logger: logger)
        var configuration = ServiceGroupConfiguration(services: [application], logger: logger)
        configuration.maximumGracefulShutdownDuration = limits.drainTime
        let group = ServiceGroup(configuration: configuration)
        let running = Task {
            do {
                try await group.run()
                addressReport.finish()
            } catch {
                addressReport.finish(throwing: error)
                throw error
            }
        }
        for try await bound in addresses {
            return RunningApplication(address: bound, group: group, running: running)
        }
        throw CancellationError()
    }

    /// Accepts no more connections, lets requests in flight end (at most `HTTPServerLimits.drainTime`), and returns when
    /// all is closed.
    package func stop() async {
        await group.triggerGracefulShutdown()
        _ = await running.result
    }

    /// Returns when the server has been stopped; throws when it ended by itself.
    package func wait() async throws {
        try await running.value
    }
}

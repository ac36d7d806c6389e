// SPDX-License-Identifier: Apache-2.0
import CPlatform
import ConnectionLimits
import HostLimits
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// What one such server takes at most.
package struct HTTPServerLimits: Sendable {
    /// Connections at a time; a further one takes the place of the oldest that has asked for nothing.
    package var connections: Int
    /// Of these, connections at a time that are not known and have asked for nothing.
    package var unknownConnections: Int
    /// Bytes of all header fields of a request.
    package var headerBytes: Int
    /// How long a connection may take until it is known or its first whole request head has come, a TLS handshake included.
    package var headTime: TimeAmount
    /// How long a connection may be silent after that.
    package var idleTime: TimeAmount
    /// How long an answer may take, its reading by the client included, before its connection may be cut off for another.
    package var answerTime: TimeAmount
    /// How long requests in flight may take once the server has been asked to stop.
    package var drainTime: Duration

    package init(
        connections: Int = 64, unknownConnections: Int = .max, headerBytes: Int = 16 * 1024,
        headTime: TimeAmount = .seconds(5), idleTime: TimeAmount = .seconds(30), answerTime: TimeAmount = .seconds(10),
        drainTime: Duration = .seconds(2)
    ) {
        self.connections = connections
        self.unknownConnections = unknownConnections
        self.headerBytes = headerBytes
        self.headTime = headTime
        self.idleTime = idleTime
        self.answerTime = answerTime
        self.drainTime = drainTime
    }

    fileprivate var channel: HTTP1Channel.Configuration {
        HTTP1Channel.Configuration(
            idleTimeout: idleTime,
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: headerBytes, maxHeaderListSize: headerBytes, maxHeaderFieldCount: 100))
    }
}

/// On which threads a server works.
package enum HTTPServerThreads: Sendable {
    /// Everything on one thread of its own, of this name (at most 15 bytes): what answers must not block, and is delayed
    /// by nothing else in the process.
    case own(name: String)
    /// Connections on these; what answers, on the threads that all tasks share.
    case shared(any EventLoopGroup)
}

/// A small HTTP server, from its start to its end: what the listeners for people, for the command line and for peers
/// share.
package final class RunningApplication: Sendable {
    /// Where it listens.
    package let address: SocketAddress?
    package let connections: OpenConnections
    private let group: ServiceGroup
    private let running: Task<Void, any Error>

    private init(
        address: SocketAddress?, connections: OpenConnections, group: ServiceGroup, running: Task<Void, any Error>
    ) {
        self.address = address
        self.connections = connections
        self.group = group
        self.running = running
    }

    /// Binds and serves; returns when connections are accepted, and throws when the address cannot be bound.
    ///
    /// - Parameters:
    ///   - wrap: makes of the channel for HTTP/1.1 the one that is used, for example one with TLS before it, which says of whom
    ///     it knows.
    ///   - turnedAway: informed of each connection that is closed because there is no room, or because nothing comes.
    package static func start<Context>(
        at address: BindAddress, limits: HTTPServerLimits = HTTPServerLimits(), logger: Logger,
        threads: HTTPServerThreads,
        wrap: @escaping @Sendable (HTTP1Channel, OpenConnections) -> any ServerChildChannel = { channel, _ in channel },
        turnedAway: @escaping @Sendable (RefusalKind, SocketAddress?) -> Void = { _, _ in },
        respond: @escaping @Sendable (Request, Context) async -> Response
    ) async throws -> RunningApplication
    where Context: RequestContext, Context.Source == ApplicationRequestContextSource {
        let (addresses, addressReport) = AsyncThrowingStream.makeStream(of: SocketAddress?.self)
        let connections = OpenConnections(limits: limits, turnedAway: turnedAway)
        let place = Place(threads)
        let application = Application(
            responder: CallbackResponder<Context> { request, context in await respond(request, context) },
            server: HTTPServerBuilder { responder in
                let channel = HTTP1Channel(
                    responder: { request, writer, channel in
                        connections.asked(channel)
                        defer { connections.answered(channel) }
                        try await responder(request, writer, channel)
                    }, configuration: limits.channel)
                return counted(wrap(channel, connections), connections)
            },
            configuration: .init(address: address),
            onServerRunning: { channel in
                await pauseWhereNoDescriptorIsLeft(channel, logger)
                addressReport.yield(channel.localAddress)
            },
            eventLoopGroupProvider: .shared(place.group),
            logger: logger)
        var configuration = ServiceGroupConfiguration(services: [application], logger: logger)
        configuration.maximumGracefulShutdownDuration = limits.drainTime
        let group = ServiceGroup(configuration: configuration)
        let running = Task {
            let serving = Task(executorPreference: place.executor) { try await group.run() }
            let result = await serving.result
            await place.end()
            addressReport.finish(throwing: result.failure)
            try result.get()
        }
        for try await bound in addresses {
            return RunningApplication(address: bound, connections: connections, group: group, running: running)
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

    private static func counted(
        _ base: some ServerChildChannel, _ connections: OpenConnections
    ) -> any ServerChildChannel {
        CountedChannel(base: base, connections: connections)
    }

    /// Before all other handlers: an error that reaches those ends the server.
    private static func pauseWhereNoDescriptorIsLeft(_ channel: any Channel, _ logger: Logger) async {
        try? await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.addHandler(AcceptPauseHandler(logger: logger), position: .first)
        }.get()
    }
}

/// The threads of one server, for as long as it runs.
private struct Place {
    let group: any EventLoopGroup
    let executor: (any TaskExecutor)?
    private let isOwn: Bool

    init(_ threads: HTTPServerThreads) {
        switch threads {
        case .own(let name):
            group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            group.next().execute { _ = claviger_name_thread(name) }
            executor = EventLoopExecutor(group.next())
            isOwn = true
        case .shared(let group):
            self.group = group
            executor = nil
            isOwn = false
        }
    }

    func end() async {
        if isOwn { try? await group.shutdownGracefully() }
    }
}

extension Result {
    fileprivate var failure: Failure? {
        guard case .failure(let error) = self else { return nil }
        return error
    }
}

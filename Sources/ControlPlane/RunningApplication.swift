// SPDX-License-Identifier: Apache-2.0
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

/// A small HTTP server, from its start to its end: what the listeners for people and for the command line share.
final class RunningApplication: Sendable {
    /// Connections at a time; further ones wait in the kernel's queue.
    private static let maxConnections = 64
    /// Bytes of all header fields of a request.
    private static let maxHeaderBytes = 16 * 1024
    /// How long a connection may be silent.
    private static let idleTimeout = TimeAmount.seconds(30)
    /// How long requests in flight may take once the server has been told to stop.
    private static let drainTime = Duration.seconds(2)

    /// Where it listens.
    let address: SocketAddress?
    private let group: ServiceGroup
    private let running: Task<Void, any Error>

    private init(address: SocketAddress?, group: ServiceGroup, running: Task<Void, any Error>) {
        self.address = address
        self.group = group
        self.running = running
    }

    /// Binds and serves; returns when connections are accepted, and throws when the address cannot be bound.
    static func start(
        at address: BindAddress, logger: Logger, eventLoopGroup: (any EventLoopGroup)?,
        respond: @escaping @Sendable (Request) async -> Response
    ) async throws -> RunningApplication {
        let (addresses, addressReport) = AsyncThrowingStream.makeStream(of: SocketAddress?.self)
        let application = Application(
            responder: CallbackResponder<BasicRequestContext> { request, _ in await respond(request) },
            server: .http1(
                configuration: .init(
                    idleTimeout: idleTimeout,
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: maxHeaderBytes, maxHeaderListSize: maxHeaderBytes, maxHeaderFieldCount: 100)
                )),
            configuration: .init(
                address: address,
                availableConnectionsDelegate: MaximumAvailableConnections(maxConnections, logger: logger)),
            onServerRunning: { channel in addressReport.yield(channel.localAddress) },
            eventLoopGroupProvider: eventLoopGroup.map { .shared($0) } ?? .singleton,
            logger: logger)
        var configuration = ServiceGroupConfiguration(services: [application], logger: logger)
        configuration.maximumGracefulShutdownDuration = drainTime
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

    /// Accepts no more connections, lets requests in flight end (at most two seconds), and returns when all is closed.
    func stop() async {
        await group.triggerGracefulShutdown()
        _ = await running.result
    }

    /// Returns when the server has been stopped; throws when it ended by itself.
    func wait() async throws {
        try await running.value
    }
}

extension Response {
    /// An answer as it goes out. `HEAD` gets the header fields alone.
    init(_ answer: ControlAnswer, to method: String, allowed: String) {
        self.init(
            status: .init(code: answer.status),
            headers: [
                .contentType: answer.contentType, .cacheControl: "no-store", .contentLength: "\(answer.body.count)",
            ],
            body: method == "HEAD" ? .init() : .init(byteBuffer: ByteBuffer(bytes: answer.body)))
        if answer.status == 405 { headers[.allow] = allowed }
    }
}

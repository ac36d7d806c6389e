// SPDX-License-Identifier: Apache-2.0
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

/// The listener for people, load balancers and monitoring: plain HTTP, no authentication, and nothing that changes
/// anything. Bind it to the loopback address unless its network is trusted to know the HSMs' names and states.
package final class ControlServer: Sendable {
    /// Connections at a time; further ones wait in the kernel's queue.
    private static let maxConnections = 64
    /// Bytes of all header fields of a request.
    private static let maxHeaderBytes = 16 * 1024
    /// How long a connection may be silent.
    private static let idleTimeout = TimeAmount.seconds(30)
    /// How long requests in flight may take once the server has been told to stop.
    private static let drainTime = Duration.seconds(2)

    /// The port that it listens on, also where 0 was asked for.
    package let port: Int
    private let group: ServiceGroup
    private let running: Task<Void, any Error>

    private init(port: Int, group: ServiceGroup, running: Task<Void, any Error>) {
        self.port = port
        self.group = group
        self.running = running
    }

    /// Binds and serves; returns when connections are accepted, and throws when the address cannot be bound.
    ///
    /// - Parameters:
    ///   - host: an IPv4 or IPv6 address, or a host name.
    ///   - port: 0 for any free one.
    ///   - source: asked at each request, on any thread.
    ///   - eventLoopGroup: where connections live; NIO's shared threads by default.
    package static func start(
        host: String = "127.0.0.1", port: Int, source: any NodeStatusSource, logger: Logger,
        eventLoopGroup: (any EventLoopGroup)? = nil
    ) async throws -> ControlServer {
        let (ports, portReport) = AsyncThrowingStream.makeStream(of: Int.self)
        let application = Application(
            responder: CallbackResponder<BasicRequestContext> { request, _ in
                let method = request.method.rawValue
                return Self.response(
                    to: method, ControlAnswer.make(method: method, path: request.uri.path, source: source))
            },
            server: .http1(
                configuration: .init(
                    idleTimeout: idleTimeout,
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: maxHeaderBytes, maxHeaderListSize: maxHeaderBytes, maxHeaderFieldCount: 100)
                )),
            configuration: .init(
                address: .hostname(host, port: port),
                availableConnectionsDelegate: MaximumAvailableConnections(maxConnections, logger: logger)),
            onServerRunning: { channel in portReport.yield(channel.localAddress?.port ?? port) },
            eventLoopGroupProvider: eventLoopGroup.map { .shared($0) } ?? .singleton,
            logger: logger)
        var configuration = ServiceGroupConfiguration(services: [application], logger: logger)
        configuration.maximumGracefulShutdownDuration = drainTime
        let group = ServiceGroup(configuration: configuration)
        let running = Task {
            do {
                try await group.run()
                portReport.finish()
            } catch {
                portReport.finish(throwing: error)
                throw error
            }
        }
        for try await bound in ports {
            return ControlServer(port: bound, group: group, running: running)
        }
        throw CancellationError()
    }

    /// Accepts no more connections, lets requests in flight end (at most two seconds), and returns when all is closed.
    package func stop() async {
        await group.triggerGracefulShutdown()
        _ = await running.result
    }

    /// Returns when the server has been stopped; throws when it ended by itself.
    package func wait() async throws {
        try await running.value
    }

    private static func response(to method: String, _ answer: ControlAnswer) -> Response {
        var response = Response(
            status: .init(code: answer.status),
            headers: [
                .contentType: answer.contentType, .cacheControl: "no-store", .contentLength: "\(answer.body.count)",
            ],
            body: method == "HEAD" ? .init() : .init(byteBuffer: ByteBuffer(bytes: answer.body)))
        if answer.status == 405 { response.headers[.allow] = "GET, HEAD" }
        return response
    }
}

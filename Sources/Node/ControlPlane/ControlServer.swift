// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import HTTPServing
import Hummingbird
import Logging
import NIOCore

/// The listener for people, load balancers and monitoring: plain HTTP, no authentication, and nothing that changes
/// anything. Bind it to the loopback address unless its network is trusted to know the HSMs' names and states.
package final class ControlServer: Sendable {
    /// The port that it listens on, also where 0 was asked for.
    package let port: Int
    private let application: RunningApplication

    private init(port: Int, application: RunningApplication) {
        self.port = port
        self.application = application
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
        let application = try await RunningApplication.start(
            at: .hostname(host, port: port), logger: logger, eventLoopGroup: eventLoopGroup
        ) { (request, _: BasicRequestContext) in
            let method = request.method.rawValue
            let answer = ControlAnswer.make(method: method, path: request.uri.path, source: source)
            return Response(answer, to: method, allowed: "GET, HEAD")
        }
        return ControlServer(port: application.address?.port ?? port, application: application)
    }

    /// Accepts no more connections, lets requests in flight end (at most two seconds), and returns when all is closed.
    package func stop() async { await application.stop() }

    /// Returns when the server has been stopped; throws when it ended by itself.
    package func wait() async throws { try await application.wait() }
}

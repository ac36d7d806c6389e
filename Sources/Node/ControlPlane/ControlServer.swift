// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import ConnectionLimits
import HTTPServing
import Hummingbird
import Logging
import NIOCore

/// The listener for people, load balancers and monitoring: nothing there changes anything. Over plain HTTP and without a
/// token, bind it to the loopback address unless its network is trusted to know the HSMs' names and states.
package final class ControlServer: Sendable {
    /// The port that it listens on, also where 0 was asked for.
    package let port: Int
    private let application: RunningApplication

    package var openConnections: OpenConnections { application.connections }

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
    ///   - page: the status page; as `source`.
    ///   - protection: certificate and token, at each moment.
    ///   - connections: at a time, at least 1; a further one takes the place of the oldest that has asked for nothing.
    ///   - refusals: counts the connections that are closed for that, or because nothing came.
    package static func start(
        host: String = "127.0.0.1", port: Int, source: any NodeStatusSource, page: (any PageSource)? = nil,
        protection: ControlProtection = ControlProtection(), logger: Logger, connections: Int = 64,
        refusals: RefusalCounter? = nil
    ) async throws -> ControlServer {
        // Supervisors end a node whose answers fail to come, so that these wait for nothing else that the process does.
        let application = try await RunningApplication.start(
            at: .hostname(host, port: port), limits: HTTPServerLimits(connections: connections), logger: logger,
            threads: .own(name: "control"),
            wrap: { base, _ in ControlChannel(base: base, protection: protection, refusals: refusals) },
            turnedAway: { refusals?.count($0, at: .control, from: $1) }
        ) { (request, context: ControlContext) in
            let asked = ControlRequest(
                method: request.method.rawValue, path: request.uri.path, query: request.uri.query,
                authorization: request.headers[.authorization], ifNoneMatch: request.headers[.ifNoneMatch])
            let answer = ControlAnswer.make(asked, source: source, page: page, token: protection.token)
            if answer.status == 401 {
                let detail = asked.authorization == nil ? "no token" : "another token"
                refusals?.count(.unauthenticated, at: .control, from: context.channel.remoteAddress, detail: detail)
            }
            return Response(answer, to: asked.method, allowed: "GET, HEAD")
        }
        return ControlServer(port: application.address?.port ?? port, application: application)
    }

    /// Accepts no more connections, lets requests in flight end (at most two seconds), and returns when all is closed.
    package func stop() async { await application.stop() }

    /// Returns when the server has been stopped; throws when it ended by itself.
    package func wait() async throws { try await application.wait() }
}

/// A request's context: it knows its connection, and so where it comes from.
private struct ControlContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}

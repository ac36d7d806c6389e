// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import HTTPServing
import Hummingbird
import Logging
import NIOCore

/// The listener for the command line on the same host: HTTP on the Unix socket `admin.sock` in the state directory.
/// A client that can open the socket can give every order, so the socket is its owner's alone (mode 0600).
package final class AdminServer: Sendable {
    /// Where it listens.
    package let path: String
    private let socket: AdminSocket
    private let application: RunningApplication

    private init(socket: AdminSocket, application: RunningApplication) {
        path = socket.path
        self.socket = socket
        self.application = application
    }

    /// Binds and serves; returns when connections are accepted. Throws `AdminSocketError`; `inUse` while another node
    /// runs in the same state directory.
    ///
    /// - Parameters:
    ///   - stateDirectory: an absolute path of at most 87 bytes, which exists and can be written.
    ///   - administration: asked at each request, on any thread.
    ///   - eventLoopGroup: where connections live; NIO's shared threads by default.
    package static func start(
        stateDirectory: String, administration: any NodeAdministration, logger: Logger,
        eventLoopGroup: (any EventLoopGroup)? = nil
    ) async throws -> AdminServer {
        var socket = try await AdminSocket(stateDirectory: stateDirectory)
        let application: RunningApplication
        do {
            application = try await RunningApplication.start(
                at: .unixDomainSocket(path: socket.stagingPath), logger: logger, eventLoopGroup: eventLoopGroup
            ) { (request, _: BasicRequestContext) in
                let method = request.method.rawValue
                let body = try? await request.body.collect(upTo: AdminRequest.longestBody)
                let (answer, allowed) = await ControlAnswer.make(
                    method: method, path: request.uri.path, query: request.uri.query,
                    body: body.map { Array($0.readableBytesView) }, administration: administration)
                return Response(answer, to: method, allowed: allowed)
            }
        } catch {
            socket.abandon()
            throw error
        }
        do {
            try socket.publish()
        } catch {
            await application.stop()
            socket.abandon()
            throw error
        }
        return AdminServer(socket: socket, application: application)
    }

    /// Takes the socket away, lets requests in flight end (at most two seconds), and returns when all is closed.
    package func stop() async {
        socket.remove()
        await application.stop()
    }

    /// Returns when the server has been stopped; throws when it ended by itself.
    package func wait() async throws { try await application.wait() }
}

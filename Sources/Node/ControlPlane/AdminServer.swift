// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import CPlatform
import ConnectionLimits
import HTTPServing
import Hummingbird
import Logging
import NIOCore
import NIOPosix

/// The listener for the command line on the same host: HTTP on the Unix socket `admin.sock` in the state directory.
/// Who can open the socket gives orders: it is its owner's alone (mode 0600), or a group's too (0660). From processes that
/// this node has started it takes orders to block only, and each order is recorded under who the kernel says gave it.
package final class AdminServer: Sendable {
    /// For connections alone, as long as the process lives: what answers may wait, for peers or a file.
    private static let threads: MultiThreadedEventLoopGroup = {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        group.next().execute { _ = claviger_name_thread("admin") }
        return group
    }()

    /// Where it listens.
    package let path: String
    private let socket: AdminSocket
    private let application: RunningApplication

    package var openConnections: OpenConnections { application.connections }

    /// Whether new connections reach it: its socket is still where it was put.
    package var isReachable: Bool { socket.isInPlace }

    /// Why those of the group can give no order; `nil` where they can, or there is none.
    package let groupProblem: String?

    private init(socket: AdminSocket, application: RunningApplication, groupProblem: String?) {
        path = socket.path
        self.groupProblem = groupProblem
        self.socket = socket
        self.application = application
    }

    /// Binds and serves; returns when connections are accepted. Throws `AdminSocketError`; `inUse` while another node
    /// runs in the same state directory.
    ///
    /// - Parameters:
    ///   - stateDirectory: an absolute path of at most 87 bytes, which exists and can be written.
    ///   - administration: asked at each request, on any thread.
    ///   - group: those of this group may give orders, too. Where the node's user may not give the socket to it, it is its
    ///     owner's alone, and that is logged.
    ///   - recorder: keeps a record of orders besides the log.
    ///   - connections: at a time, at least 1; a further one takes the place of the oldest that has asked for nothing.
    ///   - refusals: counts the connections that are closed for that, or because nothing came.
    package static func start(
        stateDirectory: String, administration: any NodeAdministration, group: String? = nil,
        recorder: (any OrderRecorder)? = nil, logger: Logger, connections: Int = 32, refusals: RefusalCounter? = nil
    ) async throws -> AdminServer {
        var socket = try await AdminSocket(stateDirectory: stateDirectory)
        let application: RunningApplication
        do {
            application = try await RunningApplication.start(
                at: .unixDomainSocket(path: socket.stagingPath),
                limits: HTTPServerLimits(connections: connections, answerTime: .minutes(10)), logger: logger,
                threads: .shared(Self.threads),
                turnedAway: { refusals?.count($0, at: .admin, from: $1) }
            ) { (request, context: AdminContext) in
                let method = request.method.rawValue
                let body = try? await request.body.collect(upTo: AdminRequest.longestBody)
                let (answer, allowed) = await ControlAnswer.make(
                    method: method, path: request.uri.path, query: request.uri.query,
                    body: body.map { Array($0.readableBytesView) },
                    peer: AdminCaller(channel: context.channel, logger: logger, recorder: recorder),
                    administration: administration)
                return Response(answer, to: method, allowed: allowed)
            }
        } catch {
            socket.abandon()
            throw error
        }
        do {
            let problem = try socket.publish(group: group)
            if let problem {
                logger.error("admin_group is not given the admin socket", metadata: ["reason": "\(problem)"])
            }
            return AdminServer(socket: socket, application: application, groupProblem: problem)
        } catch {
            await application.stop()
            socket.abandon()
            throw error
        }
    }

    /// Takes the socket away, lets requests in flight end (at most two seconds), and returns when all is closed.
    package func stop() async {
        socket.remove()
        await application.stop()
    }

    /// Returns when the server has been stopped; throws when it ended by itself.
    package func wait() async throws { try await application.wait() }
}

/// A request's context: it knows its connection, and so who is at the other end.
private struct AdminContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}

/// Who gives an order, and the record of it.
struct AdminCaller: Sendable {
    let channel: any Channel
    let logger: Logger
    let recorder: (any OrderRecorder)?

    func peer() async -> AdminPeer? { await AdminPeer.of(channel) }

    /// The user's name by the kernel's word, and the same with what the command says of it beside it.
    struct Author {
        var name: String
        var shown: String
    }

    func author(of request: AdminRequest, _ peer: AdminPeer) async -> Author {
        let name = await AdminPeer.name(of: peer.user, on: channel.eventLoop)
        return Author(
            name: name ?? "uid-\(peer.user)",
            shown: AdminPeer.author(
                name, user: peer.user, claimed: request.claimedUser, longest: OrderBody.longestUser))
    }

    /// The trail of orders, refused ones too.
    func record(_ request: AdminRequest, by author: Author, _ peer: AdminPeer, status: Int) async {
        var metadata: Logger.Metadata = [
            "order": "\(request.orderWords ?? "read")", "by": "\(author.shown)", "uid": "\(peer.user)",
            "pid": "\(peer.process)", "status": "\(status)",
        ]
        if peer.right != .all { metadata["from"] = "a process of this node's own, or one that is hidden from it" }
        logger.notice("order", metadata: metadata)
        recorder?.record(request.audited(by: author.name, peer, status: status))
    }

    func record(_ request: AdminRequest, by author: String, _ peer: AdminPeer, status: Int) async {
        await record(request, by: Author(name: author, shown: author), peer, status: status)
    }
}

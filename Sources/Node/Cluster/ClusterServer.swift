// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import HTTPServing
import HTTPTypes
import HostLimits
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOSSL
import SecureMemory
import TLSLinks

/// A peer's request, as it is handed on.
struct PeerRequest: Sendable {
    let path: ClusterPath
    /// The name in the certificate of whoever sent it.
    let peer: String
    let body: SecretBytes
    /// CLOCK_MONOTONIC, nanoseconds.
    let receivedAt: UInt64
    /// `ClusterField.budget`.
    let budget: String?
}

/// What is answered to a peer.
struct PeerReply: Sendable {
    var status: Int
    var body = SecretBytes()
    /// `ClusterField.status`.
    var forwardStatus: Int?

    static func refusal(_ status: Int) -> PeerReply { PeerReply(status: status) }
}

/// The cluster listener: HTTP/1.1 over TLS 1.3 with certificates on both sides.
final class ClusterServer: Sendable {
    private static func limits(connections: Int, unknown: Int) -> HTTPServerLimits {
        HTTPServerLimits(
            connections: connections, unknownConnections: unknown, headTime: .seconds(10), idleTime: .seconds(90),
            drainTime: .milliseconds(500))
    }

    /// The port that was bound, also where 0 was asked for.
    let port: Int
    private let application: RunningApplication

    private init(port: Int, application: RunningApplication) {
        self.port = port
        self.application = application
    }

    /// - Parameters:
    ///   - most: connections at a time; a further one takes the place of the oldest that has asked for nothing.
    ///   - mostUnknown: of these, connections whose handshake is not over; among them likewise.
    ///   - respond: asked for each request of a peer that has shown who it is.
    static func start(
        host: String, port: Int, tls: ClusterTLS, connections: ConnectionTable, most: Int, mostUnknown: Int,
        counters: ClusterCounters, refusals: RefusalCounter?, limits: BodyLimits, group: any EventLoopGroup,
        logger: Logger,
        respond: @escaping @Sendable (PeerRequest) async -> PeerReply
    ) async throws(ClusterError) -> ClusterServer {
        // Failed handshakes and aborted connections are counted; a line for each would be a gift to an attacker.
        var quiet = logger
        quiet.logLevel = .critical
        do {
            let application = try await RunningApplication.start(
                at: .hostname(host, port: port), limits: Self.limits(connections: most, unknown: mostUnknown),
                logger: quiet,
                threads: .shared(group),
                wrap: {
                    ClusterChannel(
                        base: $0, open: $1, tls: tls, connections: connections, counters: counters, refusals: refusals)
                },
                // A peer may ask when it likes once its handshake is over.
                turnedAway: {
                    refusals?.count($0 == .headerTimeout ? .handshakeTimeout : $0, at: .cluster, from: $1)
                }
            ) { (request, context: PeerContext) in
                await answer(
                    request, from: { connections.name(of: context.channel) }, limits: limits, counters: counters,
                    respond: respond)
            }
            return ClusterServer(port: application.address?.port ?? port, application: application)
        } catch {
            throw .cannotListen(
                address: HostAndPort(host: host, port: port).description, reason: "\(ListenFailure(error, port: port))")
        }
    }

    var openConnections: OpenConnections { application.connections }

    func stop() async { await application.stop() }

    // MARK: One request

    /// - Parameter peer: asked anew when the whole request has come: its certificate may be refused by then.
    private static func answer(
        _ request: Request, from peer: () -> String?, limits: BodyLimits, counters: ClusterCounters,
        respond: @Sendable (PeerRequest) async -> PeerReply
    ) async -> Response {
        let receivedAt = monotonicNanoseconds()
        guard peer() != nil, request.method == .post, let path = ClusterPath(rawValue: request.uri.path) else {
            counters.dropped(.malformed)
            return response(.refusal(404))
        }
        guard let body = await collect(request.body, upTo: limits.limit(path)) else {
            counters.dropped(.oversized)
            return response(.refusal(413))
        }
        guard let peer = peer() else {
            counters.dropped(.malformed)
            return response(.refusal(404))
        }
        counters.note {
            $0.messagesIn += 1
            $0.bytesIn += UInt64(body.count)
        }
        let budget = HTTPField.Name(ClusterField.budget).flatMap { request.headers[$0] }
        let reply = await respond(
            PeerRequest(path: path, peer: peer, body: body, receivedAt: receivedAt, budget: budget))
        counters.note { $0.bytesOut += UInt64(reply.body.count) }
        return response(reply)
    }

    /// The body, in memory that is overwritten after use; `nil` when it is longer than it may be, or is cut off.
    private static func collect(_ body: RequestBody, upTo limit: Int) async -> SecretBytes? {
        let bytes = SecretBytes()
        do {
            for try await chunk in body {
                guard chunk.readableBytes <= limit - bytes.count else { return nil }
                chunk.withUnsafeReadableBytes { bytes.append(copying: $0) }
                chunk.overwrite()
            }
        } catch {
            return nil
        }
        return bytes
    }

    private static func response(_ reply: PeerReply) -> Response {
        var response = Response(
            status: .init(code: reply.status), headers: [.contentLength: "\(reply.body.count)"],
            body: reply.body.isEmpty ? .init() : .init(byteBuffer: ByteBuffer(copying: reply.body)))
        if let status = reply.forwardStatus, let name = HTTPField.Name(ClusterField.status) {
            response.headers[name] = "\(status)"
        }
        return response
    }
}

/// A request's context: it knows its connection, and so who is at the other end.
private struct PeerContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}

/// Puts TLS before HTTP/1.1, each connection with the files of its time.
private struct ClusterChannel: ServerChildChannel {
    typealias Value = HTTP1Channel.Value

    let base: HTTP1Channel
    let open: OpenConnections
    let tls: ClusterTLS
    let connections: ConnectionTable
    let counters: ClusterCounters
    let refusals: RefusalCounter?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let material = tls.material
        return channel.eventLoop.makeCompletedFuture {
            let handlers = channel.pipeline.syncOperations
            let witness = LinkWitness(.server, tally: connections.links)
            try handlers.addHandler(witness)
            try handlers.addHandler(NIOSSLServerHandler(context: material.server))
            try handlers.addHandler(
                PeerIdentityHandler(tls: tls) { [connections, counters, open, refusals, tls] result in
                    switch result {
                    case .success(let peer):
                        witness.succeed(on: channel)
                        open.introduced(channel)
                        connections.add(channel, peer: peer, generation: material.generation)
                        // Files were replaced during the handshake: those that were there then have been closed already.
                        if material.generation != tls.generation { channel.close(promise: nil) }
                    case .failure(let failure):
                        if case .revoked = failure {
                            counters.dropped(.revoked)
                        } else {
                            counters.dropped(.unauthenticated)
                        }
                        refusals?.count(
                            RefusalKind(failure), at: .cluster, from: channel.remoteAddress, detail: "\(failure)")
                    }
                })
            try handlers.addHandler(OverwritingHandler())
        }.flatMap { base.setup(channel: channel, logger: logger) }
    }

    func handle(value: Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}

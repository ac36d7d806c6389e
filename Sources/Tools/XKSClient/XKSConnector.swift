// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import TLSFacts
import TLSLinks
import XKSCalls

/// Why there is no connection, or no answer on one.
package enum ConnectionFault: Error, Sendable, Equatable {
    /// No TCP connection.
    case unreachable(String)
    /// A TCP connection, and no TLS over it.
    case handshake(String)
    /// Nothing came in time.
    case silent
    /// The other side ended the connection, orderly or not, before an answer.
    case ended(String)
    case malformed(AnswerFault)
}

extension ConnectionFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreachable(let reason): "no TCP connection: \(reason)"
        case .handshake(let reason): "no TLS handshake: \(reason)"
        case .silent: "no answer in time"
        case .ended(let reason): reason.isEmpty ? "the connection was closed" : "the connection was closed: \(reason)"
        case .malformed(let fault): "\(fault)"
        }
    }
}

/// When a connection came about, nanoseconds of the monotonic clock (CLOCK_MONOTONIC).
package struct OpeningTimes: Sendable, Equatable {
    package var begun: UInt64
    /// TCP.
    package var connected: UInt64
    /// TLS; of a plain connection as `connected`.
    package var ready: UInt64
}

/// Opens connections of one kind to a proxy.
package struct XKSConnector: Sendable {
    package let endpoint: XKSEndpoint
    /// Where connections are made to in place of the endpoint's host and port: a node behind its balancer.
    package var address: (host: String, port: Int)?
    private let context: NIOSSLContext?

    /// - Parameter tls: of no meaning where the endpoint is plain HTTP.
    /// - Throws: where a PEM file cannot be read.
    package init(_ endpoint: XKSEndpoint, tls: ClientTLS) throws {
        self.endpoint = endpoint
        context = endpoint.isTLS ? try tls.context() : nil
    }

    /// - Parameter limit: for TCP and TLS together.
    /// - Returns: fails with a `ConnectionFault`.
    package func open(on loop: any EventLoop, within limit: TimeAmount) -> EventLoopFuture<XKSConnection> {
        let begun = monotonicNow()
        let opened = loop.makePromise(of: XKSConnection.self)
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(limit)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let answers = AnswerHandler(
                        begun: begun, awaitsTLS: context != nil, limit: limit, opened: opened)
                    let pipeline = channel.pipeline.syncOperations
                    for handler in try tlsHandlers({ answers.facts = $0 }) ?? [] { try pipeline.addHandler(handler) }
                    try pipeline.addHandler(answers)
                }
            }
        bootstrap.connect(host: address?.host ?? endpoint.host, port: address?.port ?? endpoint.port).whenFailure {
            error in
            loop.execute { opened.fail(ConnectionFault.unreachable(Self.words(error))) }
        }
        return opened.futureResult
    }

    /// What stands between the socket and HTTP; `nil` for a plain connection.
    func tlsHandlers(_ found: @escaping (HandshakeFacts?) -> Void) throws -> [any ChannelHandler]? {
        guard let context else { return nil }
        return [
            FlightReader(found),
            try NIOSSLClientHandler(context: context, serverHostname: endpoint.isAddress ? nil : endpoint.host),
        ]
    }

    static func words(_ error: any Error) -> String {
        if let fault = error as? ConnectionFault { return fault.description }
        return String(LinkFailure.words(error, authority: "a CA that is trusted here").prefix(300))
    }
}

/// Nanoseconds of the monotonic clock.
package func monotonicNow() -> UInt64 { NIODeadline.now().uptimeNanoseconds }

/// Stands before TLS, and reads what the server says in clear.
private final class FlightReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let found: (HandshakeFacts?) -> Void
    private var flight = ServerFlight()

    init(_ found: @escaping (HandshakeFacts?) -> Void) { self.found = found }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .done(let facts) = flight.read(unwrapInboundIn(data).readableBytesView) { found(facts) }
        context.fireChannelRead(data)
    }
}

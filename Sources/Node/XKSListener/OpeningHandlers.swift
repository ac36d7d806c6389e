// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import NIOCore

/// A handler of a connection on which there can be no request yet. It is supervised as long as it is there, asks for the
/// first read, and leaves draining to what comes after it.
protocol OpeningHandler: ChannelInboundHandler, RemovableChannelHandler, Supervised {
    var environment: ConnectionEnvironment { get }
    var client: ClientConnection { get }
}

extension OpeningHandler {
    func handlerAdded(context: ChannelHandlerContext) {
        environment.table.add(self)
        if context.channel.isActive { context.read() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        environment.table.remove(self)
    }

    func channelActive(context: ChannelHandlerContext) {
        context.read()
        context.fireChannelActive()
    }

    var generation: Int { client.generation }

    func drain() {}

    func abort() { client.cut() }

    func cut() { client.cut() }
}

/// First on a connection that is to have TLS, until its first bytes come: what a handshake needs costs more than all else
/// of a connection, and one that stays silent is to cost nothing of it.
final class SilentHandshakeHandler: OpeningHandler {
    typealias InboundIn = ByteBuffer

    let environment: ConnectionEnvironment
    let client: ClientConnection
    private let tls: TLSContext
    private let deadline: UInt64
    private var isOver = false

    init(environment: ConnectionEnvironment, client: ClientConnection, tls: TLSContext) {
        self.environment = environment
        self.client = client
        self.tls = tls
        deadline = ListenerTimeouts.deadline(environment.timeouts.handshake, after: monotonicNanoseconds())
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        isOver = true
        client.spoke()
        do {
            try environment.addTLSHandlers(to: context.channel, tls: tls, client: client, deadline: deadline)
        } catch {
            client.cut()
            return
        }
        context.fireChannelRead(data)
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail("closed without a byte", .tcpProbe)
        context.fireChannelInactive()
    }

    private func fail(_ cause: String, _ kind: RefusalKind) {
        guard !isOver else { return }
        isOver = true
        environment.handshakeFailed(client, cause, kind)
    }

    func check(now: UInt64) {
        guard now >= deadline else { return }
        fail("TLS handshake not begun in time", .handshakeTimeout)
        cut()
    }
}

/// Notes the first bytes on a connection without TLS, and makes way.
final class FirstBytesHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let client: ClientConnection

    init(_ client: ClientConnection) { self.client = client }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        client.spoke()
        context.fireChannelRead(data)
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }
}

extension ConnectionEnvironment {
    /// A connection has ended before there was one for requests: counted, unless this side has ended it.
    func handshakeFailed(_ client: ClientConnection, _ cause: String, _ kind: RefusalKind) {
        guard !client.isCut else { return }
        admission.countFailedHandshake()
        client.count(kind, detail: cause)
        logger.debug("connection refused", metadata: ["peer": "\(client.peer)", "cause": "\(cause)"])
    }
}

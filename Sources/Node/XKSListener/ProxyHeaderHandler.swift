// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import NIOCore

/// First on a connection from a balancer that is named: takes the header of the PROXY protocol, and makes way for what
/// the connection is for. From then on the client's address is the connection's.
final class ProxyHeaderHandler: OpeningHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    let environment: ConnectionEnvironment
    let client: ClientConnection
    private let deadline: UInt64
    /// Puts the handlers for what follows at the end of the pipeline.
    private let proceed: (any Channel) throws -> Void
    private var received = ByteBuffer()
    private var isOver = false

    init(
        environment: ConnectionEnvironment, client: ClientConnection,
        proceed: @escaping (any Channel) throws -> Void
    ) {
        self.environment = environment
        self.client = client
        self.proceed = proceed
        deadline = ListenerTimeouts.deadline(environment.timeouts.handshake, after: monotonicNanoseconds())
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        switch ProxyHeader.read(received.readableBytesView) {
        case .incomplete: return
        case .missing: fail(.proxyHeaderMissing, nil)
        case .malformed(let cause): fail(.proxyHeaderMalformed, cause)
        case .whole(let header, let length): finish(header, length: length, context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !isOver { context.read() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isOver { note(received.readableBytes == 0 ? .tcpProbe : .proxyHeaderMalformed, "cut off") }
        context.fireChannelInactive()
    }

    private func finish(_ header: ProxyHeader, length: Int, _ context: ChannelHandlerContext) {
        isOver = true
        // Of a family that says nothing, and of the balancer itself, the socket's address is all there is.
        if case .client(let address, let port) = header { client.moved(to: address, peer: address.hostAndPort(port)) }
        received.moveReaderIndex(forwardBy: length)
        do {
            try proceed(context.channel)
        } catch {
            client.cut()
            return
        }
        if received.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(received))
            context.fireChannelReadComplete()
        }
        received = ByteBuffer()
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    private func fail(_ kind: RefusalKind, _ cause: String?) {
        note(kind, cause)
        client.cut()
    }

    private func note(_ kind: RefusalKind, _ cause: String?) {
        isOver = true
        environment.handshakeFailed(client, cause ?? kind.rawValue, kind)
    }

    func check(now: UInt64) {
        guard now >= deadline, !isOver else { return }
        fail(received.readableBytes == 0 ? .handshakeTimeout : .proxyHeaderMalformed, "no whole header in time")
    }
}

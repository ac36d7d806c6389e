// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import HTTPServing
import HummingbirdCore
import Logging
import NIOCore
import NIOSSL
import NIOTLS
import Synchronization
import TLSLinks

/// What the control listener is protected by: certificate and token, which change while it runs. A connection keeps the
/// certificate of its handshake; the token is that of the moment at which a request comes.
package final class ControlProtection: Sendable {
    private struct State {
        var context: NIOSSLContext?
        var token: ControlToken?
    }

    /// Live connections with TLS, by what they have agreed on.
    package let links = LinkTally()
    private let state: Mutex<State>

    /// - Parameters:
    ///   - context: `nil` for plain HTTP.
    ///   - token: `nil` where everybody is answered.
    package init(context: NIOSSLContext? = nil, token: ControlToken? = nil) {
        state = Mutex(State(context: context, token: token))
    }

    /// From now on new connections have this certificate, and requests are to show this token.
    package func replace(context: NIOSSLContext?, token: ControlToken?) {
        state.withLock { $0 = State(context: context, token: token) }
    }

    var context: NIOSSLContext? { state.withLock { $0.context } }
    var token: ControlToken? { state.withLock { $0.token } }
}

/// Puts TLS before HTTP/1.1 where the listener has a certificate.
struct ControlChannel: ServerChildChannel {
    typealias Value = HTTP1Channel.Value

    let base: HTTP1Channel
    let protection: ControlProtection
    let refusals: RefusalCounter?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        guard let context = protection.context else { return base.setup(channel: channel, logger: logger) }
        return channel.eventLoop.makeCompletedFuture {
            let handlers = channel.pipeline.syncOperations
            let witness = LinkWitness(.server, tally: protection.links)
            try handlers.addHandler(witness)
            try handlers.addHandler(NIOSSLServerHandler(context: context))
            try handlers.addHandler(ControlHandshakeHandler(witness: witness, refusals: refusals))
        }.flatMap { base.setup(channel: channel, logger: logger) }
    }

    func handle(value: Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}

/// Counts handshakes that fail, and leaves the connection when one has ended well.
private final class ControlHandshakeHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let witness: LinkWitness
    private let refusals: RefusalCounter?
    private var isOver = false

    init(witness: LinkWitness, refusals: RefusalCounter?) {
        self.witness = witness
        self.refusals = refusals
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event, !isOver {
            isOver = true
            witness.succeed(on: context.channel)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isOver else { return context.fireErrorCaught(error) }
        // NIOSSL reports a client that goes away in its handshake as an error of its own.
        if case NIOSSLError.uncleanShutdown = error {
            end(.handshakeAbandoned, nil, context)
        } else {
            end(RefusalKind(handshakeError: "\(error)"), "\(error)", context)
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isOver { end(.handshakeAbandoned, nil, context) }
        context.fireChannelInactive()
    }

    private func end(_ kind: RefusalKind, _ detail: String?, _ context: ChannelHandlerContext) {
        isOver = true
        refusals?.count(kind, at: .control, from: context.channel.remoteAddress, detail: detail)
    }
}

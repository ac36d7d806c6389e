// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import SecureMemory
import TLSLinks

/// What goes to a peer.
struct PeerCall: Sendable {
    var path: ClusterPath
    var body: SecretBytes
    /// `ClusterField.budget`, microseconds.
    var budget: UInt64?
    /// Longest answer that is taken, bytes.
    var limit: Int
}

/// What a peer answered.
struct PeerAnswer: Sendable {
    /// The name in the certificate of whoever answered.
    let peer: String
    let status: Int
    /// `ClusterField.status`.
    let forwardStatus: Int?
    let body: SecretBytes
    /// From sending to the answer, nanoseconds; what connecting took is not counted.
    let roundTrip: UInt64
}

/// One connection to a peer, on which one request at a time is under way. Everything on its event loop.
final class PeerConnection {
    let channel: any Channel
    /// The name in the peer's certificate.
    let peer: String
    /// Of the TLS files that the handshake went by.
    let generation: UInt64
    private let handler: PeerCallHandler
    /// Whether a request has been answered on it.
    private(set) var isUsed = false
    /// When it is closed if it is idle then, CLOCK_MONOTONIC, nanoseconds.
    var idleUntil: UInt64 = 0

    private init(channel: any Channel, peer: String, generation: UInt64, handler: PeerCallHandler) {
        self.channel = channel
        self.peer = peer
        self.generation = generation
        self.handler = handler
    }

    /// Connects and shakes hands. The future is the event loop's, and so is what it gives.
    static func open(
        to address: SocketAddress, host: String, tls: ClusterTLS, tally: LinkTally, timeout: TimeAmount,
        on loop: any EventLoop
    ) -> EventLoopFuture<NIOLoopBound<PeerConnection>> {
        let material = tls.material
        let opened = loop.makePromise(of: NIOLoopBound<PeerConnection>.self)
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handlers = channel.pipeline.syncOperations
                    let handler = PeerCallHandler(host: host)
                    let witness = LinkWitness(.client, tally: tally)
                    try handlers.addHandler(witness)
                    try handlers.addHandler(NIOSSLClientHandler(context: material.client, serverHostname: nil))
                    try handlers.addHandler(
                        PeerIdentityHandler(tls: tls) { result in
                            if case .success = result { witness.succeed(on: channel) }
                            opened.completeWith(
                                result.mapError { $0 as any Error }.map { peer in
                                    NIOLoopBound(
                                        PeerConnection(
                                            channel: channel, peer: peer.name, generation: material.generation,
                                            handler: handler), eventLoop: loop)
                                })
                        })
                    try handlers.addHandler(OverwritingHandler())
                    try handlers.addHTTPClientHandlers()
                    try handlers.addHandler(handler)
                }
            }
        let connected = bootstrap.connect(to: address)
        connected.whenFailure { opened.fail(PeerFailure($0)) }
        // Where there was no connection that is the reason, and not that its handlers were removed.
        return connected.flatMapErrorThrowing { throw PeerFailure($0) }.flatMap { _ in opened.futureResult }
    }

    /// Sends, and gives the answer. Fails with a `PeerFailure`; then the connection is closed.
    func perform(_ call: PeerCall, timeout: TimeAmount) -> EventLoopFuture<PeerAnswer> {
        let promise = channel.eventLoop.makePromise(of: PeerAnswer.self)
        let bound = NIOLoopBound(self, eventLoop: channel.eventLoop)
        let timer = channel.eventLoop.scheduleTask(in: timeout) { bound.value.handler.fail(.timeout) }
        handler.begin(call, peer: peer, promise: promise)
        promise.futureResult.whenComplete { result in
            timer.cancel()
            let connection = bound.value
            switch result {
            case .success: connection.isUsed = true
            case .failure: connection.channel.close(promise: nil)
            }
        }
        return promise.futureResult
    }
}

/// Writes a request and reads its answer, bounded in size.
private final class PeerCallHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private struct Call {
        var peer: String
        var limit: Int
        var promise: EventLoopPromise<PeerAnswer>
        var sentAt: UInt64
        var head: HTTPResponseHead?
        let body = SecretBytes()
    }

    private let host: String
    private var context: ChannelHandlerContext?
    private var call: Call?

    init(host: String) { self.host = host }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        fail(.closed)
    }

    func begin(_ call: PeerCall, peer: String, promise: EventLoopPromise<PeerAnswer>) {
        guard let context, self.call == nil, context.channel.isActive else { return promise.fail(PeerFailure.closed) }
        self.call = Call(peer: peer, limit: call.limit, promise: promise, sentAt: monotonicNanoseconds())
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: call.path.rawValue)
        head.headers = ["host": host, "content-length": "\(call.body.count)", "content-type": "application/json"]
        if let budget = call.budget { head.headers.add(name: ClusterField.budget, value: "\(budget)") }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(copying: call.body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func fail(_ failure: PeerFailure) {
        guard let call else { return }
        self.call = nil
        call.promise.fail(failure)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): call?.head = head
        case .body(let chunk):
            guard let call else { return }
            guard chunk.readableBytes <= call.limit - call.body.count else { return fail(.oversized) }
            chunk.withUnsafeReadableBytes { call.body.append(copying: $0) }
            chunk.overwrite()
        case .end: finish(context)
        }
    }

    private func finish(_ context: ChannelHandlerContext) {
        guard let call, let head = call.head else { return }
        self.call = nil
        // A peer that ends says so; the connection is of no further use.
        if !head.isKeepAlive { context.close(promise: nil) }
        call.promise.succeed(
            PeerAnswer(
                peer: call.peer, status: Int(head.status.code),
                forwardStatus: head.headers.first(name: ClusterField.status).flatMap { Int($0) }, body: call.body,
                roundTrip: monotonicNanoseconds() &- call.sentAt))
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.closed)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(PeerFailure(error))
        context.close(promise: nil)
    }
}

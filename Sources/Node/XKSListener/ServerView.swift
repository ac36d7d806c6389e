// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization
import TLSLinks

/// What a client meets at a TLS listener, for whoever looks at one that runs.
package struct ServerView: Sendable {
    /// The certificates that it was shown, the server's own first.
    package var chain: [ServerCertificate]
    /// The same in DER.
    package var encodedChain: [[UInt8]]
    /// For connection and handshake, nanoseconds.
    package var nanoseconds: UInt64

    /// Why there was no handshake, in words.
    package struct Trouble: Error, Sendable, Equatable {
        package var message: String
    }

    /// Connects, shakes hands and closes; shows no certificate of its own, and takes any chain: a handshake that is broken off
    /// would stand in the listener's log.
    package static func of(host: String, port: Int, on loop: any EventLoop) async -> Result<ServerView, Trouble> {
        let shown = Shown()
        let done = loop.makePromise(of: Void.self)
        let begin = monotonicNanoseconds()
        do {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.certificateVerification = .noHostnameVerification
            let context = try NIOSSLContext(configuration: configuration)
            let channel = try await ClientBootstrap(group: loop).connectTimeout(.seconds(3))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let handlers = channel.pipeline.syncOperations
                        try handlers.addHandler(handler(context, shown))
                        try handlers.addHandler(HandshakeEnd(done))
                    }
                }.connect(host: host, port: port).get()
            let timer = loop.scheduleTask(in: .seconds(5)) { done.fail(Trouble(message: "no handshake within 5 s")) }
            defer {
                timer.cancel()
                channel.close(promise: nil)
            }
            try await done.futureResult.get()
            let chain = shown.all
            return .success(
                ServerView(
                    chain: chain.compactMap { ServerCertificate($0) },
                    encodedChain: try chain.map { try $0.toDERBytes() },
                    nanoseconds: monotonicNanoseconds() &- begin))
        } catch {
            // Nothing waits for it where there was no connection.
            done.fail(error)
            return .failure(error as? Trouble ?? Trouble(message: words(error)))
        }
    }

    private static func words(_ error: any Error) -> String {
        LinkFailure.words(error, authority: "a CA that is trusted here")
    }

    private static func handler(_ context: NIOSSLContext, _ shown: Shown) throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(context: context, serverHostname: nil) { chain, promise in
            shown.set(chain)
            promise.succeed(.certificateVerified)
        }
    }

    /// Filled in the handshake.
    private final class Shown: Sendable {
        private let certificates = Mutex<[NIOSSLCertificate]>([])

        var all: [NIOSSLCertificate] { certificates.withLock { $0 } }
        func set(_ new: [NIOSSLCertificate]) { certificates.withLock { $0 = new } }
    }
}

/// Reports the end of a handshake, once.
private final class HandshakeEnd: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let done: EventLoopPromise<Void>

    init(_ done: EventLoopPromise<Void>) { self.done = done }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event { done.succeed() }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        done.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        done.fail(ServerView.Trouble(message: "it closed the connection"))
    }
}

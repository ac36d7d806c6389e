// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOHPACK
import NIOHTTP2

/// The tail of an HTTP/2 connection's pipeline: idle time, draining, errors.
final class HTTP2ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = Any

    let peer: String
    private let environment: ConnectionEnvironment
    private var context: ChannelHandlerContext?
    private var openStreams = 0
    private var deadline: UInt64 = .max
    private var isQuiescing = false

    init(environment: ConnectionEnvironment, peer: String) {
        self.environment = environment
        self.peer = peer
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        environment.table.add(self)
        restartIdleTime()
        if environment.table.isDraining { drain() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        environment.table.remove(self)
    }

    /// Frames of the connection itself end here; streams have channels of their own.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        environment.logger.debug("connection ended by an error", metadata: ["peer": "\(peer)", "error": "\(error)"])
        context.close(promise: nil)
    }

    func streamOpened() {
        openStreams += 1
        if !isQuiescing { deadline = .max }
    }

    func streamClosed() {
        openStreams -= 1
        guard openStreams == 0 else { return }
        if isQuiescing { restartLingerTime() } else { restartIdleTime() }
    }

    private func restartIdleTime() {
        deadline = ListenerTimeouts.deadline(environment.timeouts.idle, after: monotonicNanoseconds())
    }

    private func restartLingerTime() {
        deadline = ListenerTimeouts.deadline(environment.timeouts.linger, after: monotonicNanoseconds())
    }
}

extension HTTP2ConnectionHandler: Supervised {
    func check(now: UInt64) {
        guard now >= deadline else { return }
        if isQuiescing {
            if openStreams == 0 { abort() }
        } else {
            drain()
        }
    }

    /// GOAWAY, then close when the open streams are done (RFC 9113 section 6.8). A client that does not answer the
    /// ping in between is not waited for longer than the linger time once its streams are done.
    func drain() {
        guard !isQuiescing, let context else { return }
        isQuiescing = true
        restartLingerTime()
        context.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    }

    func abort() {
        context?.close(promise: nil)
    }
}

extension ConnectionEnvironment {
    /// Puts the handlers of HTTP/2 behind the TLS handler, once it was negotiated.
    ///
    /// NIOHTTP2's own protections stay on with their defaults: floods of resets (CVE-2023-44487), of stream errors,
    /// of control frames, of CONTINUATION frames and of empty DATA frames end the connection.
    func addHTTP2Handlers(to channel: any Channel, peer: String) throws {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: limits.streams),
            HTTP2Setting(parameter: .maxHeaderListSize, value: limits.headerBytes),
            HTTP2Setting(parameter: .initialWindowSize, value: 65_535),
        ]
        connection.maximumBufferedControlFrames = 1_000
        let tail = HTTP2ConnectionHandler(environment: self, peer: peer)
        let management = NIOHTTP2ServerConnectionManagementHandler(
            eventLoop: channel.eventLoop,
            configuration: .init(maxIdleTime: nil, maxAge: nil, maxGraceTime: nil, keepalive: nil))
        let shared = NIOLoopBound((environment: self, tail: tail), eventLoop: channel.eventLoop)
        let multiplexing = NIOHTTP2Handler(
            mode: .server, eventLoop: channel.eventLoop, connectionConfiguration: connection,
            streamConfiguration: .init(), streamDelegate: management.http2StreamDelegate
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                let (environment, tail) = shared.value
                try stream.pipeline.syncOperations.addHandler(
                    HTTP2StreamHandler(environment: environment, connection: tail))
            }
        }
        try channel.pipeline.syncOperations.addHandlers([multiplexing, management, tail])
    }
}

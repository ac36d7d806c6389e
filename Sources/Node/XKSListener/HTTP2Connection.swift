// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOHPACK
import NIOHTTP2
import XKSProtocol

/// The tail of an HTTP/2 connection's pipeline: idle time, draining, errors.
final class HTTP2ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = Any

    /// Streams that a client may have open before one of its requests was authenticated.
    static let streamsBeforeAuthentication = 8

    let client: ClientConnection
    private let environment: ConnectionEnvironment
    private var context: ChannelHandlerContext?
    private var openStreams = 0
    /// Until the client is told of more.
    private var hasFewStreams = true
    private var deadline: UInt64 = .max
    private var isQuiescing = false
    private var isRefused = false

    private let watch: HTTP2FrameWatch

    init(environment: ConnectionEnvironment, client: ClientConnection, watch: HTTP2FrameWatch) {
        self.environment = environment
        self.client = client
        self.watch = watch
    }

    /// False also once the end of the connection has been read and not been told to everybody.
    var isConnected: Bool { context?.channel.isActive ?? false }

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
        guard error is any NIOHTTP2Error, !watch.hasSentGoAway,
            !(error is NIOHTTP2Errors.UnableToSerializeFrame)
        else {
            environment.logger.debug(
                "connection ended by an error", metadata: ["peer": "\(client.peer)", "error": "\(error)"])
            if watch.hasSentGoAway { refuse(error) }
            context.close(promise: nil)
            return
        }
        // NIOHTTP2 has reset the stream; the others go on. Too many of these end the connection (`streamErrorRateLimit`).
        _ = environment.refused(.malformed, nil, of: client, mayRead: false)
        environment.logger.debug("stream reset", metadata: ["peer": "\(client.peer)", "error": "\(error)"])
    }

    /// Of a whole connection; said once, whatever else is found in what comes after.
    private func refuse(_ error: any Error) {
        guard !isRefused else { return }
        isRefused = true
        let isTooLarge = error is NIOHTTP2Errors.ExcessivelyLargeHeaderBlock
        _ = environment.refused(isTooLarge ? .headerTooLarge : .malformed, nil, of: client, mayRead: false)
    }

    /// False where it is one too many for a client that has not authenticated. Pair with `streamClosed` in any case.
    func streamOpened() -> Bool {
        openStreams += 1
        if !isQuiescing { deadline = .max }
        return client.isAuthenticated || openStreams <= Self.streamsBeforeAuthentication
    }

    func answered(_ response: ProxyResponse, now: UInt64) {
        client.answered(response, now: now)
        if hasFewStreams && client.isAuthenticated { allowMoreStreams() }
    }

    private func allowMoreStreams() {
        hasFewStreams = false
        let streams = environment.limits.streams
        guard let context, streams > Self.streamsBeforeAuthentication else { return }
        let settings = HTTP2Frame.FramePayload.settings(
            .settings([HTTP2Setting(parameter: .maxConcurrentStreams, value: streams)]))
        context.writeAndFlush(
            NIOAny(HTTP2Frame(streamID: .rootStream, payload: settings)), promise: nil)
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
    var generation: Int { client.generation }

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

    func cut() { client.cut() }
}

extension ConnectionEnvironment {
    /// Puts the handlers of HTTP/2 behind the TLS handler, once it was negotiated.
    ///
    /// NIOHTTP2's own protections stay on with their defaults: floods of resets (CVE-2023-44487), of stream errors,
    /// of control frames, of CONTINUATION frames and of empty DATA frames end the connection.
    func addHTTP2Handlers(to channel: any Channel, client: ClientConnection) throws {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(
                parameter: .maxConcurrentStreams,
                value: min(limits.streams, HTTP2ConnectionHandler.streamsBeforeAuthentication)),
            HTTP2Setting(parameter: .maxHeaderListSize, value: limits.headerBytes),
            HTTP2Setting(parameter: .initialWindowSize, value: 65_535),
        ]
        connection.maximumBufferedControlFrames = 1_000
        let watch = HTTP2FrameWatch(environment: self, client: client)
        let tail = HTTP2ConnectionHandler(environment: self, client: client, watch: watch)
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
        try channel.pipeline.syncOperations.addHandlers([watch, multiplexing, management, tail])
    }
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import NIOSSL
import NIOTLS
import TLSFacts
import XKSCalls
import XKSProtocol

/// What came of one request over HTTP/2, on a connection of its own.
package struct HTTP2Answer: Sendable {
    package var answer: HTTPAnswer
    package var facts: HandshakeFacts?
    package var times: OpeningTimes
    /// Nanoseconds of the monotonic clock.
    package var complete: UInt64
}

extension XKSConnector {
    /// Sends one request over HTTP/2. The connector's TLS must offer `h2`.
    ///
    /// - Parameters:
    ///   - head: `host` becomes `:authority`; what belongs to connections of HTTP/1.1 must not be in it.
    ///   - limit: for everything together.
    /// - Returns: fails with a `ConnectionFault`; as `handshake` where the server chooses another protocol.
    package func callHTTP2(
        _ head: RequestHead, body: [UInt8], on loop: any EventLoop, within limit: TimeAmount
    ) -> EventLoopFuture<HTTP2Answer> {
        let done = loop.makePromise(of: HTTP2Answer.self)
        let begun = monotonicNow()
        let fields = Self.fields(of: head, isTLS: endpoint.isTLS)
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(limit)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let starter = HTTP2Starter(begun: begun, fields: fields, body: body, done: done)
                    let pipeline = channel.pipeline.syncOperations
                    if let handlers = try self.tlsHandlers({ starter.facts = $0 }) {
                        for handler in handlers { try pipeline.addHandler(handler) }
                    }
                    try pipeline.addHandler(starter)
                }
            }
        let timer = loop.scheduleTask(in: limit) { done.fail(ConnectionFault.silent) }
        bootstrap.connect(host: endpoint.host, port: endpoint.port).whenComplete { result in
            switch result {
            case .failure(let error): done.fail(ConnectionFault.unreachable(Self.words(error)))
            case .success(let channel):
                done.futureResult.whenComplete { _ in
                    timer.cancel()
                    channel.close(promise: nil)
                }
            }
        }
        return done.futureResult
    }

    private static func fields(of head: RequestHead, isTLS: Bool) -> HPACKHeaders {
        var fields = HPACKHeaders()
        fields.add(name: ":method", value: head.method)
        fields.add(name: ":scheme", value: isTLS ? "https" : "http")
        let host = head.headers.first { $0.name.lowercased() == "host" }?.value ?? ""
        fields.add(name: ":authority", value: host)
        fields.add(name: ":path", value: head.target)
        for header in head.headers where header.name.lowercased() != "host" {
            fields.add(name: header.name.lowercased(), value: header.value)
        }
        return fields
    }
}

/// Begins HTTP/2 when the handshake is over, and asks for one thing.
private final class HTTP2Starter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let begun: UInt64
    private var connected: UInt64 = 0
    private let fields: HPACKHeaders
    private let body: [UInt8]
    private let done: EventLoopPromise<HTTP2Answer>
    var facts: HandshakeFacts?

    init(begun: UInt64, fields: HPACKHeaders, body: [UInt8], done: EventLoopPromise<HTTP2Answer>) {
        self.begun = begun
        self.fields = fields
        self.body = body
        self.done = done
    }

    func channelActive(context: ChannelHandlerContext) {
        connected = monotonicNow()
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted(let chosen) = event {
            if chosen == "h2" {
                start(context)
            } else {
                done.fail(ConnectionFault.handshake("the server chose \(chosen ?? "no protocol")"))
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func start(_ context: ChannelHandlerContext) {
        let times = OpeningTimes(begun: begun, connected: connected, ready: monotonicNow())
        let (fields, body, facts, done) = (fields, body, facts, done)
        do {
            let multiplexer = try context.pipeline.syncOperations.configureHTTP2Pipeline(
                mode: .client, connectionConfiguration: .init(), streamConfiguration: .init(),
                inboundStreamInitializer: { $0.close() })
            multiplexer.createStreamChannel { stream in
                stream.eventLoop.makeCompletedFuture {
                    let handler = StreamAnswer(fields: fields, body: body, facts: facts, times: times, done: done)
                    try stream.pipeline.syncOperations.addHandler(handler)
                }
            }.whenFailure { done.fail(ConnectionFault.ended(XKSConnector.words($0))) }
        } catch {
            done.fail(ConnectionFault.ended(XKSConnector.words(error)))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        done.fail(ConnectionFault.ended(XKSConnector.words(error)))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        done.fail(ConnectionFault.ended(""))
        context.fireChannelInactive()
    }
}

/// Sends the request on its stream, and collects the answer.
private final class StreamAnswer: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private let fields: HPACKHeaders
    private let body: [UInt8]
    private let facts: HandshakeFacts?
    private let times: OpeningTimes
    private let done: EventLoopPromise<HTTP2Answer>
    private var answer: HTTPAnswer?
    private var interim: [Int] = []

    init(
        fields: HPACKHeaders, body: [UInt8], facts: HandshakeFacts?, times: OpeningTimes,
        done: EventLoopPromise<HTTP2Answer>
    ) {
        self.fields = fields
        self.body = body
        self.facts = facts
        self.times = times
        self.done = done
    }

    func channelActive(context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(.headers(.init(headers: fields, endStream: body.isEmpty))), promise: nil)
        if !body.isEmpty {
            let data = IOData.byteBuffer(ByteBuffer(bytes: body))
            context.write(wrapOutboundOut(.data(.init(data: data, endStream: true))), promise: nil)
        }
        context.flush()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .headers(let headers):
            take(headers.headers)
            if headers.endStream { finish() }
        case .data(let data):
            guard case .byteBuffer(let bytes) = data.data else { return }
            guard (answer?.body.count ?? 0) + bytes.readableBytes <= AnswerReader.longestBody else {
                return done.fail(ConnectionFault.malformed(.bodyTooLong))
            }
            answer?.body += Array(bytes.readableBytesView)
            if data.endStream { finish() }
        default: break
        }
    }

    private func take(_ headers: HPACKHeaders) {
        // Trailers say nothing of the answer.
        guard answer == nil else { return }
        guard let status = headers.first(name: ":status").flatMap({ Int($0) }), (100...999).contains(status) else {
            return done.fail(ConnectionFault.malformed(.statusLine))
        }
        guard status >= 200 else { return interim.append(status) }
        let fields = headers.filter { !$0.name.hasPrefix(":") }.map { HeaderField(name: $0.name, value: $0.value) }
        var answer = HTTPAnswer(status: status, version: "HTTP/2", headers: fields, body: [])
        answer.interim = interim
        self.answer = answer
    }

    private func finish() {
        guard let answer else { return done.fail(ConnectionFault.malformed(.statusLine)) }
        done.succeed(HTTP2Answer(answer: answer, facts: facts, times: times, complete: monotonicNow()))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        done.fail(ConnectionFault.ended(XKSConnector.words(error)))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        done.fail(ConnectionFault.ended("the stream was reset"))
    }
}

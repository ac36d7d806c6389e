// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Logging
import NIOCore
import NIOHPACK
import NIOHTTP2
import XKSProtocol

/// One HTTP/2 stream: one request, one answer.
///
/// Reads frames itself rather than through the HTTP/1 codec of NIOHTTP2: that would make up header fields
/// (`transfer-encoding`, `content-length`) which the client never sent, and hide a Host that contradicts `:authority`.
final class HTTP2StreamHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private enum Phase {
        /// Nothing is here yet. To `receivingBody`, `answering`.
        case waiting
        /// The header is here, the end is not. To `inWork`, `answering`.
        case receivingBody
        /// The service has the request. To `answering`, `abandoned`.
        case inWork
        /// The client has gone, or has reset the stream, while the service has its request. Final.
        case abandoned
        /// No room for one more stream of a client that has not authenticated. Final.
        case refused
        /// The answer is on its way; what still comes is dropped. Final.
        case answering
    }

    private let environment: ConnectionEnvironment
    private let connection: HTTP2ConnectionHandler
    /// A client may give up one stream alone.
    private let presence = CallerPresence()
    private var context: ChannelHandlerContext?
    private var phase = Phase.waiting
    private var deadline: UInt64
    private var assembler: RequestAssembler
    /// Of a request that was refused, as long as it waits for more of the body.
    private var refusedLine: RefusedLine?
    private var reservedBytes = 0
    private var chargedBytes = 0
    /// Read since the answer, and dropped.
    private var droppedBytes = 0
    private var isHead = false

    /// Bytes of body that a client may send after it was refused; then the stream is reset before its time.
    private static let droppedBytes = 1 << 20

    private var client: ClientConnection { connection.client }

    init(environment: ConnectionEnvironment, connection: HTTP2ConnectionHandler) {
        self.environment = environment
        self.connection = connection
        self.assembler = RequestAssembler(limits: environment.assemblerLimits)
        self.deadline = ListenerTimeouts.deadline(environment.timeouts.header, after: monotonicNanoseconds())
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if !connection.streamOpened() || !charge(bytes: MemoryPlan.streamBytes) { phase = .refused }
        environment.table.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        presence.leave()
        refusedLine?.end()
        connection.streamClosed()
        environment.table.remove(self)
        assembler.abandon()
        if phase == .inWork {
            // Nobody waits for the answer. The service may still hold the body.
            phase = .abandoned
            environment.admission.leave()
        } else {
            releaseBody()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase != .refused else { return refuseStream(context) }
        do throws(Refusal) {
            switch unwrapInboundIn(data) {
            case .headers(let frame): try take(frame)
            case .data(let frame): try take(frame)
            default: return
            }
        } catch {
            refuse(error, readingOn: true)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        environment.logger.debug(
            "stream ended by an error", metadata: ["peer": "\(client.peer)", "error": "\(error)"])
        context.close(promise: nil)
    }

    // MARK: The request

    private func take(_ frame: HTTP2Frame.FramePayload.Headers) throws(Refusal) {
        // A second header block carries trailers, which nothing here reads.
        if phase == .waiting { try begin(frame.headers) }
        if frame.endStream { try handOn() }
    }

    private func begin(_ block: HPACKHeaders) throws(Refusal) {
        let now = monotonicNanoseconds()
        phase = .receivingBody
        deadline = ListenerTimeouts.deadline(environment.timeouts.body, after: now)
        let head = try RequestHead(block)
        isHead = head.method == "HEAD"
        let beginning = try assembler.begin(head, receivedAt: now)
        if !client.isAuthenticated {
            let bytes = block.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
            guard charge(bytes: bytes) else { throw .tooMuchBuffered }
        }
        if beginning.sendContinue, let context {
            let interim = HTTP2Frame.FramePayload.headers(.init(headers: [":status": "100"]))
            context.writeAndFlush(wrapOutboundOut(interim), promise: nil)
        }
    }

    private func take(_ frame: HTTP2Frame.FramePayload.Data) throws(Refusal) {
        guard case .byteBuffer(let piece) = frame.data else { throw .malformed }
        defer { piece.overwriteConsumedBytes() }
        guard phase == .receivingBody else { return drop(piece, endStream: frame.endStream) }
        do throws(Refusal) {
            try append(piece)
            if frame.endStream { try handOn() }
        } catch {
            refuse(error, readingOn: !frame.endStream)
            refusedLine?.take(piece)
        }
    }

    private func append(_ piece: ByteBuffer) throws(Refusal) {
        guard environment.admission.reserve(bodyBytes: piece.readableBytes) else { throw .tooMuchBuffered }
        reservedBytes += piece.readableBytes
        // The assembler takes up to twice the bytes that have come.
        guard charge(bytes: 2 * piece.readableBytes) else { throw .tooMuchBuffered }
        try piece.withUnsafeReadableBytesTyped { bytes throws(Refusal) in try assembler.append(bytes) }
    }

    private func handOn() throws(Refusal) {
        guard phase == .receivingBody else { return }
        let request = try assembler.finish(peer: client.peer, caller: presence)
        guard environment.admission.enter(), let context else { return refuse(.tooManyInFlight, request) }
        phase = .inWork
        deadline = .max
        let stream = NIOLoopBound(self, eventLoop: context.eventLoop)
        if environment.table.isLate(now: request.receivedAt) {
            // The loop stood still. Whoever has gone in the meantime is known to have gone once this turn is over.
            context.eventLoop.execute { stream.value.serve(request) }
        } else {
            serve(request)
        }
    }

    private func serve(_ request: ProxyRequest) {
        guard phase == .inWork, let context, connection.isConnected else {
            environment.undelivered(request, of: client)
            if phase == .inWork { environment.admission.leave() }
            phase = .answering
            return releaseBody()
        }
        let stream = NIOLoopBound(self, eventLoop: context.eventLoop)
        environment.service.handle(request) { response in
            if stream.eventLoop.inEventLoop {
                stream.value.deliver(response)
            } else {
                stream.eventLoop.execute { stream.value.deliver(response) }
            }
        }
    }

    private func deliver(_ response: ProxyResponse) {
        guard phase == .inWork else {
            if phase == .abandoned { releaseBody() }
            return
        }
        environment.admission.leave()
        releaseBody()
        let now = monotonicNanoseconds()
        // Before the answer: whoever has read it must not be pushed out any more.
        connection.answered(response, now: now)
        answer(response, lingering: false, now: now)
    }

    private func releaseBody() {
        environment.admission.release(bodyBytes: reservedBytes)
        reservedBytes = 0
        guard chargedBytes > 0 else { return }
        client.release(bytes: chargedBytes)
        chargedBytes = 0
    }

    /// Counts what a client that has not authenticated makes the node hold.
    @inline(__always)
    private func charge(bytes: Int) -> Bool {
        if client.isAuthenticated { return true }
        guard client.charge(bytes: bytes) else { return false }
        chargedBytes += bytes
        return true
    }

    private func drop(_ piece: ByteBuffer, endStream: Bool) {
        droppedBytes += piece.readableBytes
        refusedLine?.take(piece)
        if endStream { refusedLine?.end() }
        guard phase == .answering, droppedBytes > Self.droppedBytes, let context else { return }
        // The answer is whole: the client may stop sending (RFC 9113 section 8.1).
        reset(.noError, context)
    }

    private func refuseStream(_ context: ChannelHandlerContext) {
        client.count(.streamsFull)
        // The client may send this request again: it was not looked at (RFC 9113 section 8.7).
        reset(.refusedStream, context)
    }

    private func reset(_ code: HTTP2ErrorCode, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(.rstStream(code)), promise: nil)
        context.close(promise: nil)
    }

    // MARK: The answer

    /// - Parameters:
    ///   - request: what has been read of it, where the assembler does not have it any more.
    ///   - readingOn: the rest of its body may still come, and be dropped.
    private func refuse(_ refusal: Refusal, _ request: ProxyRequest? = nil, readingOn: Bool = false) {
        guard phase == .waiting || phase == .receivingBody else { return }
        refusedLine = environment.refused(
            refusal, request ?? assembler.giveUp(peer: client.peer), of: client, mayRead: readingOn)
        assembler.abandon()
        releaseBody()
        answer(refusal.response, lingering: true, now: monotonicNanoseconds())
    }

    private func answer(_ response: ProxyResponse, lingering: Bool, now: UInt64) {
        phase = .answering
        guard let context else { return }
        let time = lingering ? environment.timeouts.linger : environment.timeouts.write
        deadline = ListenerTimeouts.deadline(time, after: now)
        let hasBody = !isHead && !response.body.isEmpty
        var fields: HPACKHeaders = [
            ":status": String((200...599).contains(response.status) ? response.status : 500),
            "content-type": "application/json",
            "content-length": String(response.body.count),
            "date": environment.table.date.text,
        ]
        if response.status == 405 { fields.add(name: "allow", value: "POST") }
        context.write(
            wrapOutboundOut(.headers(.init(headers: fields, endStream: !hasBody))), promise: nil)
        guard hasBody else { return context.flush() }
        var body = context.channel.allocator.buffer(capacity: response.body.count)
        response.body.withUnsafeBytes { _ = body.writeBytes($0) }
        let written = context.eventLoop.makePromise(of: Void.self)
        // Whatever became of the write, nobody reads these bytes after it: frames are slices of this memory.
        written.futureResult.whenComplete { [body] _ in body.overwriteConsumedBytes() }
        context.writeAndFlush(
            wrapOutboundOut(.data(.init(data: .byteBuffer(body), endStream: true))), promise: written)
    }
}

extension HTTP2StreamHandler: Supervised {
    var generation: Int { client.generation }

    func check(now: UInt64) {
        guard now >= deadline else { return }
        switch phase {
        case .receivingBody:
            refuse(.bodyTooSlow)
        case .waiting, .refused, .answering:
            // Either the client does not read its answer, or it goes on sending after a refusal: reset the stream.
            environment.admission.countTimeout()
            abort()
        case .inWork, .abandoned:
            return
        }
    }

    /// The connection does the draining: GOAWAY lets open streams finish.
    func drain() {}

    func abort() {
        context?.close(promise: nil)
    }

    func cut() { client.cut() }
}

extension RequestHead {
    /// From a header block (RFC 9113 section 8.3.1). NIOHTTP2 has checked that pseudo-header fields come first, that
    /// none is repeated or unknown, and that no field belongs to HTTP/1.1's connections.
    init(_ block: HPACKHeaders) throws(Refusal) {
        var method: String?
        var target: String?
        var authority: String?
        var fields: [HeaderField] = []
        fields.reserveCapacity(block.count)
        for (name, value, _) in block {
            switch name {
            case ":method": method = value
            case ":path": target = value
            case ":authority": authority = value
            case "host": fields.append(HeaderField(name: name, value: value))
            default:
                if name.utf8.first == UInt8(ascii: ":") { continue }
                fields.append(HeaderField(name: name, value: value))
            }
        }
        guard let method, let target else { throw .malformed }
        if let authority {
            // A Host that says the same is left out, so that there is one; another one contradicts, and is refused as a
            // second one.
            fields.removeAll { $0.name == "host" && $0.value == authority }
            fields.insert(HeaderField(name: "host", value: authority), at: 0)
        }
        self.init(version: .http2, method: method, target: target, headers: fields)
    }
}

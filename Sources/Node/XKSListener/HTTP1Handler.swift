// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOHTTP1
import XKSProtocol

/// One HTTP/1 connection: takes the parser's parts, hands whole requests on one at a time, writes answers in order.
///
/// The only handler behind the parser, and there is no encoder: an answer is one buffer. Reads are asked for, never
/// automatic: nothing is read while a request is in work or an answer is unread, so the kernel's window is what a
/// client can fill.
final class HTTP1Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    enum Phase {
        /// Between requests. To `receivingHead`, `receivingBody`, `closing`.
        case idle
        /// Part of a head is here. To `receivingBody`, `closing`.
        case receivingHead
        /// The head is here, the end is not. To `inWork`, `idle` (refused with 429), `closing`, `lingering`.
        case receivingBody
        /// The service has the request. To `idle`, `flushing`, `closing`, `abandoned`.
        case inWork
        /// The client has gone while the service has its request. To `closing`.
        case abandoned
        /// The client has not read the last answer. To `idle`, `closing`.
        case flushing
        /// The last answer is on its way, the connection closes when it is written. Final.
        case closing
        /// Refused and half closed: what still comes is dropped. Final.
        case lingering
    }

    let environment: ConnectionEnvironment
    let client: ClientConnection
    var context: ChannelHandlerContext?
    var phase = Phase.idle
    var deadline: UInt64
    var answers = AnswerBuffer()
    var closesAfterAnswer = false
    /// It was asked to end, for a reason that the client does not know.
    var isDraining = false
    /// What has been read since a refusal, and dropped.
    var readsAfterRefusal = 0
    var lastWrite: UInt64 = 0

    private var assembler: RequestAssembler
    /// Of the request that was refused, as long as it waits for more of the body.
    private var refusedLine: RefusedLine?
    private var intake: HTTP1Intake
    private var headStartedAt: UInt64?
    private var reservedBytes = 0
    private var chargedBytes = 0
    private var isHead = false
    private var isHTTP10KeepAlive = false
    /// Distinguishes the answer to the request in work from a second answer to an earlier one.
    private var sequence: UInt64 = 0
    /// Bytes of the next request's head came while one was in work.
    private var hasPartOfNextHead = false
    private var isPumping = false
    private var isInReadCycle = false
    private var sawPart = false

    init(environment: ConnectionEnvironment, client: ClientConnection) {
        self.environment = environment
        self.client = client
        self.assembler = RequestAssembler(limits: environment.assemblerLimits)
        self.intake = HTTP1Intake(
            requestLimit: environment.limits.pipelinedRequests, byteLimit: environment.limits.bodyBytes)
        self.deadline = ListenerTimeouts.deadline(environment.timeouts.idle, after: monotonicNanoseconds())
    }

    /// Ready for the next part of a request.
    private var isAccepting: Bool {
        switch phase {
        case .idle, .receivingHead, .receivingBody: true
        case .inWork, .abandoned, .flushing, .closing, .lingering: false
        }
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isDraining = environment.table.isDraining
        closesAfterAnswer = isDraining
        environment.table.add(self)
        if context.channel.isActive { context.read() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        environment.table.remove(self)
        self.context = nil
        refusedLine?.end()
        intake.removeAll()
        assembler.abandon()
        answers.wipeIfWritten()
        if phase == .inWork {
            // Nobody waits for the answer. The service may still hold the body.
            phase = .abandoned
            environment.admission.leave()
        } else {
            releaseBody()
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isInReadCycle = true
        sawPart = true
        let part = unwrapInboundIn(data)
        if isAccepting && intake.isEmpty && !isPumping {
            process(.part(part))
        } else {
            take(.part(part))
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isInReadCycle = false
        if !sawPart {
            // Bytes came and made no part: the beginning of a head.
            switch phase {
            case .idle: headBegins(now: monotonicNanoseconds())
            case .inWork: hasPartOfNextHead = true
            default: break
            }
        }
        sawPart = false
        pump()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable, phase == .flushing else { return }
        becomeIdle()
        pump()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // At the end of input the parser complains about a request that was cut off: nobody is there to be informed.
        guard context.channel.isActive else { return }
        switch error {
        case is HTTPParserError, is ByteToMessageDecoderError.PayloadTooLargeError:
            if isAccepting && intake.isEmpty {
                process(.failure(Refusal(parserError: error)))
            } else {
                take(.failure(Refusal(parserError: error)))
            }
        case is ByteToMessageDecoderError:
            // More bytes after a parser error. They are dropped; they still have to be read off the socket.
            return
        default:
            environment.logger.debug(
                "connection ended by an error", metadata: ["peer": "\(client.peer)", "error": "\(error)"])
            context.close(promise: nil)
        }
    }

    // MARK: Requests

    private func headBegins(now: UInt64) {
        headStartedAt = now
        phase = .receivingHead
        deadline = ListenerTimeouts.deadline(environment.timeouts.header, after: now)
    }

    private func take(_ item: HTTP1Intake.Item) {
        if phase == .closing || phase == .lingering || phase == .abandoned { return drop(item) }
        intake.append(item)
    }

    private func drop(_ item: HTTP1Intake.Item) {
        switch item {
        case .part(.body(let piece)):
            refusedLine?.take(piece)
            piece.overwriteConsumedBytes()
        case .part(.end), .failure: refusedLine?.end()
        case .part(.head): break
        }
    }

    /// Works off what waits, then asks for more bytes if nothing does.
    private func pump() {
        guard !isPumping else { return }
        isPumping = true
        while isAccepting, let item = intake.popFirst() { process(item) }
        isPumping = false
        guard !isInReadCycle, let context else { return }
        switch phase {
        case .idle where intake.hasOverflowed:
            environment.admission.count(.tooMuchBuffered, of: client)
            linger(after: ByteBuffer(), context: context)
        case .receivingBody where intake.hasOverflowed:
            // The rest of this request was dropped.
            refuse(.tooMuchBuffered)
        case .idle where closesAfterAnswer:
            closeWhenFlushed()
        case .idle, .receivingHead, .receivingBody:
            context.read()
        case .lingering:
            readAfterRefusal(context)
        case .inWork where intake.isEmpty:
            // A read asked for now, before the channel's own read cycle ends, keeps the socket registered: two system
            // calls less for each request. What comes meanwhile is a pipelined request, and waits within the limits.
            context.read()
        case .inWork, .abandoned, .flushing, .closing:
            break
        }
    }

    private func process(_ item: HTTP1Intake.Item) {
        do throws(Refusal) {
            switch item {
            case .part(.head(let head)): try begin(head)
            case .part(.body(let piece)): take(piece)
            case .part(.end): try handOn()
            case .failure(let refusal): refuse(refusal)
            }
        } catch {
            refuse(error, readingOn: true)
        }
    }

    private func begin(_ head: HTTPRequestHead) throws(Refusal) {
        let now = monotonicNanoseconds()
        let receivedAt = headStartedAt ?? now
        headStartedAt = nil
        phase = .receivingBody
        deadline = ListenerTimeouts.deadline(environment.timeouts.body, after: now)
        isHead = head.method == .HEAD
        isHTTP10KeepAlive = head.version.minor == 0 && head.isKeepAlive
        if !head.isKeepAlive { closesAfterAnswer = true }
        let beginning = try assembler.begin(RequestHead(head), receivedAt: receivedAt)
        if beginning.closesAfter { closesAfterAnswer = true }
        if beginning.sendContinue, let context {
            let interim = ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")
            context.writeAndFlush(wrapOutboundOut(interim), promise: nil)
        }
    }

    private func take(_ piece: ByteBuffer) {
        defer { piece.overwriteConsumedBytes() }
        // After a refusal the parser still delivers the rest of what it has.
        guard phase == .receivingBody else { return }
        do throws(Refusal) {
            try append(piece)
        } catch {
            refuse(error, readingOn: true)
            refusedLine?.take(piece)
        }
    }

    private func append(_ piece: ByteBuffer) throws(Refusal) {
        guard environment.admission.reserve(bodyBytes: piece.readableBytes) else { throw .tooMuchBuffered }
        reservedBytes += piece.readableBytes
        if !client.isAuthenticated { try charge(piece) }
        try piece.withUnsafeReadableBytesTyped { bytes throws(Refusal) in try assembler.append(bytes) }
    }

    /// The assembler takes up to twice the bytes that have come.
    private func charge(_ piece: ByteBuffer) throws(Refusal) {
        guard client.charge(bytes: 2 * piece.readableBytes) else { throw .tooMuchBuffered }
        chargedBytes += 2 * piece.readableBytes
    }

    private func handOn() throws(Refusal) {
        guard phase == .receivingBody else { return }
        let request = try assembler.finish(peer: client.peer, caller: client.presence)
        guard environment.admission.enter(), let context else {
            // The request was read whole, so the connection can go on.
            _ = environment.refused(.tooManyInFlight, request, of: client, mayRead: false)
            releaseBody()
            answer(Refusal.tooManyInFlight.response)
            return
        }
        phase = .inWork
        deadline = .max
        sequence &+= 1
        let expected = sequence
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        if environment.table.isLate(now: request.receivedAt) {
            // The loop stood still. Whoever has gone in the meantime is known to have gone once this turn is over.
            context.eventLoop.execute { connection.value.serve(request, as: expected) }
        } else {
            serve(request, as: expected)
        }
    }

    private func serve(_ request: ProxyRequest, as expected: UInt64) {
        guard phase == .inWork, sequence == expected, let context, context.channel.isActive else {
            environment.undelivered(request, of: client)
            return forget(expected)
        }
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        environment.service.handle(request) { response in
            if connection.eventLoop.inEventLoop {
                connection.value.deliver(response, to: expected)
            } else {
                connection.eventLoop.execute { connection.value.deliver(response, to: expected) }
            }
        }
    }

    /// Gives up a request that was not handed on, because its client has gone.
    private func forget(_ forgotten: UInt64) {
        guard sequence == forgotten else { return }
        if phase == .inWork { environment.admission.leave() }
        releaseBody()
        phase = .closing
    }

    private func deliver(_ response: ProxyResponse, to expected: UInt64) {
        guard phase == .inWork || phase == .abandoned, sequence == expected else { return }
        releaseBody()
        // The client may be gone; then the answer has nowhere to go.
        guard phase == .inWork, context != nil else {
            phase = .closing
            return
        }
        environment.admission.leave()
        // Before the answer: whoever has read it must not be pushed out any more. The time is that of the answer before.
        client.answered(response, now: lastWrite)
        answer(response)
        pump()
    }

    private func releaseBody() {
        environment.admission.release(bodyBytes: reservedBytes)
        reservedBytes = 0
        guard chargedBytes > 0 else { return }
        client.release(bytes: chargedBytes)
        chargedBytes = 0
    }

    // MARK: Answers

    private func answer(_ response: ProxyResponse) {
        guard let context else { return }
        let field: ConnectionField = closesAfterAnswer ? .close : isHTTP10KeepAlive ? .keepAlive : .none
        let buffer = answers.encode(
            response, connection: field, withBody: !isHead, date: environment.table.date)
        lastWrite = monotonicNanoseconds()
        if closesAfterAnswer && isDraining {
            // The client did not ask for the end, and may be sending its next request now.
            linger(after: buffer, context: context)
            return
        }
        if closesAfterAnswer {
            phase = .closing
            deadline = ListenerTimeouts.deadline(environment.timeouts.write, after: lastWrite)
            writeAndClose(buffer, context: context)
            return
        }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        settle(context)
    }

    /// After an answer: on to the next request, unless the client does not read.
    private func settle(_ context: ChannelHandlerContext) {
        if context.channel.isWritable {
            becomeIdle()
        } else {
            phase = .flushing
            deadline = ListenerTimeouts.deadline(environment.timeouts.write, after: lastWrite)
        }
    }

    private func becomeIdle() {
        phase = .idle
        isHead = false
        deadline = ListenerTimeouts.deadline(environment.timeouts.idle, after: lastWrite)
        if hasPartOfNextHead && intake.isEmpty { headBegins(now: lastWrite) }
        hasPartOfNextHead = false
        answers.wipeIfWritten()
    }

    /// Answers a request that will not be read to its end, and ends the connection: where the next request would
    /// begin is not known.
    ///
    /// - Parameter readingOn: the rest of its body may still come, and be dropped.
    func refuse(_ refusal: Refusal, readingOn: Bool = false) {
        guard let context, isAccepting else { return }
        refusedLine = environment.refused(
            refusal, assembler.giveUp(peer: client.peer), of: client, mayRead: readingOn)
        assembler.abandon()
        releaseBody()
        intake.removeAll()
        closesAfterAnswer = true
        let buffer = answers.encode(
            refusal.response, connection: .close, withBody: !isHead, date: environment.table.date)
        linger(after: buffer, context: context)
    }
}

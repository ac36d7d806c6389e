// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOSSL
import NIOTLS
import TLSFacts
import XKSCalls

/// An answer, and when it came, nanoseconds of the monotonic clock (CLOCK_MONOTONIC).
package struct TimedAnswer: Sendable, Equatable {
    package var answer: HTTPAnswer
    package var firstByte: UInt64
    package var complete: UInt64
}

/// A connection of HTTP/1.1 to a proxy: what is sent are bytes as they are, what comes are answers in order. It may be
/// used from any thread; each wait has a bound, and so has what is kept of what comes.
package final class XKSConnection: Sendable {
    package let times: OpeningTimes
    /// `nil` for a plain connection, and where the server's first messages could not be read.
    package let facts: HandshakeFacts?
    /// What the server has chosen of what it was offered (ALPN).
    package let chosenProtocol: String?
    private let channel: any Channel
    private let handler: NIOLoopBound<AnswerHandler>

    package var eventLoop: any EventLoop { channel.eventLoop }

    fileprivate init(_ handler: AnswerHandler, channel: any Channel, times: OpeningTimes, chosenProtocol: String?) {
        self.times = times
        self.channel = channel
        self.chosenProtocol = chosenProtocol
        facts = handler.facts
        self.handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
    }

    deinit { channel.close(mode: .all, promise: nil) }

    /// Sends bytes. Returns when they are with the kernel.
    @discardableResult
    package func send(_ bytes: [UInt8]) -> EventLoopFuture<Void> { channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    @discardableResult
    package func send(_ bytes: ByteBuffer) -> EventLoopFuture<Void> { channel.writeAndFlush(bytes) }

    /// The next answer that nobody waits for yet.
    ///
    /// - Parameter toHead: that it has no body, whatever its headers say.
    /// - Returns: fails with a `ConnectionFault`.
    package func answer(within limit: TimeAmount, toHead: Bool = false) -> EventLoopFuture<TimedAnswer> {
        eventLoop.flatSubmit { self.handler.value.nextAnswer(within: limit, toHead: toHead, on: self.eventLoop) }
    }

    /// Sends a request, and returns its answer, where nothing else is under way.
    package func call(_ request: ByteBuffer, within limit: TimeAmount) -> EventLoopFuture<TimedAnswer> {
        eventLoop.flatSubmit {
            self.channel.writeAndFlush(request, promise: nil)
            return self.handler.value.nextAnswer(within: limit, toHead: false, on: self.eventLoop)
        }
    }

    /// Waits until the other side has ended the connection. Returns whether it has.
    package func isEnded(within limit: TimeAmount) -> EventLoopFuture<Bool> {
        let done = eventLoop.makePromise(of: Bool.self)
        channel.closeFuture.whenComplete { _ in done.succeed(true) }
        let timer = eventLoop.scheduleTask(in: limit) { done.succeed(false) }
        done.futureResult.whenComplete { _ in timer.cancel() }
        return done.futureResult
    }

    package func close() { channel.close(mode: .all, promise: nil) }
}

/// Reads answers, and gives them to whoever waits, in order. On its event loop only.
final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Answers that nobody has asked for; more end the connection.
    private static let mostUnasked = 64

    private let begun: UInt64
    private let awaitsTLS: Bool
    private let limit: TimeAmount
    private let opened: EventLoopPromise<XKSConnection>
    private var isOpened = false
    private var timer: Scheduled<Void>?
    private var connected: UInt64 = 0
    var facts: HandshakeFacts?

    private var reader = AnswerReader()
    private var firstByte: UInt64?
    private var answers: CircularBuffer<TimedAnswer> = []
    private var waiting: CircularBuffer<(promise: EventLoopPromise<TimedAnswer>, number: UInt64)> = []
    private var lastNumber: UInt64 = 0
    private var end: ConnectionFault?

    init(begun: UInt64, awaitsTLS: Bool, limit: TimeAmount, opened: EventLoopPromise<XKSConnection>) {
        self.begun = begun
        self.awaitsTLS = awaitsTLS
        self.limit = limit
        self.opened = opened
    }

    // MARK: The beginning

    func channelActive(context: ChannelHandlerContext) {
        connected = monotonicNow()
        guard awaitsTLS else { return open(context, chosenProtocol: nil) }
        let channel = context.channel
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: limit) {
            this.value.notOpened(.silent)
            channel.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted(let chosen) = event { open(context, chosenProtocol: chosen) }
        context.fireUserInboundEventTriggered(event)
    }

    private func open(_ context: ChannelHandlerContext, chosenProtocol: String?) {
        guard !isOpened else { return }
        isOpened = true
        timer?.cancel()
        opened.succeed(
            XKSConnection(
                self, channel: context.channel,
                times: OpeningTimes(begun: begun, connected: connected, ready: monotonicNow()),
                chosenProtocol: chosenProtocol))
    }

    private func notOpened(_ fault: ConnectionFault) {
        guard !isOpened else { return }
        isOpened = true
        timer?.cancel()
        opened.fail(fault)
    }

    // MARK: Answers

    func nextAnswer(within limit: TimeAmount, toHead: Bool, on loop: any EventLoop) -> EventLoopFuture<TimedAnswer> {
        if let answer = answers.popFirst() { return loop.makeSucceededFuture(answer) }
        if let end { return loop.makeFailedFuture(end) }
        if toHead { reader.answersHead = true }
        let promise = loop.makePromise(of: TimedAnswer.self)
        lastNumber &+= 1
        let number = lastNumber
        waiting.append((promise, number))
        let this = NIOLoopBound(self, eventLoop: loop)
        let timer = loop.scheduleTask(in: limit) { this.value.giveUp(number) }
        promise.futureResult.whenComplete { _ in timer.cancel() }
        return promise.futureResult
    }

    private func giveUp(_ number: UInt64) {
        guard let index = waiting.firstIndex(where: { $0.number == number }) else { return }
        waiting.remove(at: index).promise.fail(ConnectionFault.silent)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard end == nil else { return }
        let now = monotonicNow()
        reader.feed(unwrapInboundIn(data).readableBytesView)
        do throws(AnswerFault) {
            while true {
                // Line breaks between answers count as bytes of the next.
                if firstByte == nil, !reader.leftover.isEmpty { firstByte = now }
                guard let answer = try reader.next() else { break }
                deliver(answer, now)
            }
        } catch {
            finish(.malformed(error))
            context.close(promise: nil)
        }
        if answers.count > Self.mostUnasked {
            finish(.ended("more than \(Self.mostUnasked) answers came that nothing had asked for"))
            context.close(promise: nil)
        }
    }

    private func deliver(_ answer: HTTPAnswer, _ now: UInt64) {
        let timed = TimedAnswer(answer: answer, firstByte: firstByte ?? now, complete: now)
        firstByte = nil
        if let next = waiting.popFirst() { next.promise.succeed(timed) } else { answers.append(timed) }
    }

    // MARK: The end

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A server that does not say goodbye in TLS closes the connection nevertheless; HTTP says what is whole.
        if case NIOSSLError.uncleanShutdown = error { return context.close(promise: nil) }
        notOpened(.handshake(XKSConnector.words(error)))
        finish(.ended(XKSConnector.words(error)))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        notOpened(awaitsTLS ? .handshake("the other side closed the connection") : .unreachable("closed at once"))
        if end == nil {
            do throws(AnswerFault) {
                if let answer = try reader.end() { deliver(answer, monotonicNow()) }
                finish(.ended(""))
            } catch {
                finish(.malformed(error))
            }
        }
        context.fireChannelInactive()
    }

    private func finish(_ fault: ConnectionFault) {
        guard end == nil else { return }
        end = fault
        while let next = waiting.popFirst() { next.promise.fail(fault) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOTLS
import XKSCalls

/// Bytes that went over connections, TLS included.
struct WireBytes {
    var sent: UInt64 = 0
    var received: UInt64 = 0
}

/// Counts the bytes of a connection below its TLS.
final class WireCounter: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    private let lane: LoadLane
    private(set) var bytes = WireBytes()

    init(_ lane: LoadLane) { self.lane = lane }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let count = UInt64(unwrapInboundIn(data).readableBytes)
        bytes.received &+= count
        lane.wire.received &+= count
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let count = UInt64(unwrapOutboundIn(data).readableBytes)
        bytes.sent &+= count
        lane.wire.sent &+= count
        context.write(data, promise: promise)
    }
}

/// A request that is under way.
struct LoadCall {
    /// When it was due, nanoseconds of the monotonic clock.
    var due: UInt64
    var request: LoadRequest
    /// A connection was closed under it, which it had not used before: it was sent once more.
    var isRepeated = false
}

/// One connection of a load. On its event loop only; decides nothing.
final class LoadConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let lane: LoadLane
    private let counter: WireCounter
    private let awaitsTLS: Bool
    /// When it was begun, and when TCP was there.
    let begun: UInt64
    private(set) var connected: UInt64 = 0
    /// Its place in the lane's list.
    var index = 0
    private(set) var isReady = false
    private(set) var call: LoadCall?
    /// Answers that came.
    private(set) var answers = 0
    private var context: ChannelHandlerContext?
    private var reader = AnswerReader()
    private var isReading = false

    init(_ lane: LoadLane, _ counter: WireCounter, awaitsTLS: Bool, begun: UInt64) {
        self.lane = lane
        self.counter = counter
        self.awaitsTLS = awaitsTLS
        self.begun = begun
    }

    var handshakeBytes: WireBytes { counter.bytes }

    func send(_ call: LoadCall) {
        guard let context else { return }
        self.call = call
        context.writeAndFlush(wrapOutboundOut(call.request.bytes), promise: nil)
    }

    /// Without a word to the lane.
    func close() {
        call = nil
        context?.close(promise: nil)
    }

    // MARK: What the channel says

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        connected = NIODeadline.now().uptimeNanoseconds
        if !awaitsTLS { becomeReady() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event { becomeReady() }
        context.fireUserInboundEventTriggered(event)
    }

    private func becomeReady() {
        guard !isReady else { return }
        isReady = true
        lane.opened(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        guard let call else { return context.close(promise: nil) }
        if !isReading {
            let isDone = bytes.withUnsafeReadableBytes { bytes in
                guard let answer = QuickAnswer(bytes) else { return false }
                let body = UnsafeRawBufferPointer(rebasing: bytes[answer.body])
                finish(call, status: answer.status, closes: answer.closes, body: body)
                return true
            }
            if isDone { return }
        }
        isReading = true
        reader.feed(bytes.readableBytesView)
        read(call) { reader throws(AnswerFault) in try reader.next() }
    }

    private func read(
        _ call: LoadCall, isLast: Bool = false, _ next: (inout AnswerReader) throws(AnswerFault) -> HTTPAnswer?
    ) {
        do throws(AnswerFault) {
            guard let answer = try next(&reader) else { return }
            isReading = false
            answer.body.withUnsafeBytes { body in
                // What follows an answer is no answer to anything.
                let closes = isLast || answer.closes || !reader.leftover.isEmpty
                finish(call, status: answer.status, closes: closes, body: body)
            }
        } catch {
            self.call = nil
            lane.failed(self, call, .malformed)
            context?.close(promise: nil)
        }
    }

    private func finish(_ call: LoadCall, status: Int, closes: Bool, body: UnsafeRawBufferPointer) {
        self.call = nil
        answers += 1
        lane.answered(self, call, status: status, body: body, closes: closes)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        // An answer without a length goes on to the end of its connection.
        if isReading, let call { read(call, isLast: true) { reader throws(AnswerFault) in try reader.end() } }
        let lost = call
        call = nil
        lane.closed(self, during: lost, hadAnswer: isReading)
        context.fireChannelInactive()
    }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import NIOCore

/// Informed of what a worker says and when it ends, on the control socket's event loop.
protocol ControlDelegate: AnyObject, Sendable {
    func workerSaid(_ message: WorkerMessage, hsm: Int, epoch: UInt64)
    func workerEnded(hsm: Int, epoch: UInt64)
}

/// The node's end of a worker's control socket. Its closing is the end of the worker.
///
/// `@unchecked Sendable`: all mutable state is touched on `eventLoop` only.
final class ControlConnection: ChannelInboundHandler, WorkerControl, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let hsm: Int
    private let epoch: UInt64
    private let eventLoop: any EventLoop
    private weak let delegate: (any ControlDelegate)?
    private var context: ChannelHandlerContext?
    private var assembler = ControlFrameAssembler()
    /// What is said before the socket is on its event loop.
    private var waiting: [NodeMessage] = []
    private var isActive = false
    private var isClosed = false

    init(hsm: Int, epoch: UInt64, eventLoop: any EventLoop, delegate: any ControlDelegate) {
        self.hsm = hsm
        self.epoch = epoch
        self.eventLoop = eventLoop
        self.delegate = delegate
    }

    /// Sends a message that holds no secret. Any thread, and from the beginning on.
    package func send(_ message: NodeMessage) {
        eventLoop.execute {
            guard !self.isClosed else { return }
            guard self.isActive, let context = self.context else { return self.waiting.append(message) }
            self.write(message, context)
        }
    }

    private func write(_ message: NodeMessage, _ context: ChannelHandlerContext) {
        let buffer = message.encoded().withUnsafeBytes { context.channel.allocator.buffer(bytes: $0) }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    package func close() {
        eventLoop.execute { self.context?.close(promise: nil) }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        (isClosed, waiting) = (true, [])
    }

    func channelActive(context: ChannelHandlerContext) { begin(context) }

    private func begin(_ context: ChannelHandlerContext) {
        isActive = true
        for message in waiting { write(message, context) }
        waiting = []
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        do {
            for message in try buffer.withUnsafeReadableBytes({ try assembler.append($0) }) {
                delegate?.workerSaid(try WorkerMessage(decoding: message), hsm: hsm, epoch: epoch)
            }
        } catch {
            // A worker of another build, or one gone mad: end it, a new one is started.
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) { delegate?.workerEnded(hsm: hsm, epoch: epoch) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import NIOCore

/// Told what a worker says and when it ends, on the control socket's event loop.
protocol ControlDelegate: AnyObject, Sendable {
    func workerSaid(_ message: WorkerMessage, hsm: Int, epoch: UInt64)
    func workerEnded(hsm: Int, epoch: UInt64)
}

/// The node's end of a worker's control socket. Its closing is the end of the worker.
///
/// `@unchecked Sendable`: all mutable state is touched on `eventLoop` only.
final class ControlConnection: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let hsm: Int
    private let epoch: UInt64
    private let eventLoop: any EventLoop
    private weak let delegate: (any ControlDelegate)?
    private var context: ChannelHandlerContext?
    private var assembler = ControlFrameAssembler()

    init(hsm: Int, epoch: UInt64, eventLoop: any EventLoop, delegate: any ControlDelegate) {
        self.hsm = hsm
        self.epoch = epoch
        self.eventLoop = eventLoop
        self.delegate = delegate
    }

    /// Sends a message that holds no secret. Any thread.
    func send(_ message: NodeMessage) {
        let bytes = message.encoded()
        eventLoop.execute {
            guard let context = self.context else { return }
            let buffer = bytes.withUnsafeBytes { context.channel.allocator.buffer(bytes: $0) }
            context.writeAndFlush(self.wrapOutboundOut(buffer), promise: nil)
        }
    }

    func close() {
        eventLoop.execute { self.context?.close(promise: nil) }
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

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

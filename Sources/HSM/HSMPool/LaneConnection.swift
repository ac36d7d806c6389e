// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import NIOCore
import Routing
import SecureMemory

/// Informed of what happens on lanes, on the lane's event loop.
protocol LaneDelegate: AnyObject, Sendable {
    func laneAnswered(_ lane: LaneID, answer: LaneAnswer)
    /// - Parameter call: generation of what the worker had read and not answered; `nil` when there is nothing of which
    ///   that is known.
    func laneClosed(_ lane: LaneID, epoch: UInt64, during call: UInt64?)
}

/// The node's end of one lane: writes frames, reads the answers. Decides nothing.
///
/// `@unchecked Sendable`: all mutable state is touched on `eventLoop` only; `send` hops there.
final class LaneConnection: ChannelInboundHandler, WorkerLane, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let lane: LaneID
    /// Which start of the worker this lane belongs to.
    private let epoch: UInt64
    let eventLoop: any EventLoop
    private weak let delegate: (any LaneDelegate)?
    private var context: ChannelHandlerContext?
    private var frames = FrameBuffers()
    private var received = ByteBuffer()
    /// The socket was closed with something in it that the worker had not read.
    private var hasUnread = false

    init(lane: LaneID, epoch: UInt64, eventLoop: any EventLoop, delegate: any LaneDelegate) {
        self.lane = lane
        self.epoch = epoch
        self.eventLoop = eventLoop
        self.delegate = delegate
    }

    /// Sends one operation. Any thread. A lane that has closed meanwhile reports so by itself.
    package func send(_ operation: KeyOperation, keyReference: UInt32, generation: UInt64, deadline: UInt64) {
        let header = LaneRequestHeader(
            operation: operation.kind, generation: generation, deadline: deadline, keyReference: keyReference,
            aadLength: UInt32(clamping: operation.additionalData.count),
            ivLength: UInt8(clamping: operation.initializationVector.count),
            dataLength: UInt32(clamping: operation.data.count))
        if eventLoop.inEventLoop {
            write(header, operation)
        } else {
            eventLoop.execute { self.write(header, operation) }
        }
    }

    /// Has the lane open its session, or close it. Any thread.
    package func order(_ operation: LaneOperation, generation: UInt64) {
        let header = LaneRequestHeader(
            operation: operation, generation: generation, deadline: .max, keyReference: 0, aadLength: 0, ivLength: 0,
            dataLength: 0)
        eventLoop.execute {
            self.write(header, fields: [])
        }
    }

    package func close() {
        eventLoop.execute { self.context?.close(promise: nil) }
    }

    private func write(_ header: LaneRequestHeader, _ operation: KeyOperation) {
        write(header, fields: [operation.additionalData, operation.initializationVector, operation.data])
    }

    private func write(_ header: LaneRequestHeader, fields: [SecretBytes]) {
        guard let context else { return }
        let frame = frames.add { frame in
            frame.writeWithUnsafeMutableBytes(minimumWritableBytes: LaneRequestHeader.size) { target in
                header.encode(into: target)
                return LaneRequestHeader.size
            }
            for field in fields { _ = field.withUnsafeBytes { frame.writeBytes($0) } }
        }
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
        // Nobody was there to read it.
        if !context.channel.isActive { hasUnread = true }
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var incoming = unwrapInboundIn(data)
        if received.readableBytes > 0 {
            received.writeImmutableBuffer(incoming)
            wipeStorage(of: incoming)
            incoming = received
            received = ByteBuffer()
        }
        while incoming.readableBytes >= LaneAnswerHeader.size {
            guard let header = incoming.withUnsafeReadableBytes({ LaneAnswerHeader(decoding: $0) }) else {
                // Not a frame of this build: nothing that follows can be trusted.
                context.close(promise: nil)
                return
            }
            guard incoming.readableBytes >= LaneAnswerHeader.size + header.payloadLength else { break }
            guard frames.removeOldest() else {
                // An answer to nothing.
                wipeStorage(of: incoming)
                context.close(promise: nil)
                return
            }
            deliver(header, from: &incoming)
        }
        if incoming.readableBytes > 0 { received = incoming }
    }

    private func deliver(_ header: LaneAnswerHeader, from incoming: inout ByteBuffer) {
        let length = LaneAnswerHeader.size + header.payloadLength
        let ivEnd = LaneAnswerHeader.size + Int(header.ivLength)
        let output = incoming.withUnsafeReadableBytes { bytes in
            KeyOperationOutput(
                initializationVector: SecretBytes(
                    copying: UnsafeRawBufferPointer(rebasing: bytes[LaneAnswerHeader.size..<ivEnd])),
                data: SecretBytes(copying: UnsafeRawBufferPointer(rebasing: bytes[ivEnd..<length])))
        }
        if let answer = incoming.readSlice(length: length) { wipeStorage(of: answer) }
        delegate?.laneAnswered(lane, answer: LaneAnswer(header: header, output: output))
    }

    func channelInactive(context: ChannelHandlerContext) {
        let call = frames.oldestHeader?.generation
        frames.wipeAll()
        // A write that failed closes the channel before it returns: whether the frame was read is known then.
        context.eventLoop.execute { [self] in
            delegate?.laneClosed(lane, epoch: epoch, during: hasUnread ? nil : call)
        }
    }

    /// A Unix socket that is closed with unread bytes in it resets the other end (unix_release_sock in net/unix/af_unix.c);
    /// where the worker had read all, this end sees its end instead.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        hasUnread = true
        context.close(promise: nil)
    }
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Stands between TLS and NIOHTTP2, and sees what that does not tell.
///
/// It closes a connection whose preface, frame or header block does not become whole in the time for a header: NIOHTTP2
/// makes a stream, which has deadlines, of a whole header block only. And it sees whether an error was one of the whole
/// connection: NIOHTTP2 reports those of a stream to the connection's pipeline in the same form, but only for the former
/// it first writes GOAWAY with a cause (RFC 9113 section 5.4.1).
final class HTTP2FrameWatch: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// A GOAWAY frame as NIOHTTP2 writes it, without opaque data: head, last stream, cause. Nothing else that is written
    /// has this length and begins like this: other frames have another type, and bodies are JSON.
    private static let goAwayLength = 17
    private static let goAwayHead: UInt64 = 0x0000_0807_0000_0000

    /// The connection has ended for a cause.
    private(set) var hasSentGoAway = false

    private let environment: ConnectionEnvironment
    private let client: ClientConnection
    private var cursor = HTTP2FrameCursor()
    /// Of what is not whole; `.max` while everything is.
    private var deadline: UInt64
    private var completed: UInt64 = 0

    init(environment: ConnectionEnvironment, client: ClientConnection) {
        self.environment = environment
        self.client = client
        // A client speaks first, and at once (RFC 9113 section 3.4).
        deadline = ListenerTimeouts.deadline(environment.timeouts.header, after: monotonicNanoseconds())
    }

    func handlerAdded(context: ChannelHandlerContext) {
        environment.table.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        environment.table.remove(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        unwrapInboundIn(data).withUnsafeReadableBytes { cursor.advance($0) }
        if !cursor.isWaiting {
            deadline = .max
        } else if deadline == .max || completed != cursor.completed {
            deadline = ListenerTimeouts.deadline(environment.timeouts.header, after: monotonicNanoseconds())
        }
        completed = cursor.completed
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .byteBuffer(let frame) = unwrapOutboundIn(data), frame.readableBytes == Self.goAwayLength {
            noteGoAway(frame)
        }
        context.write(data, promise: promise)
    }

    private func noteGoAway(_ frame: ByteBuffer) {
        let start = frame.readerIndex
        guard frame.getInteger(at: start, as: UInt64.self) == Self.goAwayHead,
            let cause = frame.getInteger(at: start + 13, as: UInt32.self)
        else { return }
        if cause != 0 { hasSentGoAway = true }
    }
}

extension HTTP2FrameWatch: Supervised {
    var generation: Int { client.generation }

    func check(now: UInt64) {
        guard now >= deadline else { return }
        deadline = .max
        environment.admission.countTimeout()
        client.count(.headerTimeout)
        cut()
    }

    /// The tail of the pipeline does the draining.
    func drain() {}

    func abort() {}

    func cut() { client.cut() }
}

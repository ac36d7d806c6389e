// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Stands between TLS and the socket until the handshake is over. When the handshake fails, it closes our side only,
/// and goes on reading, and dropping, for a while.
///
/// A client of TLS 1.3 takes the handshake for done and sends its request before it learns that its certificate was
/// refused. A close with those bytes unread would reset the connection and lose the alert that says why.
final class HandshakeLinger: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let patience: TimeAmount
    private var isLingering = false
    private var isOver = false

    init(patience: TimeAmount) { self.patience = patience }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .all, !isOver, context.channel.isActive else {
            context.close(mode: mode, promise: promise)
            return
        }
        // TLS and whoever learns of its failure close both: the second time must not cut the first one short.
        if let promise { context.channel.closeFuture.cascade(to: promise) }
        guard !isLingering else { return }
        isLingering = true
        let bound = NIOLoopBound((self, context.channel), eventLoop: context.eventLoop)
        context.close(mode: .output, promise: nil)
        context.read()
        // Rare, so a task of its own may be scheduled for it.
        context.eventLoop.scheduleTask(in: patience) {
            let (linger, channel) = bound.value
            linger.isOver = true
            channel.close(mode: .all, promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !isLingering { context.fireChannelRead(data) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if isLingering { context.read() } else { context.fireChannelReadComplete() }
    }
}

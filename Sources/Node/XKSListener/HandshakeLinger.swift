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

    /// Bytes that are dropped after a failure; then the connection is closed before its time.
    private static let droppedBytes = 1 << 20

    /// The handler of TLS behind this one.
    let tls: any ChannelHandler
    /// The first that the client has sent; they tell what it took this port for.
    private(set) var firstBytes: [UInt8] = []

    private let patience: TimeAmount
    private var isLingering = false
    private var isOver = false
    private var dropped = 0

    init(patience: TimeAmount, tls: any ChannelHandler) {
        self.patience = patience
        self.tls = tls
    }

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
        guard isLingering else {
            if firstBytes.isEmpty {
                firstBytes = Array(unwrapInboundIn(data).readableBytesView.prefix(16))
            }
            context.fireChannelRead(data)
            return
        }
        dropped += unwrapInboundIn(data).readableBytes
        guard dropped > Self.droppedBytes else { return }
        isOver = true
        context.close(promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if isLingering { context.read() } else { context.fireChannelReadComplete() }
    }
}

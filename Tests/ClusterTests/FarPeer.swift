// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix

/// A TCP proxy before a peer that is far away: whatever passes, the first byte of a connection included, takes `delay` in
/// each direction.
final class FarPeer: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel

    var address: String { "127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    private init(group: MultiThreadedEventLoopGroup, channel: any Channel) {
        self.group = group
        self.channel = channel
    }

    /// - Parameter target: asked for each connection, so that the peer's port may be known later.
    static func start(delay: TimeAmount, target: @escaping @Sendable () -> Int) async throws -> FarPeer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { near in
                near.eventLoop.makeCompletedFuture {
                    // Its SYN has a long way, too.
                    let gate = DelayingHandler(delay: delay)
                    try near.pipeline.syncOperations.addHandler(gate)
                    let nearBound = NIOLoopBound(gate, eventLoop: near.eventLoop)
                    near.eventLoop.scheduleTask(in: delay + delay) {
                        ClientBootstrap(group: near.eventLoop)
                            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                            .channelInitializer { far in
                                far.eventLoop.makeCompletedFuture {
                                    let back = DelayingHandler(delay: delay)
                                    try far.pipeline.syncOperations.addHandler(back)
                                    back.partner = near
                                }
                            }
                            .connect(host: "127.0.0.1", port: target())
                            .whenComplete { result in
                                switch result {
                                case .success(let far): nearBound.value.join(far)
                                case .failure: near.close(promise: nil)
                                }
                            }
                    }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FarPeer(group: group, channel: channel)
    }

    func stop() async {
        try? await channel.close().get()
        try? await group.shutdownGracefully()
    }
}

/// Hands what comes in to another channel, later.
private final class DelayingHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let delay: TimeAmount
    var partner: (any Channel)?
    private var early: [ByteBuffer] = []

    init(delay: TimeAmount) { self.delay = delay }

    func join(_ partner: any Channel) {
        self.partner = partner
        for buffer in early { pass(buffer, on: partner.eventLoop) }
        early = []
    }

    private func pass(_ buffer: ByteBuffer, on loop: any EventLoop) {
        guard let partner else { return early.append(buffer) }
        loop.scheduleTask(in: delay) { partner.writeAndFlush(buffer, promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        pass(unwrapInboundIn(data), on: context.eventLoop)
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard let partner else { return }
        context.eventLoop.scheduleTask(in: delay) { partner.close(promise: nil) }
    }
}

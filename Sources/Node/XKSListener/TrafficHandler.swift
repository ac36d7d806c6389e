// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Synchronization

/// Bytes that the connections of one event loop have received and sent, TLS included. Written by that loop alone, so that
/// counting is no more than a load and a store; read by anybody.
final class LoopTraffic: Sendable {
    private let receivedBytes = Atomic<UInt64>(0)
    private let sentBytes = Atomic<UInt64>(0)

    var received: UInt64 { receivedBytes.load(ordering: .relaxed) }
    var sent: UInt64 { sentBytes.load(ordering: .relaxed) }

    @inline(__always)
    func receive(_ count: Int) {
        receivedBytes.store(received &+ UInt64(truncatingIfNeeded: count), ordering: .relaxed)
    }

    @inline(__always)
    func send(_ count: Int) {
        sentBytes.store(sent &+ UInt64(truncatingIfNeeded: count), ordering: .relaxed)
    }
}

/// The first handler of a connection: counts what comes and goes, and knows how far away the client is.
final class TrafficHandler: ChannelInboundHandler, ChannelOutboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private let traffic: LoopTraffic
    private let table: ConnectionTable
    private let client: ClientConnection
    private var channel: (any Channel)?

    init(_ client: ClientConnection, table: ConnectionTable) {
        self.client = client
        self.table = table
        traffic = table.traffic
    }

    func handlerAdded(context: ChannelHandlerContext) {
        channel = context.channel
        table.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        channel = nil
        table.remove(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        traffic.receive(unwrapInboundIn(data).readableBytes)
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        traffic.send(unwrapOutboundIn(data).readableBytes)
        context.write(data, promise: promise)
    }

    /// The kernel's smoothed round trip to the client (TCP_INFO, tcp(7)), nanoseconds, if it has sent a request that was
    /// authenticated. A balancer that ends TCP is the client then.
    func measure(_ sink: @escaping @Sendable (UInt64) -> Void) {
        guard client.isAuthenticated, let socket = channel as? any SocketOptionProvider else { return }
        socket.getTCPInfo().whenSuccess { sink(UInt64($0.tcpi_rtt) * 1_000) }
    }
}

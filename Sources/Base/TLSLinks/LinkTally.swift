// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Synchronization
import TLSFacts

/// Counts live connections by what their handshakes have agreed on. On any thread.
package final class LinkTally: Sendable {
    private let counts = Mutex<[HandshakeFacts: Int]>([:])

    package init() {}

    /// How many connections live, by what they have agreed on.
    package var connections: [HandshakeFacts: Int] { counts.withLock { $0 } }

    func count(_ facts: HandshakeFacts, until closed: EventLoopFuture<Void>) {
        counts.withLock { $0[facts, default: 0] += 1 }
        closed.whenComplete { _ in
            self.counts.withLock { counts in
                let left = (counts[facts] ?? 1) - 1
                counts[facts] = left > 0 ? left : nil
            }
        }
    }
}

/// Stands between TLS and the socket during the handshake, and reads what the server says in clear. It leaves the
/// connection when the handshake is over, and costs nothing then.
package final class LinkWitness: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// Which end of the connection this is.
    package enum Side: Sendable { case server, client }

    private let side: Side
    private let tally: LinkTally
    private var flight = ServerFlight()
    private var reading = ServerFlight.Reading.more

    package init(_ side: Side, tally: LinkTally) {
        self.side = side
        self.tally = tally
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if side == .client { note(unwrapInboundIn(data)) }
        context.fireChannelRead(data)
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if side == .server { note(unwrapOutboundIn(data)) }
        context.write(data, promise: promise)
    }

    private func note(_ bytes: ByteBuffer) {
        guard case .more = reading else { return }
        reading = flight.read(bytes.readableBytesView)
    }

    /// The handshake has ended well: the connection is counted from now on until it closes. On the event loop.
    package func succeed(on channel: any Channel) {
        if case .done(let facts?) = reading { tally.count(facts, until: channel.closeFuture) }
        channel.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}

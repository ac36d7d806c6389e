// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadGenerator
import NIOCore
import NIOPosix
import Synchronization

/// What the server of a test does with a request.
enum Reply: Sendable {
    case text(String)
    /// A byte at a time.
    case dribbled(String)
    /// Then the connection is closed.
    case last(String)
    /// Its only thread does nothing for so long, and answers then.
    case pause(milliseconds: UInt32, String)
    case silence
    case hangUp

    static func ok(_ body: String = "{}") -> String {
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }
}

/// A server of one thread on 127.0.0.1 that answers by a script; it ends with `stop`.
final class ScriptedServer: Sendable {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let channel: any Channel
    private let counts: Counts

    final class Counts: Sendable {
        let requests = Atomic(0)
        let connections = Atomic(0)
    }

    var port: Int { channel.localAddress?.port ?? 0 }
    var requests: Int { counts.requests.load(ordering: .relaxed) }
    var connections: Int { counts.connections.load(ordering: .relaxed) }

    /// - Parameter reply: to the request of this number, from 0.
    init(_ reply: @escaping @Sendable (Int) -> Reply) async throws {
        let counts = Counts()
        self.counts = counts
        channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answering(reply, counts))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    func stop() async { try? await group.shutdownGracefully() }

    private final class Answering: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let reply: @Sendable (Int) -> Reply
        private let counts: Counts

        init(_ reply: @escaping @Sendable (Int) -> Reply, _ counts: Counts) {
            self.reply = reply
            self.counts = counts
        }

        func channelActive(context: ChannelHandlerContext) { counts.connections.add(1, ordering: .relaxed) }

        /// Requests are as short as one read.
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let number = counts.requests.add(1, ordering: .relaxed).oldValue
            switch reply(number) {
            case .text(let text): send(text, context)
            case .dribbled(let text):
                for byte in text.utf8 { send(String(Unicode.Scalar(byte)), context) }
            case .last(let text):
                send(text, context)
                context.close(promise: nil)
            case .pause(let milliseconds, let text):
                usleep(milliseconds * 1_000)
                send(text, context)
            case .silence: break
            case .hangUp: context.close(promise: nil)
            }
        }

        private func send(_ text: String, _ context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }
    }
}

/// Requests that are all alike.
struct PlainSource: LoadSource {
    var awaited: String?

    func make(_ number: Int) -> LoadRequest {
        LoadRequest(
            bytes: ByteBuffer(string: "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"),
            awaited: awaited.map { Array($0.utf8) })
    }
}

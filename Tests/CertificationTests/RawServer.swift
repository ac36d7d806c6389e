// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// What a server says, whatever it is asked.
struct RawScript: Sendable {
    /// One for each time that bytes come, in turns; none: silence.
    var answers: [String]
    /// Before each answer.
    var delay = TimeAmount.zero
    /// Before the first byte of a connection is read.
    var sleep = TimeAmount.zero
    /// Connections beyond are closed at once.
    var mostConnections = Int.max
    /// The server is gone when a connection is.
    var diesWithConnection = false

    init(_ answers: String...) { self.answers = answers }

    /// An answer of HTTP/1.1.
    static func http(
        _ status: Int, _ body: String, type: String? = "application/json", more: String = ""
    ) -> String {
        let type = type.map { "content-type: \($0)\r\n" } ?? ""
        return "HTTP/1.1 \(status) Scripted\r\n\(type)\(more)content-length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    static func error(_ status: Int, _ name: String) -> RawScript {
        RawScript(http(status, #"{"errorName":"\#(name)"}"#))
    }
}

/// A server that reads nothing of what it is sent, over TCP or TLS.
enum RawServer {
    static func with<Value>(
        _ script: RawScript, tls: TLSConfiguration? = nil, _ body: (_ port: Int) async throws -> Value
    ) async throws -> Value {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let context = try tls.map { try NIOSSLContext(configuration: $0) }
        let open = Atomic<Int>(0)
        let listening = Mutex<(any Channel)?>(nil)
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: 128)
            .childChannelOption(.autoRead, value: script.sleep == .zero)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    if let context {
                        try child.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    }
                    try child.pipeline.syncOperations.addHandler(Parrot(script))
                    if script.sleep > .zero {
                        child.eventLoop.scheduleTask(in: script.sleep) {
                            _ = child.setOption(.autoRead, value: true).map { child.read() }
                        }
                    }
                    if open.wrappingAdd(1, ordering: .relaxed).newValue > script.mostConnections {
                        child.close(promise: nil)
                    }
                    child.closeFuture.whenComplete { _ in
                        open.wrappingSubtract(1, ordering: .relaxed)
                        if script.diesWithConnection { listening.withLock { $0 }?.close(promise: nil) }
                    }
                }
            }.bind(host: "127.0.0.1", port: 0).get()
        listening.withLock { $0 = channel }
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(channel.localAddress?.port ?? 0))
        } catch { result = .failure(error) }
        try? await channel.close()
        try await group.shutdownGracefully()
        return try result.get()
    }
}

private final class Parrot: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let script: RawScript
    private var said = 0

    init(_ script: RawScript) { self.script = script }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !script.answers.isEmpty, said < 50 else { return }
        let answer = ByteBuffer(string: script.answers[said % script.answers.count])
        said += 1
        guard script.delay > .zero else { return context.writeAndFlush(wrapOutboundOut(answer), promise: nil) }
        let channel = context.channel
        channel.eventLoop.scheduleTask(in: script.delay) { channel.writeAndFlush(answer, promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

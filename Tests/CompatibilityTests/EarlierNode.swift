// SPDX-License-Identifier: Apache-2.0
import Cluster
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// The cluster listener of a node of 16631be, as far as a test plays it: it keeps what it is asked, and gives the answers
/// that the test has for it.
final class EarlierNode: Sendable {
    struct Request: Sendable {
        var path: String
        var fields: [String: String]
        var body: Data
    }

    struct Reply: Sendable {
        var status: Int
        var fields: [String: String] = [:]
        var body = Data()
    }

    /// Given the node's own address, and what it is asked.
    typealias Answer = @Sendable (String, Request) -> Reply

    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let log: Log

    /// What it was asked, in order.
    final class Log: Sendable {
        let requests = Mutex<[Request]>([])
    }

    var address: String { "127.0.0.1:\(channel.localAddress?.port ?? 0)" }
    var requests: [Request] { log.requests.withLock { $0 } }
    func requests(_ path: String) -> [Request] { requests.filter { $0.path == path } }

    private init(group: MultiThreadedEventLoopGroup, channel: any Channel, log: Log) {
        (self.group, self.channel, self.log) = (group, channel, log)
    }

    static func start(_ files: ClusterTLSFiles, name: String, answer: @escaping Answer) async throws -> EarlierNode {
        var settings = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(files.certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: files.key, format: .pem)))
        settings.minimumTLSVersion = .tlsv13
        settings.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(files.ca))
        settings.certificateVerification = .noHostnameVerification
        let context = try NIOSSLContext(configuration: settings)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let log = Log()
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    let handlers = child.pipeline.syncOperations
                    try handlers.addHandler(NIOSSLServerHandler(context: context))
                    try handlers.configureHTTPServerPipeline()
                    try handlers.addHandler(Handler(log: log, answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return EarlierNode(group: group, channel: channel, log: log)
    }

    func stop() async {
        try? await channel.close().get()
        try? await group.shutdownGracefully()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let log: Log
        private let answer: Answer
        private var request: Request?

        init(log: Log, answer: @escaping Answer) { (self.log, self.answer) = (log, answer) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                let fields = head.headers.map { ($0.name.lowercased(), $0.value) }
                request = Request(
                    path: head.uri, fields: Dictionary(fields, uniquingKeysWith: { first, _ in first }), body: Data())
            case .body(let chunk): request?.body.append(contentsOf: chunk.readableBytesView)
            case .end:
                guard let request else { return }
                log.requests.withLock { $0.append(request) }
                let reply = answer("127.0.0.1:\(context.localAddress?.port ?? 0)", request)
                var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: reply.status))
                for (name, value) in reply.fields { head.headers.add(name: name, value: value) }
                head.headers.add(name: "content-length", value: "\(reply.body.count)")
                context.write(wrapOutboundOut(.head(head)), promise: nil)
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: reply.body)))), promise: nil)
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Cluster
import ClusterCertificates
import Foundation
import Gossip
import NIOCore
import NIOPosix
import NIOSSL
import TLSFacts
import Testing

@Suite("Cluster: certificates that are refused", .timeLimit(.minutes(2)))
struct RefusedCertificateTests {
    /// Replaces what a node refuses, as a reload does; its own certificate stays.
    private func refuse(_ serials: [CertificateSerial], at node: ClusterService, _ files: ClusterTLSFiles) throws {
        var files = files
        files.refused = Set(serials)
        try node.replace(tls: files, seeds: [])
    }

    /// Nodes of 16631be have no such list: with the comparison taken out of `ClusterTLS.refuses`, b stays alive, is
    /// passed requests, and the connection that is opened afterwards stays open.
    @Test("a live connection of a refused certificate is closed, and nothing passes in either direction any more")
    func refused() async throws {
        try await withCluster { cluster in
            let files = try (a: cluster.files("a"), b: cluster.files("b"))
            let stolen = try ClusterAuthority.serial(of: files.b.certificate)
            let a = try await cluster.start("a", files: files.a)
            let b = try await cluster.start("b", seeds: [a.service.address], files: files.b)
            try await eventually("they are together") {
                a.service.canForward(label: "foo") && b.service.canForward(label: "foo")
            }
            #expect(a.service.serials["b"] == [stolen])
            let thief = try await BareClient.connect(to: a.service.port, files.b)
            try await eventually("the thief's is there") { !thief.isClosed }

            try refuse([stolen], at: a.service, files.a)
            try await eventually("it is closed", within: .seconds(1)) { thief.isClosed }
            try await eventually("b is known no more") { a.service.liveness(of: "b") == .dead }
            #expect(a.service.serials["b"] == nil)
            #expect(!a.service.canForward(label: "foo"))
            let again = try await BareClient.connect(to: a.service.port, files.b)
            try await eventually("the next is closed as well", within: .seconds(1)) { again.isClosed }
            #expect(again.received == 0)
            #expect(a.service.statistics.dropped[.revoked] ?? 0 > 0)
            try await eventually("it is reported with its node and number") {
                a.delegate.get { state in
                    state.tlsChanges.contains {
                        guard case .refused(let attempts) = $0 else { return false }
                        return attempts.node == "b" && attempts.serial == stolen && attempts.address == "127.0.0.1"
                    }
                }
            }
            #expect(b.service.liveness(of: "a") != .alive, "b shows a certificate that a takes nothing from")

            // b gets another certificate.
            try b.service.replace(tls: try cluster.files("b"), seeds: [a.service.address])
            try await eventually("b is back") { a.service.liveness(of: "b") == .alive }
            await thief.stop()
            await again.stop()
        }
    }

    @Test("a farewell that was signed with a refused certificate is not believed, whoever passes it on")
    func farewell() async throws {
        try await withCluster { cluster in
            let files = try (a: cluster.files("a"), b: cluster.files("b"))
            let a = try await cluster.start("a", files: files.a)
            let b = try await cluster.start("b", seeds: [a.service.address], files: files.b)
            let c = try await cluster.start("c", seeds: [a.service.address])
            try await eventually("they are together") {
                a.service.liveness(of: "b") == .alive && c.service.liveness(of: "b") == .alive
                    && a.service.liveness(of: "c") == .alive && b.service.liveness(of: "c") == .alive
            }
            try refuse([try ClusterAuthority.serial(of: files.b.certificate)], at: a.service, files.a)
            await b.service.leave()
            try await eventually("c believes it") { c.service.liveness(of: "b") == .left }
            let received = a.service.statistics.messagesIn
            try await eventually("c has told it to a many times") { a.service.statistics.messagesIn > received + 20 }
            #expect(a.service.liveness(of: "b") != .left)
        }
    }

    @Test("a node does not refuse itself")
    func itself() throws {
        let cluster = try TestCluster()
        var files = try cluster.files("a")
        let serial = try ClusterAuthority.serial(of: files.certificate)
        files.refused = [serial]
        #expect(throws: ClusterError.refusedItself(file: files.certificate, serial: serial, node: "a")) {
            try ClusterService.check(files, node: "a")
        }
    }
}

/// Somebody with a node's certificate and key who says nothing.
private final class BareClient: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let bytes: NIOLoopBoundBox<Int>

    var isClosed: Bool { !channel.isActive }
    /// Bytes of HTTP that have come.
    var received: Int { (try? channel.eventLoop.submit { self.bytes.value }.wait()) ?? 0 }

    private init(group: MultiThreadedEventLoopGroup, channel: any Channel, bytes: NIOLoopBoundBox<Int>) {
        self.group = group
        self.channel = channel
        self.bytes = bytes
    }

    static func connect(to port: Int, _ files: ClusterTLSFiles) async throws -> BareClient {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(files.certificate).map { .certificate($0) }
        configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: files.key, format: .pem))
        configuration.trustRoots = .file(files.ca)
        configuration.certificateVerification = .noHostnameVerification
        let context = try NIOSSLContext(configuration: configuration)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let bytes = NIOLoopBoundBox.makeBoxSendingValue(0, eventLoop: group.next())
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLClientHandler(context: context, serverHostname: nil), Counter(bytes),
                    ])
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return BareClient(group: group, channel: channel, bytes: bytes)
    }

    func stop() async {
        try? await channel.close().get()
        try? await group.shutdownGracefully()
    }

    private final class Counter: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let bytes: NIOLoopBoundBox<Int>
        init(_ bytes: NIOLoopBoundBox<Int>) { self.bytes = bytes }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes.value += unwrapInboundIn(data).readableBytes
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import NIOSSL
import TLSFacts
import Testing
import XKSListener

@Suite struct LinkTests {
    /// A client that offers these groups and nothing else, connected as long as `body` runs.
    private func connected(
        to port: Int, _ authority: TestAuthority, groups: [NIOTLSCurve], newest: TLSVersion = .tlsv13,
        _ body: () async throws -> Void
    ) async throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(authority.path("ca.pem"))
        configuration.certificateVerification = .noHostnameVerification
        configuration.maximumTLSVersion = newest
        configuration.curves = groups
        let context = try NIOSSLContext(configuration: configuration)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLClientHandler(context: context, serverHostname: nil), CloseOnError(),
                    ])
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        do {
            try await body()
        } catch {
            try? await channel.close().get()
            throw error
        }
        try? await channel.close().get()
    }

    private final class CloseOnError: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    /// With the hybrid group taken out of `TLSMaterial.keyExchangeGroups` the first was `x25519`.
    @Test("of the node's groups the one is taken that a client would rather have, the hybrid one among them")
    func groups() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        let cases: [(offered: [NIOTLSCurve], group: String)] = [
            ([.x25519_MLKEM768, .x25519], "X25519MLKEM768"), ([.x25519, .secp256r1], "x25519"),
            ([.secp521r1, .x25519_MLKEM768], "X25519MLKEM768"),
            ([.secp256r1], "secp256r1"), ([.secp384r1], "secp384r1"),
        ]
        try await withListener(loopback(.tls(authority.material()))) { listener, port async throws in
            for (offered, group) in cases {
                try await connected(to: port, authority, groups: offered) { () async throws in
                    #expect(try await eventually { !listener.links.isEmpty })
                    #expect(listener.links.values.map { $0 } == [1])
                    let facts = try #require(listener.links.keys.first)
                    #expect(facts.version == "TLSv1.3" && facts.group == group)
                }
                #expect(try await eventually { listener.links.isEmpty }, "it has closed")
            }
            try await connected(to: port, authority, groups: [.secp384r1, .secp256r1], newest: .tlsv12) {
                () async throws in
                #expect(try await eventually { !listener.links.isEmpty })
                let facts = HandshakeFacts(
                    version: "TLSv1.2", group: "secp384r1", suite: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")
                #expect(listener.links == [facts: 1])
            }
        }
    }

    @Test("a group that the node does not have is no handshake, and nothing is counted")
    func foreign() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        try await withListener(loopback(.tls(authority.material()))) { listener, port async throws in
            try await connected(to: port, authority, groups: [.secp521r1]) { () async throws in
                #expect(try await eventually { listener.statistics.handshakesFailed == 1 })
                #expect(listener.links.isEmpty)
            }
        }
    }
}

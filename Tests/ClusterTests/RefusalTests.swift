// SPDX-License-Identifier: Apache-2.0
import Cluster
import ClusterCertificates
import ConnectionLimits
import Foundation
import NIOCore
import NIOPosix
import Testing

/// With 16631be whoever was turned away at the cluster listener was one of a number, without kind or address.
@Suite("Cluster: whom the listener turns away", .timeLimit(.minutes(2)))
struct RefusalTests {
    private func connect(_ service: ClusterService) async throws -> any Channel {
        try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: service.port).get()
    }

    private func kinds(_ refusals: RefusalCounter) -> Set<RefusalKind> {
        Set(refusals.counts.filter { $0.listener == .cluster && $0.address?.description == "127.0.0.1" }.map(\.kind))
    }

    @Test("HTTP without TLS, and who goes away in the handshake, are counted by kind and address")
    func strangers() async throws {
        try await withCluster { cluster in
            let refusals = RefusalCounter { 1_000 }
            let a = try await cluster.start("a", refusals: refusals)
            let plain = try await connect(a.service)
            try await plain.writeAndFlush(ByteBuffer(string: "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"))
            try await eventually("HTTP is told from TLS") { kinds(refusals).contains(.plainHTTP) }
            try await connect(a.service).close()
            try await eventually("one that went away") { kinds(refusals).contains(.handshakeAbandoned) }
            try await plain.closeFuture.get()
        }
    }

    @Test("a node with another CA is counted, with what was found")
    func otherAuthority() async throws {
        try await withCluster { cluster in
            let refusals = RefusalCounter { 1_000 }
            let a = try await cluster.start("a", refusals: refusals)
            let other = try ClusterAuthority.create(in: cluster.directory + "/other", now: Date())
            try await cluster.start("b", seeds: [a.service.address], files: try cluster.files("b", from: other))
            // Whichever side looks first.
            try await eventually("it is said whose certificate is refused") {
                !kinds(refusals).isDisjoint(with: [.serverCertificateRefused, .clientCertificateUntrusted])
            }
            #expect(refusals.counts.first?.detail?.isEmpty == false)
        }
    }

    /// Where the newcomer went instead, no silent one did.
    @Test("as many peers as it takes: a silent one makes room, one that is known stays")
    func room() async throws {
        try await withCluster { cluster in
            let refusals = RefusalCounter { 1_000 }
            let a = try await cluster.start("a", refusals: refusals, connections: 8)
            let b = try await cluster.start("b", seeds: [a.service.address])
            try await eventually("b is there") { a.service.liveness(of: "b") == .alive }
            var silent: [any Channel] = []
            for _ in 0..<40 { silent.append(try await connect(a.service)) }
            try await eventually("the oldest have gone") {
                refusals.counts.filter { $0.kind == .evicted }.map(\.count).reduce(0, +) >= 30
            }
            #expect(a.service.liveness(of: "b") == .alive && b.service.liveness(of: "a") == .alive)
            for channel in silent { channel.close(promise: nil) }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Cluster
import ClusterCertificates
import Foundation
import Gossip
import NIOPosix
import NIOSSL
import SecureMemory
import TLSFacts
import Testing
import XKSProtocol

@Suite("Cluster: what its connections agree on", .timeLimit(.minutes(2)))
struct LinkTests {
    private func trouble(_ address: String, _ files: ClusterTLSFiles) async -> String {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        switch await ClusterService.reach(address, by: files, node: "b", on: loop) {
        case .success(let reach): return "reached \(reach.peer)"
        case .failure(let trouble): return trouble.message
        }
    }

    @Test("a port that nobody has, and a peer of another CA, are said in words, and without a path of the build")
    func words() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let other = try ClusterAuthority.create(in: cluster.directory + "/other", now: Date())
            let foreign = try cluster.files("b", from: other)
            #expect(
                await trouble(a.service.address, foreign)
                    == "its certificate is not of this cluster's CA, or not valid now")
            // As the condition of a seed says it.
            let c = try await cluster.start("c", seeds: [a.service.address], files: try cluster.files("c", from: other))
            try await eventually("the seed is said not to be reached") { !c.service.seedTroubles.isEmpty }
            #expect(
                c.service.seedTroubles.values.allSatisfy { $0.contains("CA") && !$0.contains("/") },
                "\(c.service.seedTroubles)")
            let address = a.service.address
            await cluster.stop("a")
            let refused = await trouble(address, try cluster.files("b"))
            #expect(refused == "no connection: connection refused")
        }
    }

    private static let hybrid = HandshakeFacts(
        version: "TLSv1.3", group: "X25519MLKEM768", suite: "TLS_AES_128_GCM_SHA256")

    /// With `configuration.curves` of `ClusterTLS.restricted` set to X25519 alone, all three were `x25519`.
    @Test("peers agree on the hybrid group, for gossip and for requests that are passed on; ends are counted")
    func hybrid() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            b.delegate.set { $0.answer = { _, _ in ProxyResponse(status: 200, body: SecretBytes(Array("{}".utf8))) } }
            // Connections for requests are kept open to the peer that would be asked.
            try await eventually("connections of each kind") {
                let links = a.service.links
                return !links.incoming.isEmpty && !links.outgoing.isEmpty && !links.forwarding.isEmpty
            }
            let links = a.service.links
            #expect(links.incoming.keys.map { [$0] } == [[Self.hybrid]])
            #expect(links.outgoing.keys.map { [$0] } == [[Self.hybrid]])
            #expect(links.forwarding.keys.map { [$0] } == [[Self.hybrid]])
            #expect(links.forwarding[Self.hybrid] == a.service.statistics.forwardConnections)
            await cluster.stop("b")
            try await eventually("all are closed, and counted no more") {
                let links = a.service.links
                return links.incoming.isEmpty && links.outgoing.isEmpty && links.forwarding.isEmpty
            }
        }
    }
}

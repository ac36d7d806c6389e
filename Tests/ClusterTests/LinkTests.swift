// SPDX-License-Identifier: Apache-2.0
import Cluster
import Foundation
import Gossip
import NIOSSL
import SecureMemory
import TLSFacts
import Testing
import XKSProtocol

@Suite("Cluster: what its connections agree on", .timeLimit(.minutes(2)))
struct LinkTests {
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

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Cluster
import Foundation
import Gossip
import Testing

@Suite("Cluster: heads of audit logs", .timeLimit(.minutes(2)))
struct AuditHeadTests {
    private func head(_ node: String, seq: UInt64, key: NodeSigningKey) throws -> SignedAuditHead {
        let head = AuditHead(
            node: node, chain: 1, run: 1, seq: seq, hash: String(repeating: "a", count: 64), time: 1_700_000_000)
        return SignedAuditHead(
            head: head, signer: AuditSigner(certificates: key.certificates),
            signature: try #require(key.sign(Array(head.signedText.utf8))))
    }

    private func reads(_ node: ScriptedNode) {
        node.set { $0.facts.reads = FormatVersions(gossip: 1, blocks: 2, canaries: 1, ciphertext: 1, audit: 1) }
    }

    @Test("a node's own are told to peers that take them, each new one, and to no others")
    func told() async throws {
        try await withCluster { cluster in
            let files = try cluster.files("a")
            let key = try #require(NodeSigningKey(files))
            let a = try await cluster.start("a", files: files)
            let b = try await cluster.start("b", seeds: [a.service.address])
            let c = try await cluster.start("c", seeds: [a.service.address])
            reads(a.delegate)
            reads(b.delegate)
            b.service.factsChanged()
            let first = try head("a", seq: 5, key: key)
            a.delegate.set { $0.auditHeads = [first] }
            try await eventually("b has the first") {
                a.service.auditHeadsChanged()
                return b.delegate.get { $0.auditOffers["a"]?.last } == first
            }
            let second = try head("a", seq: 6, key: key)
            a.delegate.set { $0.auditHeads = [second] }
            await a.service.auditEnded()
            #expect(b.delegate.get { $0.auditOffers["a"] } == [first, second])
            #expect(c.delegate.get { $0.auditOffers["a"] } == nil)
        }
    }

    @Test("what the peer has not signed itself, by a certificate of the CA and in its own name, is not taken")
    func forged() async throws {
        try await withCluster { cluster in
            let files = try cluster.files("a")
            let key = try #require(NodeSigningKey(files))
            let other = try #require(NodeSigningKey(try cluster.files("x")))
            let a = try await cluster.start("a", files: files)
            let b = try await cluster.start("b", seeds: [a.service.address])
            reads(a.delegate)
            reads(b.delegate)
            b.service.factsChanged()
            var altered = try head("a", seq: 5, key: key)
            altered.head.seq = 4
            for wrong in [altered, try head("a", seq: 5, key: other), try head("c", seq: 5, key: key)] {
                a.delegate.set { $0.auditHeads = [wrong] }
                let before = b.service.statistics.dropped[.malformed] ?? 0
                try await eventually("b drops it") {
                    a.service.auditHeadsChanged()
                    return b.service.statistics.dropped[.malformed] ?? 0 > before
                }
            }
            #expect(b.delegate.get { $0.auditOffers["a"] } == nil)
            let right = try head("a", seq: 7, key: key)
            a.delegate.set { $0.auditHeads = [right] }
            try await eventually("b takes the right one") {
                a.service.auditHeadsChanged()
                return b.delegate.get { $0.auditOffers["a"] } == [right]
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Foundation
import Testing

/// The program on the disk is replaced before the node is started anew: until then the command line of today asks a node
/// of 16631be.
@Suite("A node of 16631be: its admin socket and its health")
struct AdminTests {
    private func read<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> Value {
        try JSONDecoder().decode(type, from: try Recording.file("admin/\(name).json"))
    }

    @Test("its status is read; what it does not report is reported as such")
    func status() throws {
        let reported = try read(AdminStatus.self, "status.200")
        let status = reported.status
        #expect(status.node == "node-2" && status.version == "0.1.0" && !status.draining && reported.running)
        #expect(reported.asOfUnixSeconds == 1_795_993_311 && word(reported.verdict) == "ACTIVE")
        #expect(status.canForward && status.disagreements.isEmpty && status.blocksUnknown == nil && status.store == .ok)
        #expect(status.overload == nil)
        let hsm = try #require(status.hsms.first)
        #expect(hsm.name == "hsm-1" && hsm.serial == "91924f08de9c9ba3" && hsm.tokenLabel == "claviger-dev-hsm-1")
        #expect(word(hsm.state) == "active" && hsm.model == "SoftHSM v2" && hsm.firmware == "2.6" && hsm.keys == 5)
        #expect(hsm.lanes == .init(open: 1, inUse: 0, overdue: 0, queued: 0) && hsm.tier == 0 && hsm.weight == 100)
        #expect(!hsm.drained && hsm.sinceUnixSeconds == 1_795_993_297)
        #expect(hsm.learned == nil && hsm.work == nil && hsm.latencyMicroseconds == nil)
        #expect(
            status.keys.map(\.label) == ["bar", "decrypt_only_key", "encrypt_only_key", "foo", "impotent_key"])
        let cells = status.keys.map { $0.cells["hsm-1"].map { word($0) } }
        #expect(cells == ["proven", "unprovable", "unprovable", "proven", "unprovable"])
        #expect(status.keys.map(\.canaryBy) == ["hsm-1", nil, nil, "hsm-1", nil])
        #expect(status.keys.allSatisfy { $0.complaints == nil && $0.encrypts == nil && $0.disputed == nil })
        #expect(reported.transitions.map(\.hsm) == ["hsm-1"] && reported.transitions.map { word($0.to) } == ["active"])
    }

    @Test("its orders: a receipt, how far one has come, and what is blocked")
    func orders() throws {
        let block = try read(BlockReceipt.self, "block.200")
        #expect(block.order == 1 && block.durable)
        #expect(block.message == "Blocked: all keys. The block's id is 048dee2722d2c81c62ce1ec70483ef02.")
        let lift = try read(BlockReceipt.self, "lift.200")
        #expect(lift.order == 2 && lift.durable && lift.message.hasSuffix("all keys (block 048dee27)."))
        let progress = try read(BlockProgress.self, "progress.200")
        #expect(progress.isFinished && progress.nodes.map(\.node) == ["node-2", "node-1", "node-3"])
        #expect(progress.nodes.allSatisfy { $0.state == .confirmed && $0.hits == nil && $0.detail == nil })
        #expect(progress.nodes.map(\.afterMilliseconds) == [143, 183, 184])
        let listing = try read(BlockListing.self, "blocks.200")
        #expect(listing.unknown == nil)
        #expect(
            listing.blocks.map(\.target) == [
                "--keystore /another/store", "--key decrypt_only_key",
                "--principal 'arn:aws:iam::111122223333:role/example-*'",
            ])
        #expect(listing.blocks.map(\.expiresAtUnixSeconds) == [nil, 2_111_353_307, nil])
        #expect(listing.blocks.allSatisfy { $0.madeBy == "root@node-1" && $0.id.utf8.count == 32 })
    }

    @Test("what it does not have yet it refuses with a sentence, and names what it knows")
    func refusals() throws {
        for name in ["no-outlook", "no-forget", "no-node-forget", "no-bootstrap"] {
            let reply = try read(AdminReply.self, "\(name).404")
            #expect(reply.error?.hasPrefix("no such path; there are /status") == true && reply.name == nil)
        }
        let unknown = try read(AdminReply.self, "unknown-hsm.404")
        #expect(unknown.error == "there is no HSM of the name hsm-9")
        #expect(unknown.name == "hsm-9" && unknown.known == ["hsm-1"] && unknown.message == nil)
    }

    /// It reports of a node neither `unservedCount` nor `isAwaited`. Without defaults `claviger cluster status` of today
    /// could not show it, between the exchange of the program and the restart of the node.
    @Test(
        "its view of the cluster is shown by the command line of today",
        arguments: ["cluster.200", "cluster-health.200"])
    func cluster(name: String) throws {
        let health = try read(ClusterHealth.self, name)
        #expect(health.nodes.allSatisfy { $0.isAwaited && $0.unservedCount == UInt32($0.unservedKeys.count) })
        #expect(health.node == "node-2" && health.isClustered && health.keysServed == 2 && health.keysExcluded == 0)
        #expect(health.nodes.map(\.name).sorted() == ["node-1", "node-2", "node-3"] && health.dropped.isEmpty)
        #expect(health.nodes.allSatisfy { $0.liveness == .alive && $0.site == "dev" })
        #expect(health.nodes.allSatisfy { $0.incarnation == 1_795_993_296 })
        #expect(health.nodes.map(\.address).contains("127.0.0.1:42567"))
        #expect(health.blocks.blocks.count == 3)
    }
}

/// A value's word in JSON.
func word(_ value: some Encodable) -> String? {
    (try? JSONEncoder().encode(value)).flatMap { try? JSONDecoder().decode(String.self, from: $0) }
}

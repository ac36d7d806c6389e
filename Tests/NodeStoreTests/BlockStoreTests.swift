// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Foundation
import GRDB
import Glibc
import NodeStore
import Testing

@Suite("The block list, peers and incarnations", .timeLimit(.minutes(1)))
struct BlockStoreTests {
    @Test("A first start in an empty directory: known, empty; what is kept is there again after a restart")
    func roundTrip() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        #expect(store.blocks() == Sample.list([]))
        #expect(try scratch.mode(scratch.marker) == 0o600)
        let list = Sample.list(
            [Sample.block(1), Sample.block(2, reason: "naïve — \"quoted\"", expires: Sample.now + 60)],
            lifts: [Sample.lift(1)])
        #expect(await store.keep(blocks: list))
        #expect(store.blocks() == list)
        #expect(try StoreReader.open(directory: scratch.directory).blocks() == list)
        store.close()
        let again = scratch.open()
        #expect(again.blocks() == list)
        #expect(again.health == .ok)
        again.close()
        #expect(try scratch.setAside() == [])
    }

    @Test("Keeping adds: nothing that is not named goes, and an unknown list makes nothing unknown")
    func keepingAdds() async throws {
        let scratch = try Scratch()
        let (one, two) = (scratch.open(), scratch.open())
        #expect(await one.keep(blocks: Sample.list([Sample.block(1)])))
        #expect(await two.keep(blocks: Sample.list([Sample.block(1), Sample.block(2)], lifts: [Sample.lift(1)])))
        #expect(await one.keep(blocks: Sample.list([Sample.block(3)], .unknown("lost"))))
        let all = Sample.list([Sample.block(1), Sample.block(2), Sample.block(3)], lifts: [Sample.lift(1)])
        // Without reading the list anew where another process had written before this one, its block stayed unnoticed.
        #expect(await eventually { one.blocks() == all })
        #expect(await eventually { two.blocks() == all })
        one.close()
        two.close()
        let again = scratch.open()
        #expect(again.blocks() == all)
        again.close()
    }

    @Test("A store that cannot be written says so, keeps the order in memory, and writes it as soon as it can")
    func notWritten() async throws {
        let scratch = try Scratch()
        let events = HealthEvents()
        let store = scratch.open(onHealth: events.reported)
        let other = try scratch.connection()
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN EXCLUSIVE") }
        #expect(await store.keep(blocks: Sample.list([Sample.block(1)])) == false)
        #expect(store.blocks() == Sample.list([Sample.block(1)]))
        _ = await events.failed()
        try await other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        await events.recovered()
        #expect(try StoreReader.open(directory: scratch.directory).blocks() == Sample.list([Sample.block(1)]))
        store.close()
        #expect(await store.keep(blocks: Sample.list([Sample.block(2)])) == false)
    }

    @Test("Blocks that expired more than 90 days ago go with their lifts; all others stay")
    func pruning() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        let day = 86_400
        let old = Sample.block(1, expires: Sample.now - 91 * day)
        let recent = Sample.block(2, expires: Sample.now - 89 * day)
        #expect(
            await store.keep(
                blocks: Sample.list(
                    [old, recent, Sample.block(3)], lifts: [Sample.lift(1), Sample.lift(2), Sample.lift(3)])))
        store.close()
        let again = scratch.open()
        let left = Sample.list([recent, Sample.block(3)], lifts: [Sample.lift(2), Sample.lift(3)])
        #expect(again.blocks() == left)
        again.close()
        let third = scratch.open()
        #expect(third.blocks() == left)
        #expect(try scratch.setAside() == [])
        third.close()
    }

    @Test("Peers: the last ones recorded, and no others")
    func peers() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        store.record(peers: [Sample.peer("fra-2"), Sample.peer("dub-1")])
        #expect(store.peers() == [Sample.peer("dub-1"), Sample.peer("fra-2")])
        store.record(peers: [Sample.peer("fra-3"), Sample.peer("fra-2", incarnation: 7)])
        #expect(await store.saved())
        let expected = [Sample.peer("fra-2", incarnation: 7), Sample.peer("fra-3")]
        #expect(store.peers() == expected)
        try #require(unlink(scratch.file) == 0)
        #expect(await store.saved())
        store.close()
        let again = scratch.open()
        #expect(again.peers() == expected)
        again.record(peers: [])
        again.close()
        let third = scratch.open()
        #expect(third.peers() == [])
        third.close()
    }

    @Test("Forgotten nodes are written at once, survive the loss of the file, and go when they are recorded no more")
    func forgotten() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        let order = StoredNodeForget(
            name: "fra-9", address: "fra-9:7443", site: "fra", incarnation: 4, author: "ada@fra-1",
            givenUnixSeconds: Sample.now)
        let other = Sample.peer("fra-2")
        let changes = ["fra-2", "fra-9"].map { StoredPeerChanges(name: $0, changes: 1_790_000_007) }
        store.record(peers: [Sample.peer("fra-9"), other], changes: changes)
        store.record(peers: [other], forgotten: [order])
        #expect(await store.saved())
        #expect(store.forgottenNodes() == [order] && store.peers() == [other] && store.peerChanges() == changes)
        try #require(unlink(scratch.file) == 0)
        #expect(await store.saved())
        store.close()
        let again = scratch.open()
        #expect(again.forgottenNodes() == [order] && again.peers() == [other] && again.peerChanges() == changes)
        again.record(peers: [other, Sample.peer("fra-9")], changes: [.init(name: "fra-9", changes: 3)])
        again.close()
        let third = scratch.open()
        #expect(third.forgottenNodes() == [] && third.peers().count == 2)
        #expect(third.peerChanges().map(\.changes) == [1_790_000_007, 3])
        third.close()
    }

    @Test("The list's changes are counted over restarts, and reported while the list is known")
    func changes() async throws {
        let scratch = try Scratch()
        let store = NodeStore.open(directory: scratch.directory, isClustered: true, settings: Scratch.settings())
        #expect(store.blockChanges == nil)
        store.changeBlocks { $0.confirm() }
        #expect(await store.saved())
        let counted = try #require(store.blockChanges)
        #expect(counted > 1_700_000_000, "beyond whatever a list that was lost had counted")
        store.changeBlocks { _ = $0.merge([BlockEntry(block: Sample.block(1))], now: Int64(Sample.now)) }
        #expect(await store.saved())
        #expect(store.blockChanges == counted + 1)
        store.close()
        let again = NodeStore.open(directory: scratch.directory, isClustered: true, settings: Scratch.settings())
        #expect(again.blockChanges == counted + 1)
        again.close()
    }

    @Test("An incarnation never goes back: not by a later record, not by another process")
    func incarnations() async throws {
        let scratch = try Scratch()
        let (one, two) = (scratch.open(), scratch.open())
        #expect(await one.setIncarnation(node: "fra-1", 9))
        one.record(node: Sample.node)
        #expect(await one.setIncarnation(node: "fra-1", 8))
        #expect(await two.setIncarnation(node: "fra-1", 4))
        var expected = Sample.node
        expected.incarnation = 9
        #expect(one.nodes() == [expected])
        #expect(await two.setIncarnation(node: "fra-1", 10))
        #expect(one.nodes().map(\.incarnation) == [10])
        one.close()
        two.close()
        let again = scratch.open()
        #expect(again.nodes().map(\.incarnation) == [10])
        again.close()
    }
}

// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Foundation
import GRDB
import Glibc
import NodeStore
import Testing

@Suite("A block list that is lost fails closed", .timeLimit(.minutes(1)))
struct BlockLossTests {
    static let list = Sample.list([Sample.block(1), Sample.block(2)], lifts: [Sample.lift(2)])

    @Test("The file is gone, with or without its journals: unknown, over restarts, until it is confirmed")
    func missing() async throws {
        let scratch = try await filled()
        try #require(unlink(scratch.file) == 0)
        for _ in 0..<3 {
            let store = scratch.open()
            #expect(store.health == .ok)
            #expect(store.blocks().doubt?.contains("claviger.sqlite.made, which says that there was one") == true)
            #expect(store.blocks().blocks.keys.allSatisfy { $0 == Sample.block(7).id })
            // New orders do not make it known.
            let kept = await store.keep(
                blocks: Sample.list([Sample.block(7)], lifts: [Sample.lift(7)], .unknown("from memory")))
            #expect(kept)
            #expect(store.blocks().doubt?.contains("says that there was one") == true)
            store.close()
        }
        let store = scratch.open()
        #expect(store.blocks().lifts.count == 1)
        #expect(await store.confirmBlocks())
        #expect(store.blocks() == Sample.list([Sample.block(7)], lifts: [Sample.lift(7)]))
        store.close()
        let again = scratch.open()
        #expect(again.blocks() == Sample.list([Sample.block(7)], lifts: [Sample.lift(7)]))
        again.close()
    }

    @Test("A peer's known list makes it known")
    func knownByPeer() async throws {
        let scratch = try await filled()
        try #require(unlink(scratch.file) == 0)
        let store = scratch.open()
        #expect(store.blocks().doubt != nil)
        #expect(await store.keep(blocks: Self.list))
        store.close()
        let again = scratch.open()
        #expect(again.blocks() == Self.list)
        again.close()
    }

    @Test("Corrupt at the start, in whatever way: set aside, unknown, over restarts", arguments: Damage.allCases)
    func corrupt(damage: Damage) async throws {
        let scratch = try await filled()
        try await damage.apply(to: scratch)
        let store = scratch.open()
        #expect(store.health == .ok)
        #expect(try !scratch.setAside().isEmpty)
        #expect(store.blocks().blocks.isEmpty)
        let doubt = try #require(store.blocks().doubt)
        #expect(doubt.contains("is corrupt"), "\(doubt)")
        store.close()
        let again = scratch.open()
        #expect(again.blocks().doubt == doubt)
        #expect(await again.confirmBlocks())
        again.close()
        let third = scratch.open()
        #expect(third.blocks() == Sample.list([]))
        third.close()
    }

    @Test("Emptied, or a file from before the block list: unknown, since the marker says that there was a list")
    func olderThanMarker() async throws {
        let emptied = try await filled()
        try #require(truncate(emptied.file, 0) == 0)
        let store = emptied.open()
        #expect(store.blocks().doubt?.contains("is missing or older") == true)
        store.close()
        let restored = try await filled()
        try await revertToFirstVersion(restored)
        let other = restored.open()
        #expect(other.blocks().doubt?.contains("is missing or older") == true)
        #expect(other.canaries() == [Sample.canary()])
        other.close()
    }

    @Test("An upgrade from the version before: known, empty")
    func upgrade() async throws {
        let scratch = try await filled()
        try await revertToFirstVersion(scratch)
        try #require(unlink(scratch.marker) == 0)
        let store = scratch.open()
        #expect(store.health == .ok)
        #expect(store.blocks() == Sample.list([]))
        #expect(store.canaries() == [Sample.canary()])
        #expect(access(scratch.marker, F_OK) == 0)
        store.close()
    }

    @Test("A corrupt file is proof enough that there was one, without the marker, too")
    func corruptWithoutMarker() async throws {
        let scratch = try await filled()
        try #require(unlink(scratch.marker) == 0)
        try await Damage.header.apply(to: scratch)
        let store = scratch.open()
        #expect(store.blocks().doubt?.contains("is corrupt") == true)
        #expect(access(scratch.marker, F_OK) == 0)
        store.close()
    }

    @Test("Locked at the start: read from a copy, and written as soon as it can be")
    func locked() async throws {
        let scratch = try await filled()
        let events = HealthEvents()
        let other = try scratch.connection(keepsReadersOut: true)
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN EXCLUSIVE; ROLLBACK") }
        let store = scratch.open(onHealth: events.reported)
        #expect(store.health.reason?.contains("another process keeps it locked") == true)
        #expect(store.blocks() == Self.list)
        #expect(await store.keep(blocks: Sample.list([Sample.block(3)], .unknown("not read"))) == false)
        #expect(store.blocks().blocks.count == 3)
        try other.close()
        await events.recovered()
        #expect(
            store.blocks()
                == Sample.list([Sample.block(1), Sample.block(2), Sample.block(3)], lifts: [Sample.lift(2)]))
        store.close()
    }

    @Test("Confirmed while the file cannot be read: known at once, and on the disk later")
    func confirmedWhileLocked() async throws {
        let scratch = try await filled()
        try #require(unlink(scratch.file) == 0)
        scratch.open().close()
        let events = HealthEvents()
        let other = try scratch.connection()
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN EXCLUSIVE") }
        let store = scratch.open(onHealth: events.reported)
        #expect(await store.confirmBlocks() == false)
        #expect(store.blocks() == Sample.list([]))
        try await other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        await events.recovered()
        #expect(try StoreReader.open(directory: scratch.directory).blocks() == Sample.list([]))
        store.close()
    }

    @Test("Not a file, of a later version, or no directory at the start: unknown")
    func cannotBeOpened() async throws {
        let later = try await filled()
        try await later.connection().write {
            try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('9 from the future')")
        }
        let store = later.open()
        #expect(store.blocks().doubt?.contains("newer version") == true)
        store.close()
        let inPlace = try Scratch()
        try FileManager.default.createDirectory(atPath: inPlace.file, withIntermediateDirectories: true)
        let other = inPlace.open()
        #expect(
            other.blocks().doubt?.contains("is a directory, where a file of the node's belongs: move it away") == true)
        other.close()
    }

    @Test("No directory at the start, an empty one later: whether there was a list is not to be seen, so unknown stays")
    func emptyDirectoryLater() async throws {
        let scratch = try Scratch()
        let events = HealthEvents()
        try #require(FileManager.default.createFile(atPath: scratch.directory, contents: Data()))
        let store = scratch.open(onHealth: events.reported)
        #expect(store.blocks().doubt?.contains("Not a directory") == true)
        try #require(unlink(scratch.directory) == 0)
        await events.recovered()
        #expect(store.blocks().doubt?.contains("Not a directory") == true)
        store.close()
        let again = scratch.open()
        #expect(again.blocks().doubt?.contains("Not a directory") == true)
        again.close()
    }

    @Test("Lost while it runs, file or whole directory: written again, and known")
    func lostWhileRunning() async throws {
        for whole in [false, true] {
            let scratch = try await filled()
            let store = scratch.open()
            #expect(store.blocks() == Self.list)
            try FileManager.default.removeItem(atPath: whole ? scratch.directory : scratch.file)
            #expect(await store.keep(blocks: Sample.list([Sample.block(3)])))
            let expected = Sample.list([Sample.block(1), Sample.block(2), Sample.block(3)], lifts: [Sample.lift(2)])
            #expect(try StoreReader.open(directory: scratch.directory).blocks() == expected)
            store.close()
            let again = scratch.open()
            #expect(again.blocks() == expected)
            again.close()
        }
    }

    @Test("An unknown list stays unknown when its file, or the whole directory, is lost while it runs")
    func unknownAndLost() async throws {
        for whole in [false, true] {
            let scratch = try await filled()
            try #require(unlink(scratch.file) == 0)
            let store = scratch.open()
            let doubt = try #require(store.blocks().doubt)
            try FileManager.default.removeItem(atPath: whole ? scratch.directory : scratch.file)
            #expect(await store.saved())
            #expect(store.blocks().doubt == doubt)
            store.close()
            let again = scratch.open()
            #expect(again.blocks().doubt == doubt)
            again.close()
        }
    }

    @Test("Corrupted while it runs: set aside, and the list that memory knows is written again")
    func corruptedWhileRunning() async throws {
        let scratch = try await filled()
        let store = scratch.open()
        try await Damage.rowGone.apply(to: scratch)
        #expect(await store.keep(blocks: Sample.list([Sample.block(3)])))
        #expect(try !scratch.setAside().isEmpty)
        let expected = Sample.list([Sample.block(1), Sample.block(2), Sample.block(3)], lifts: [Sample.lift(2)])
        #expect(store.blocks() == expected)
        store.close()
        let again = scratch.open()
        #expect(again.blocks() == expected)
        again.close()
    }

    @Test("Two processes, of which one has lost its start: what one knows, the other learns")
    func confirmedByAnother() async throws {
        let scratch = try await filled()
        try #require(unlink(scratch.file) == 0)
        let (one, two) = (scratch.open(), scratch.open())
        #expect(two.blocks().doubt != nil)
        #expect(await one.confirmBlocks())
        #expect(two.blocks() == Sample.list([]))
        one.close()
        two.close()
    }

    private func filled() async throws -> Scratch {
        let scratch = try Scratch()
        let store = scratch.open()
        store.record(canary: Sample.canary())
        try #require(await store.keep(blocks: Self.list))
        store.close()
        return scratch
    }

    /// As the version before the block list has left it.
    private func revertToFirstVersion(_ scratch: Scratch) async throws {
        let connection = try scratch.connection()
        try await connection.write {
            try $0.execute(
                sql: """
                    DROP TABLE peer; DROP TABLE block; DROP TABLE block_lift; DROP TABLE block_list;
                    DROP TABLE block_term; DROP TABLE block_count; DROP TABLE canary_history; DROP TABLE key_forget;
                    DROP TABLE running_time; DROP TABLE key_use; DROP TABLE access_key; DROP TABLE key_use_elsewhere; DROP TABLE node_forget; DROP TABLE peer_change;
                    DROP TABLE audit_head; DROP TABLE audit_signer;
                    DELETE FROM grdb_migrations WHERE identifier <> '1 HSMs, keys and lanes'
                    """)
        }
        try connection.close()
    }
}

/// What may happen to a file while no node runs.
enum Damage: CaseIterable, Sendable {
    case header
    /// SQLite sees nothing wrong in these.
    case cell, liftCell, headCell, rowGone, liftGone, headGone, rowMore

    func apply(to scratch: Scratch) async throws {
        let statement =
            switch self {
            case .header: ""
            case .cell: "UPDATE block SET target_value = 'kez-1' WHERE target_value = 'key-1'"
            case .liftCell: "UPDATE block_lift SET lifted_unix_seconds = 1"
            case .headCell: "UPDATE block_list SET lifts = 1, unknown_reason = 'x'"
            case .rowGone: "DELETE FROM block WHERE target_value = 'key-1'"
            case .liftGone: "DELETE FROM block_lift"
            case .headGone: "DELETE FROM block_list"
            case .rowMore: "INSERT INTO block_lift SELECT 'f' || id, lifted_by, 1, checksum FROM block_lift"
            }
        guard self == .header else {
            let connection = try scratch.connection()
            try await connection.write { try $0.execute(sql: statement) }
            try connection.close()
            return
        }
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: scratch.file))
        try handle.write(contentsOf: Data(repeating: 0x41, count: 100))
        try handle.close()
    }
}

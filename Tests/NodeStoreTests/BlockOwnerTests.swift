// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Foundation
import Glibc
import NodeStore
import Synchronization
import Testing

@Suite("The store owns the block list", .timeLimit(.minutes(1)))
struct BlockOwnerTests {
    private static let list = Sample.list([Sample.block(1), Sample.block(2)], lifts: [Sample.lift(2)])

    private func filled(_ scratch: Scratch, changes: Int = 1) async throws {
        let store = scratch.open()
        for number in 0..<changes { try #require(await store.keep(blocks: Sample.list([Sample.block(number + 100)]))) }
        try #require(await store.keep(blocks: Self.list))
        store.close()
    }

    @Test("The state directory is held at the start, then let go: the list is enforced, and whoever goes by it is told")
    func heldAtTheStart() async throws {
        // Without handing the file on: everything refused for ever, or, once confirmed, the block on the disk not enforced.
        for confirms in [false, true] {
            let scratch = try Scratch()
            try await filled(scratch)
            let events = HealthEvents()
            let holder = open(scratch.directory, O_RDONLY | O_DIRECTORY)
            try #require(flock(holder, LOCK_EX) == 0)
            let reported = Mutex<[BlockAdoption]>([])
            // A copy can be read while the directory is held: here it cannot.
            Scratch.hide(scratch.file)
            let store = scratch.open(onHealth: events.reported)
            store.whenBlocksAreAdopted { adoption in reported.withLock { $0.append(adoption) } }
            #expect(store.blockList.unknown?.contains("lock the state directory") == true)
            if confirms { store.changeBlocks { $0.confirm() } }
            Scratch.show(scratch.file)
            close(holder)
            await events.recovered()
            #expect(store.blockList.knowledge == .known && store.blockList.inForce(now: Int64(Sample.now)).count == 2)
            #expect(reported.withLock { $0.contains { $0.merge.newBlocks.count == 3 } })
            store.close()
        }
    }

    @Test("While the state directory is held, the list is read from a copy")
    func readFromACopy() async throws {
        let scratch = try Scratch()
        try await filled(scratch)
        let holder = open(scratch.directory, O_RDONLY | O_DIRECTORY)
        try #require(flock(holder, LOCK_EX) == 0)
        let store = scratch.open()
        #expect(!store.health.isOK && store.blockList.knowledge == .known && store.blockList.blocks.count == 3)
        store.close()
        close(holder)
    }

    @Test(
        "A full disk at the start: the list is read, an order holds in memory", .enabled(if: SmallFileSystem.isPossible)
    )
    func fullDisk() async throws {
        // Before: "has lost its list", for ever, and SQLite's "disk I/O error".
        let scratch = try Scratch()
        let small = try SmallFileSystem(at: scratch.directory, kilobytes: 1_024)
        defer { small.remove() }
        try await filled(scratch)
        let filler = fill(scratch.directory)
        let events = HealthEvents()
        let store = scratch.open(onHealth: events.reported)
        #expect(store.health.reason?.contains("the disk is full") == true, "\(store.health)")
        #expect(store.blockList.knowledge == .known && store.blockList.blocks.count == 3)
        #expect(await store.keep(blocks: Sample.list([Sample.block(3)])) == false)
        unlink(filler)
        await events.recovered()
        store.close()
        #expect(try StoreReader.open(directory: scratch.directory).blocks().blocks.count == 4)
    }

    @Test(
        "A new node on a full disk has not lost a list", .enabled(if: SmallFileSystem.isPossible),
        arguments: [false, true])
    func newOnAFullDisk(isClustered: Bool) throws {
        let scratch = try Scratch()
        let small = try SmallFileSystem(at: scratch.directory, kilobytes: 64)
        defer { small.remove() }
        _ = fill(scratch.directory)
        let store = NodeStore.open(
            directory: scratch.directory, isClustered: isClustered, settings: Scratch.settings())
        #expect(store.health.reason?.contains("full") == true, "\(store.health)")
        #expect(store.blockList.knowledge == (isClustered ? .none : .known))
        store.close()
    }

    private func fill(_ directory: String) -> String {
        let descriptor = open(directory + "/filler", O_WRONLY | O_CREAT, 0o600)
        let page = [UInt8](repeating: 1, count: 4_096)
        while write(descriptor, page, page.count) > 0 {}
        close(descriptor)
        return directory + "/filler"
    }

    @Test("A read-only directory without journals: the list is read", .enabled(if: geteuid() == 0))
    func readOnlyDirectory() async throws {
        let scratch = try Scratch()
        try await filled(scratch)
        try #require(mount(scratch.directory, scratch.directory, "", UInt(MS_BIND), nil) == 0)
        defer { umount(scratch.directory) }
        try #require(mount("", scratch.directory, "", UInt(MS_REMOUNT | MS_BIND | MS_RDONLY), nil) == 0)
        let store = scratch.open()
        #expect(store.health.reason?.contains("read-only") == true, "\(store.health)")
        #expect(store.blockList.knowledge == .known && store.blockList.blocks.count == 3)
        store.close()
    }

    @Test("What another process on the same directory is reported is enforced here, too")
    func twoProcesses() async throws {
        // Without the look at what others have written it was in the file, and never in the other's memory.
        let scratch = try Scratch()
        let (one, two) = (scratch.open(), scratch.open())
        let reported = Mutex(0)
        two.whenBlocksAreAdopted { adoption in reported.withLock { $0 += adoption.merge.newBlocks.count } }
        #expect(await one.keep(blocks: Sample.list([Sample.block(1)])))
        #expect(await eventually { two.blockList.blocks.count == 1 })
        #expect(await eventually { reported.withLock { $0 } == 1 })
        one.changeBlocks { list in _ = try? list.lift(.key("key-1"), by: "me", now: Int64(Sample.now)) }
        #expect(await eventually { two.blockList.lifts.count == 1 })
        one.close()
        two.close()
    }

    @Test("A database that was put back to an earlier state is unknown, over restarts; what it holds is enforced")
    func restored() async throws {
        let scratch = try Scratch()
        try await filled(scratch, changes: 2)
        let backup = scratch.directory + "-backup"
        try FileManager.default.copyItem(atPath: scratch.file, toPath: backup)
        defer { unlink(backup) }
        let store = scratch.open()
        #expect(await store.keep(blocks: Sample.list([Sample.block(50)])))
        store.close()
        for suffix in ["", "-wal", "-shm"] { unlink(scratch.file + suffix) }
        try FileManager.default.copyItem(atPath: backup, toPath: scratch.file)
        for _ in 0..<2 {
            let again = scratch.open()
            #expect(again.blockList.unknown?.contains("was put back to an earlier state") == true)
            #expect(again.blockList.blocks.count >= 4)
            // Orders meanwhile do not make it known, nor bring the count level with the marker's.
            #expect(await again.keep(blocks: Sample.list([Sample.block(60)], .unknown("x"))))
            again.close()
        }
        let last = scratch.open()
        #expect(await last.confirmBlocks())
        last.close()
        let known = scratch.open()
        #expect(known.blockList.knowledge == .known)
        known.close()
    }

    @Test("A new node of a cluster has no list, over restarts, until somebody says so")
    func newcomer() async throws {
        let scratch = try Scratch()
        func open() -> NodeStore {
            NodeStore.open(directory: scratch.directory, isClustered: true, settings: Scratch.settings())
        }
        for _ in 0..<2 {
            let store = open()
            #expect(store.health == .ok && store.blockList.knowledge == .none)
            store.close()
        }
        let store = open()
        #expect(await store.confirmBlocks())
        store.close()
        let again = open()
        #expect(again.blockList.knowledge == .known)
        again.close()
        // Without [cluster] nothing waits.
        let other = try Scratch()
        NodeStore.open(directory: other.directory, isClustered: true, settings: Scratch.settings()).close()
        let alone = other.open()
        #expect(alone.blockList.knowledge == .known)
        alone.close()
    }

    @Test("When a block ends here outlives a restart, whatever its origin's clock said")
    func terms() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        let now = Int64(Sample.now)
        var block = Sample.block(1)
        block.madeAt = now - 1_000
        block.expiresAt = now - 800
        store.changeBlocks { [block] in _ = $0.merge([BlockEntry(block: block, remaining: 150)], now: now) }
        #expect(await store.saved())
        store.close()
        let again = scratch.open()
        #expect(again.blockList.terms[block.id] == BlockTerm(firstSeen: now, endsAt: now + 150))
        #expect(again.blockList.isInForce(id: block.id, now: now + 149))
        again.close()
    }
}

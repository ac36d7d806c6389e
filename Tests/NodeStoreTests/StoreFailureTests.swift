// SPDX-License-Identifier: Apache-2.0
import Foundation
import GRDB
import Glibc
import NodeStore
import Testing

@Suite("A store that fails keeps what it knows, says so, and recovers by itself", .timeLimit(.minutes(1)))
struct StoreFailureTests {
    @Test("Locked by another connection, from the start or while it runs")
    func locked() async throws {
        let scratch = try Scratch()
        let events = HealthEvents()
        scratch.open().close()
        let other = try scratch.connection()
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN EXCLUSIVE") }
        let store = scratch.open(onHealth: events.reported)
        #expect(await events.failed().contains("another process keeps it locked"))
        guard case .failing(_, let since) = store.health else {
            Issue.record("It does not say that it fails.")
            return
        }
        #expect(abs(since - Sample.now) < 3_600)
        store.record(canary: Sample.canary())
        store.record(hsms: [Sample.hsm()])
        for number in 0..<3_000 { store.record(Sample.transition(number)) }
        #expect(store.transitions(limit: 9_999).count == 1_000)
        #expect(await store.saved() == false)
        #expect(store.canaries() == [Sample.canary()])
        #expect(
            store.claimLanes(token: "t", wanted: 12, floor: 1, limit: 8, holding: 0)
                == LaneClaim(granted: 8, limit: 8, isRecorded: false))
        try await other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        await events.recovered()
        #expect(store.health == .ok)
        let reader = try StoreReader.open(directory: scratch.directory)
        #expect(try reader.hsms() == [Sample.hsm()])
        #expect(try reader.transitions(limit: 9_999) == (2_000..<3_000).map { Sample.transition($0) })

        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN EXCLUSIVE") }
        store.removeCanary(label: "foo")
        #expect(await events.failed().contains("locked"))
        #expect(store.canaries() == [])
        try await other.writeWithoutTransaction { try $0.execute(sql: "COMMIT") }
        await events.recovered()
        #expect(try await other.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM canary") } == 0)
        store.close()
    }

    @Test("A state directory that is a file, or lacks its parent, from the start")
    func noDirectory() async throws {
        let scratch = try Scratch()
        let events = HealthEvents()
        try #require(FileManager.default.createFile(atPath: scratch.directory, contents: Data()))
        let store = scratch.open(onHealth: events.reported)
        #expect(store.health.reason?.contains("Not a directory") == true)
        store.record(canary: Sample.canary())
        #expect(store.canaries() == [Sample.canary()])
        try #require(unlink(scratch.directory) == 0)
        await events.recovered()
        await events.recoveredAnd(store)
        #expect(try await scratch.connection().read { try Int.fetchOne($0, sql: "SELECT count(*) FROM canary") } == 1)
        store.close()
        let nowhere = NodeStore.open(directory: scratch.directory + "/a/b", settings: Scratch.settings())
        #expect(nowhere.health.reason?.contains("No such file or directory") == true)
        nowhere.close()
    }

    @Test("A directory in the file's place is named as what it is, and never set aside")
    func directoryInPlace() throws {
        let scratch = try Scratch()
        try FileManager.default.createDirectory(atPath: scratch.file, withIntermediateDirectories: true)
        let store = scratch.open()
        #expect(
            store.health.reason?.contains("is a directory, where a file of the node's belongs: move it away") == true)
        store.close()
        #expect(try scratch.setAside() == [])
    }

    @Test("Corrupted while it runs: set aside, and everything known is written again")
    func corruptedWhileRunning() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        store.record(canary: Sample.canary())
        store.record(hsms: [Sample.hsm()])
        #expect(await store.saved())
        // The journal goes into the file, and is emptied: what is read next comes from the file.
        _ = try await scratch.connection().writeWithoutTransaction { try $0.checkpoint(.truncate) }
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: scratch.file))
        let size = try handle.seekToEnd()
        try handle.seek(toOffset: 4_096)
        try handle.write(contentsOf: Data(repeating: 0xee, count: Int(size) - 4_096))
        try handle.close()
        // Another connection's commit makes SQLite drop the pages that it has in memory.
        try? await scratch.connection().write { try $0.execute(sql: "PRAGMA user_version = 5") }
        store.record(Sample.transition(1))
        #expect(await store.saved())
        #expect(try !scratch.setAside().isEmpty)
        let reader = try StoreReader.open(directory: scratch.directory)
        #expect(try reader.hsms() == [Sample.hsm()])
        #expect(try reader.transitions(limit: 2) == [Sample.transition(1)])
        #expect(store.canaries() == [Sample.canary()])
        store.close()
    }

    @Test("Read-only: says so, reads what is there, and recovers", .enabled(if: Scratch.canFreeze))
    func readOnly() async throws {
        let scratch = try Scratch()
        let first = scratch.open()
        first.record(canary: Sample.canary("old"))
        first.close()
        try #require(Scratch.freeze(scratch.file, true))
        let events = HealthEvents()
        let store = scratch.open(onHealth: events.reported)
        #expect(store.health.reason?.contains("read-only") == true)
        #expect(store.canaries() == [Sample.canary("old")])
        store.record(canary: Sample.canary("new"))
        #expect(store.canaries().count == 2)
        Scratch.freeze(scratch.file, false)
        await events.recovered()
        store.close()
        let again = scratch.open()
        #expect(again.canaries().map(\.label) == ["new", "old"])
        again.close()
    }

    @Test("The file has reached its largest size: says that it is full, and recovers when there is room")
    func full() async throws {
        let scratch = try Scratch()
        let events = HealthEvents()
        let store = scratch.open({ $0.maximumBytes = 200_000 }, onHealth: events.reported)
        #expect(store.health == .ok)
        let other = try scratch.connection()
        try await other.write {
            try $0.execute(sql: "CREATE TABLE filler (x); INSERT INTO filler VALUES (zeroblob(300000))")
        }
        for number in 0..<300 { store.record(Sample.transition(number)) }
        #expect(await store.saved() == false)
        #expect(await events.failed().contains("full"))
        try await other.write { try $0.execute(sql: "DELETE FROM filler") }
        await events.recovered()
        #expect(store.transitions(limit: 999).count == 300)
        #expect(try await other.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM transition") } == 300)
        store.close()
    }

    @Test("Writes that the system refuses, in the middle of a run")
    func writesRefused() async {
        await #expect(processExitsWith: .success) {
            let scratch = try Scratch()
            let events = HealthEvents()
            let store = scratch.open(onHealth: events.reported)
            store.record(canary: Sample.canary("before"))
            #expect(await store.saved())
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            limit.rlim_cur = 20_000
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            for number in 0..<500 { store.record(Sample.transition(number)) }
            store.record(canary: Sample.canary("during"))
            #expect(await store.saved() == false)
            #expect(await events.failed().contains("fails"))
            #expect(store.canaries().count == 2)
            limit.rlim_cur = limit.rlim_max
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            await events.recovered()
            #expect(await store.saved())
            store.close()
            let again = scratch.open()
            #expect(again.canaries().map(\.label) == ["before", "during"])
            #expect(again.transitions(limit: 999).count == 500)
            #expect(try scratch.setAside() == [])
            again.close()
        }
    }

    @Test("A file system without room", .enabled(if: SmallFileSystem.isPossible))
    func noSpace() async throws {
        let scratch = try Scratch()
        let small = try SmallFileSystem(at: scratch.directory, kilobytes: 512)
        defer { small.remove() }
        let events = HealthEvents()
        let store = scratch.open(onHealth: events.reported)
        store.record(canary: Sample.canary("before"))
        #expect(await store.saved())
        let filler = scratch.directory + "/filler"
        let descriptor = Glibc.open(filler, O_WRONLY | O_CREAT, 0o600)
        let page = [UInt8](repeating: 1, count: 4_096)
        while write(descriptor, page, page.count) > 0 {}
        close(descriptor)
        for number in 0..<500 { store.record(Sample.transition(number)) }
        #expect(await events.failed().contains("full"))
        #expect(store.canaries() == [Sample.canary("before")])
        unlink(filler)
        await events.recovered()
        #expect(await store.saved())
        store.close()
        #expect(try StoreReader.open(directory: scratch.directory).transitions(limit: 999).count == 500)
    }
}

extension HealthEvents {
    /// The store is well, and has written what was recorded before.
    func recoveredAnd(_ store: NodeStore) async {
        #expect(await store.saved())
        #expect(store.health == .ok)
    }
}

/// A file system in memory, where this process may mount one.
struct SmallFileSystem {
    private let directory: String

    init(at directory: String, kilobytes: Int) throws {
        mkdir(directory, 0o700)
        try #require(mount("none", directory, "tmpfs", 0, "size=\(kilobytes)k") == 0)
        self.directory = directory
    }

    func remove() { umount(directory) }

    static let isPossible: Bool = {
        let directory = FileManager.default.temporaryDirectory.path + "/node-store-mount-\(getpid())"
        mkdir(directory, 0o700)
        defer { rmdir(directory) }
        guard mount("none", directory, "tmpfs", 0, "size=64k") == 0 else { return false }
        return umount(directory) == 0
    }()
}

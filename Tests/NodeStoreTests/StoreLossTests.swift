// SPDX-License-Identifier: Apache-2.0
import Foundation
import GRDB
import Glibc
import NodeStore
import Testing

@Suite("A file that is lost while it is in use", .timeLimit(.minutes(1)))
struct StoreLossTests {
    @Test("Deleted while it runs: everything known is written again", arguments: [["", "-wal", "-shm"], [""]])
    func deleted(suffixes: [String]) async throws {
        let scratch = try Scratch()
        let first = scratch.open()
        first.record(canary: Sample.canary("from-before"))
        first.record(Sample.transition(1))
        first.close()
        let store = scratch.open()
        store.record(canary: Sample.canary())
        store.record(canary: Sample.canary("removed"))
        store.record(hsms: [Sample.hsm()])
        store.record(keys: [Sample.key()])
        store.record(node: Sample.node)
        store.setDrained("hsm-b", true)
        #expect(await store.saved())
        store.removeCanary(label: "removed")
        #expect(await store.saved())
        for suffix in suffixes { try #require(unlink(scratch.file + suffix) == 0) }
        store.record(Sample.transition(2))
        #expect(await store.saved())
        #expect(store.health == .ok)
        let reader = try StoreReader.open(directory: scratch.directory)
        #expect(try reader.hsms() == [Sample.hsm()])
        #expect(try reader.transitions(limit: 9) == [Sample.transition(1), Sample.transition(2)])
        #expect(try reader.keys() == [Sample.key()])
        #expect(try reader.nodes() == [Sample.node])
        #expect(try reader.drained() == ["hsm-b"])
        store.close()
        let again = scratch.open()
        #expect(again.canaries().map(\.label) == ["foo", "from-before"])
        again.close()
        #expect(try scratch.setAside() == [])
    }

    @Test("The whole directory deleted while it runs")
    func directoryDeleted() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        store.record(canary: Sample.canary())
        #expect(await store.saved())
        try FileManager.default.removeItem(atPath: scratch.directory)
        #expect(await store.saved())
        #expect(store.health == .ok)
        #expect(try await scratch.connection().read { try Int.fetchOne($0, sql: "SELECT count(*) FROM canary") } == 1)
        store.close()
    }

    @Test("Two stores of one file: both live through its loss, and neither loses anything")
    func deletedUnderTwo() async throws {
        let scratch = try Scratch()
        let (one, two) = (scratch.open(), scratch.open())
        one.record(canary: Sample.canary("one"))
        two.record(canary: Sample.canary("two"))
        #expect(await one.saved())
        #expect(await two.saved())
        try #require(unlink(scratch.file) == 0)
        for number in 0..<20 {
            one.record(canary: Sample.canary("one-\(number)"))
            two.record(canary: Sample.canary("two-\(number)"))
            async let first = one.saved()
            async let second = two.saved()
            let both = await [first, second]
            #expect(both == [true, true])
        }
        #expect(one.canaries().count == 42)
        #expect(two.canaries() == one.canaries())
        // The later of the two to close must not take the other's journal away.
        one.close()
        two.record(canary: Sample.canary("last"))
        #expect(await two.saved())
        two.close()
        let again = scratch.open()
        #expect(again.canaries().count == 43)
        again.close()
        #expect(try scratch.setAside() == [])
    }

    @Test("The file alone deleted under another process, whose journals stay behind")
    func deletedUnderAnotherProcess() async throws {
        let scratch = try Scratch()
        let mine = OwnThread {
            let written = try blockingUntil {
                // A connection of its own would make the file, and would hold it.
                guard let reader = try? StoreReader.open(directory: scratch.directory) else { return false }
                return try reader.drained() == ["ready"]
            }
            try #require(written)
            try #require(unlink(scratch.file) == 0)
            let store = scratch.open()
            try #require(store.health == .ok)
            try #require(store.canaries() == [])
            store.record(canary: Sample.canary("mine"))
            try #require(store.canaries().count == 1)
            try #require(FileManager.default.createFile(atPath: scratch.directory + "/go", contents: nil))
            try #require(blockingUntil { store.canaries().count == 52 })
            try #require(store.health == .ok)
            store.close()
        }
        await #expect(processExitsWith: .exitCode(7)) { [directory = scratch.directory as String] in
            let store = NodeStore.open(directory: directory, settings: Scratch.settings())
            for number in 0..<50 { store.record(canary: Sample.canary("theirs-\(number)")) }
            store.setDrained("ready", true)
            guard await store.saved() else { exit(1) }
            // The other process has lost the file, and made a new one.
            guard await eventually({ access(directory + "/go", F_OK) == 0 }) else { exit(2) }
            store.record(canary: Sample.canary("their-last"))
            guard await store.saved(), store.canaries().count == 52 else { exit(3) }
            store.close()
            exit(7)
        }
        try mine.join()
        #expect(try scratch.setAside() == [])
    }
}

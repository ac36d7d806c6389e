// SPDX-License-Identifier: Apache-2.0
import Foundation
import GRDB
import Glibc
import NodeStore
import Testing

@Suite("The store's file")
struct StoreFileTests {
    @Test("The directory, the file and its journals are the owner's alone; the file is in WAL mode")
    func permissions() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        store.record(canary: Sample.canary())
        #expect(await store.saved())
        #expect(try scratch.mode(scratch.directory) == 0o700)
        for suffix in ["", "-wal", "-shm"] { #expect(try scratch.mode(scratch.file + suffix) == 0o600) }
        let beside = try scratch.connection()
        #expect(try await beside.read { try String.fetchOne($0, sql: "PRAGMA journal_mode") } == "wal")
        store.close()
        chmod(scratch.file, 0o644)
        scratch.open().close()
        #expect(try scratch.mode(scratch.file) == 0o600)
    }

    @Test("A file of a later version is left alone, and the sentence says so")
    func laterVersion() async throws {
        let scratch = try Scratch()
        scratch.open().close()
        try await scratch.connection().write {
            try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('9 from the future')")
        }
        let before = try Data(contentsOf: URL(fileURLWithPath: scratch.file))
        let store = scratch.open()
        #expect(store.health.reason?.contains("newer version") == true)
        store.record(hsms: [Sample.hsm()])
        #expect(await store.saved() == false)
        // It serves from memory.
        #expect(store.hsms() == [Sample.hsm()])
        #expect(store.claimLanes(token: "t", wanted: 3, floor: 1, limit: 9, holding: 0).granted == 3)
        #expect(throws: StoreError.newerSchema(path: scratch.file)) {
            try StoreReader.open(directory: scratch.directory)
        }
        store.close()
        #expect(try Data(contentsOf: URL(fileURLWithPath: scratch.file)) == before)
        #expect(try scratch.setAside() == [])
    }

    @Test("A database of another program is set aside")
    func otherProgram() async throws {
        let scratch = try Scratch()
        try FileManager.default.createDirectory(atPath: scratch.directory, withIntermediateDirectories: true)
        try await scratch.connection().write { try $0.execute(sql: "CREATE TABLE hsm (x); CREATE TABLE theirs (y)") }
        #expect(throws: StoreError.olderSchema(path: scratch.file)) {
            try StoreReader.open(directory: scratch.directory)
        }
        let store = scratch.open()
        #expect(store.health == .ok)
        #expect(try scratch.setAside().count == 1)
        store.close()
    }

    @Test("The reader's sentences: no file, garbage")
    func readerErrors() throws {
        let scratch = try Scratch()
        #expect(throws: StoreError.notThere(path: scratch.file)) { try StoreReader.open(directory: scratch.directory) }
        scratch.open().close()
        try overwrite(scratch.file, at: 0, with: [UInt8](repeating: 0x41, count: 100))
        let error = #expect(throws: StoreError.self) { try StoreReader.open(directory: scratch.directory) }
        #expect(error?.description.contains("is corrupt") == true)
        // A reader changes nothing.
        #expect(try scratch.setAside() == [])
    }

    @Test(
        "A damaged file is set aside and replaced; what is read is never wrong",
        arguments: [0, 16, 18, 28, 96, 100, 105, 500, 2_000, 4_000, 4_096, 8_192, 8_200, 12_288, 20_480])
    func damage(offset: Int) async throws {
        let scratch = try Scratch()
        let canaries = try await fill(scratch)
        try overwrite(scratch.file, at: offset, with: [UInt8](repeating: 0xa5, count: 300))
        let damaged = try Data(contentsOf: URL(fileURLWithPath: scratch.file))
        let store = scratch.open()
        #expect(store.health == .ok)
        let found = store.canaries()
        let aside = try scratch.setAside().filter { !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm") }
        if aside.isEmpty {
            #expect(found == canaries)
        } else {
            #expect(found == [])
            let path = try #require(aside.first)
            #expect(path.hasPrefix("claviger.sqlite.corrupt-"))
            #expect(try Data(contentsOf: URL(fileURLWithPath: scratch.directory + "/" + path)) == damaged)
        }
        if offset == 0 || offset == 100 { #expect(aside.count == 1) }
        store.record(canary: Sample.canary("new"))
        #expect(await store.saved())
        store.close()
    }

    @Test("Random damage, truncation and growth never end the process, and never give a wrong canary")
    func randomDamage() async throws {
        let scratch = try Scratch()
        let canaries = try await fill(scratch)
        let whole = try Data(contentsOf: URL(fileURLWithPath: scratch.file))
        var random = SystemRandomNumberGenerator()
        var setAside = 0
        for _ in 0..<120 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            }
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes = bytes.prefix(Int.random(in: 0...bytes.count, using: &random))
            case 1: bytes += Data(repeating: 7, count: Int.random(in: 1...9_000, using: &random))
            default: break
            }
            for name in try FileManager.default.contentsOfDirectory(atPath: scratch.directory) {
                unlink(scratch.directory + "/" + name)
            }
            try bytes.write(to: URL(fileURLWithPath: scratch.file))
            let store = scratch.open()
            #expect(store.health == .ok || store.health.reason?.contains("newer") == true)
            let found = store.canaries()
            #expect(found == canaries || found == [])
            if try !scratch.setAside().isEmpty { setAside += 1 }
            store.close()
        }
        #expect(setAside > 0)
    }

    @Test("Of many corrupt files, the last few are kept")
    func fewAreKept() throws {
        let scratch = try Scratch()
        scratch.open().close()
        for _ in 0..<6 {
            try overwrite(scratch.file, at: 0, with: [1, 2, 3, 4])
            scratch.open { $0.corruptFilesKept = 3 }.close()
        }
        #expect(try scratch.setAside().filter { !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm") }.count == 3)
    }

    private func fill(_ scratch: Scratch) async throws -> [StoredCanary] {
        let store = scratch.open()
        for number in 0..<40 {
            store.record(canary: Sample.canary("key-\(100 + number)"))
            store.record(Sample.transition(number))
            store.record(keys: [Sample.key("key-\(number)")])
        }
        store.record(hsms: [Sample.hsm()])
        try #require(await store.saved())
        let canaries = store.canaries()
        store.close()
        try #require(canaries.count == 40)
        return canaries
    }

    private func overwrite(_ path: String, at offset: Int, with bytes: [UInt8]) throws {
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try handle.seek(toOffset: UInt64(offset))
        try handle.write(contentsOf: Data(bytes))
        try handle.close()
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import NodeStore
import Testing

@Suite("The uses of keys outlive a process")
struct KeyUseTests {
    private func uses(_ label: String, _ encrypts: Int, _ decrypts: Int = 0) -> StoredKeyUses {
        StoredKeyUses(label: label, encrypts: encrypts, decrypts: decrypts)
    }

    @Test("what is recorded is added, label by label as bytes, over restarts")
    func added() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        #expect(store.keyUses() == [])
        store.add(keyUses: [uses("k", 5, 2), uses("caf\u{E9}", 1), uses("cafe\u{301}", 10)])
        store.add(keyUses: [uses("k", 3)])
        #expect(await store.saved())
        store.add(keyUses: [uses("k", 1)])
        let expected = [uses("cafe\u{301}", 10), uses("caf\u{E9}", 1), uses("k", 9, 2)]
        #expect(store.keyUses() == expected)
        store.close()
        let again = scratch.open()
        #expect(again.keyUses() == expected)
        #expect(again.keyUses().map { Array($0.label.utf8) } == expected.map { Array($0.label.utf8) })
        again.close()
    }

    /// With counts that are written as totals the second process took those of the first away.
    @Test("two processes count beside one another")
    func two() async throws {
        let scratch = try Scratch()
        let (one, other) = (scratch.open(), scratch.open())
        for _ in 0..<3 {
            one.add(keyUses: [uses("k", 1)])
            #expect(await one.saved())
            other.add(keyUses: [uses("k", 10, 1)])
            #expect(await other.saved())
        }
        #expect(one.keyUses() == [uses("k", 33, 3)] && other.keyUses() == [uses("k", 33, 3)])
        one.close()
        other.close()
    }

    @Test("what a new file lacks is written again, once")
    func lost() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        store.add(keyUses: [uses("k", 7, 1)])
        #expect(await store.saved())
        for name in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: scratch.file + name) }
        store.add(keyUses: [uses("k", 2)])
        #expect(await store.saved())
        #expect(store.keyUses() == [uses("k", 9, 1)])
        #expect(await store.saved())
        store.close()
        let again = scratch.open()
        #expect(again.keyUses() == [uses("k", 9, 1)])
        again.close()
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import NodeStore
import Testing

@Suite("What is known of access keys outlives a process")
struct AccessKeyTests {
    private func key(_ id: String, seen: Int? = nil, used: Int? = nil, at node: String? = nil) -> StoredAccessKey {
        StoredAccessKey(
            accessKeyID: id, firstSeenUnixSeconds: seen, lastUsedUnixSeconds: used, lastUsedAt: node)
    }

    @Test("what is recorded is there after a restart")
    func kept() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        #expect(store.accessKeys() == [])
        store.record(accessKeys: [key("B", seen: 7), key("A", used: 60, at: "fra-1")])
        #expect(await store.saved())
        store.record(accessKeys: [key("B", seen: 7, used: 120, at: "iad-1")])
        let expected = [key("A", used: 60, at: "fra-1"), key("B", seen: 7, used: 120, at: "iad-1")]
        #expect(store.accessKeys() == expected)
        store.close()
        let again = scratch.open()
        #expect(again.accessKeys() == expected)
        again.close()
    }

    @Test("what other nodes tell of keys is there after a restart, the latest of each, label by label as bytes")
    func usesElsewhere() async throws {
        let scratch = try Scratch()
        func uses(_ node: String, _ label: String, _ encrypts: Int) -> StoredUsesElsewhere {
            StoredUsesElsewhere(node: node, label: label, encryptsBefore: 3, encrypts: encrypts)
        }
        let store = scratch.open()
        store.record(keyUsesElsewhere: [uses("a", "k", 1), uses("b", "k", 2), uses("a", "caf\u{E9}", 4)])
        #expect(await store.saved())
        store.record(keyUsesElsewhere: [uses("a", "k", 9), uses("a", "cafe\u{301}", 5)])
        #expect(await store.saved())
        store.close()
        let again = scratch.open()
        let kept = again.keyUsesElsewhere()
        #expect(kept.count == 4 && kept.contains(uses("a", "k", 9)) && kept.contains(uses("b", "k", 2)))
        #expect(kept.map(\.encrypts).reduce(0, +) == 20)
        again.close()
    }

    @Test("of two processes the earlier first sight stays, and the later use")
    func two() async throws {
        let scratch = try Scratch()
        let (one, other) = (scratch.open(), scratch.open())
        one.record(accessKeys: [key("A", seen: 5, used: 120, at: "fra-1")])
        #expect(await one.saved())
        other.record(accessKeys: [key("A", seen: 9, used: 60, at: "iad-1")])
        #expect(await other.saved())
        let expected = [key("A", seen: 5, used: 120, at: "fra-1")]
        one.close()
        other.close()
        let again = scratch.open()
        #expect(again.accessKeys() == expected)
        again.record(accessKeys: [key("A", seen: nil, used: 180, at: "iad-1")])
        #expect(await again.saved())
        again.close()
        let last = scratch.open()
        #expect(last.accessKeys() == [key("A", seen: 5, used: 180, at: "iad-1")])
        last.close()
    }
}

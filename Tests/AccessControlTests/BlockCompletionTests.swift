// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Testing

@Suite("Block list: a node that has none, or has lost it")
struct BlockCompletionTests {
    private let second: UInt64 = 1_000_000_000
    private let now = blockTime

    private func lost() -> BlockRegister {
        var register = BlockRegister(isClustered: true)
        let file = BlockFile(list: .unknown("lost"), changes: 3)
        _ = register.adopt(file, marker: .present(changes: 3), behind: "behind", now: now)
        return register
    }

    @Test("it asks the members that have not answered, and is whole after all have, one of them with a list")
    func completing() {
        var register = lost()
        let members = ["a", "b"]
        #expect(register.complete(members: members, now: 0, unixSeconds: now) == .exchange(with: ["a", "b"]))
        register.exchanged(with: "a", isKnown: true, now: second / 2)
        // Who does not answer is asked again, also after others have.
        for _ in 0..<3 {
            #expect(register.complete(members: members, now: second, unixSeconds: now) == .exchange(with: ["b"]))
        }
        register.exchanged(with: "b", isKnown: false, now: second)
        #expect(register.complete(members: members, now: second, unixSeconds: now) == .completed(was: "lost"))
        #expect(register.complete(members: members, now: second, unixSeconds: now) == .isKnown)
        #expect(register.list.knowledge == .known && register.take().knowledge == .known)
        #expect(register.changes == UInt64(now), "its peers are not to take it for one that was put back")
    }

    @Test("what was exchanged for an earlier loss does not count for a later look")
    func anew() {
        var register = lost()
        register.exchanged(with: "a", isKnown: true, now: 0)
        #expect(register.complete(members: ["a"], now: 9 * second, unixSeconds: now) == .exchange(with: ["a"]))
    }

    @Test("an operator's word that there are no other blocks is taken at once, and once")
    func confirming() {
        var register = lost()
        #expect(register.confirm(unixSeconds: now) == "lost")
        #expect(register.confirm(unixSeconds: now) == nil)
        #expect(register.list.knowledge == .known)
    }

    @Test("an order to begin waits for peers with a list, and is taken where none answers")
    func bootstrap() {
        var alone = BlockRegister(isClustered: true)
        _ = alone.failed("the disk is full", .nothing)
        _ = alone.complete(members: [], now: 0, unixSeconds: now)
        #expect(alone.bootstrap(orderedAt: second, members: [], now: 6 * second - 1, unixSeconds: now) == .wait)
        let step = alone.bootstrap(orderedAt: second, members: [], now: 6 * second, unixSeconds: now)
        #expect(step == .begun(isNew: true, was: BlockKnowledge.newcomer))
        #expect(alone.bootstrap(orderedAt: second, members: [], now: 7 * second, unixSeconds: now) == .isKnown)

        var other = lost()
        _ = other.complete(members: ["a"], now: 0, unixSeconds: now)
        other.exchanged(with: "a", isKnown: true, now: second)
        #expect(other.bootstrap(orderedAt: 0, members: ["a"], now: 99 * second, unixSeconds: now) == .wait)
        #expect(other.complete(members: ["a"], now: 99 * second, unixSeconds: now) == .completed(was: "lost"))
    }

    @Test("without a cluster there is nobody to wait for; in one that is yet to be joined there is")
    func noCluster() {
        var register = lost()
        let settled = BlockListJoin.settling
        #expect(register.bootstrap(orderedAt: 0, members: nil, now: settled - 1, unixSeconds: now) == .wait)
        #expect(register.bootstrap(orderedAt: 0, members: [], now: 99 * settled, unixSeconds: now) == .wait)
        let step = register.bootstrap(orderedAt: 0, members: nil, now: settled, unixSeconds: now)
        #expect(step == .begun(isNew: false, was: "lost"))
    }

    @Test("orders that are reported are taken in, and what has ended long ago goes by the way")
    func reported() throws {
        var register = lost()
        let old = Block(
            id: id("a"), target: .key("k"), reason: "r", madeAt: now - 200 * day, expiresAt: now - 100 * day,
            madeBy: "m")
        let new = Block(id: id("b"), target: .key("k"), reason: "r", madeAt: now, expiresAt: nil, madeBy: "m")
        let merge = register.reported([BlockEntry(block: old), BlockEntry(block: new)], now: now)
        #expect(merge.newBlocks == [new])
        #expect(register.list.blocks.keys.sorted() == [id("b")])
        #expect(register.list.unknown == "lost", "nothing that is heard makes a list whole")
    }
}

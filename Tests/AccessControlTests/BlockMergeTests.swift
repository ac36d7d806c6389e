// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import Testing

@Suite("Block list: merging")
struct BlockMergeTests {
    @Test("commutative, associative and idempotent, also where ids contradict each other", arguments: [false, true])
    func algebra(contradicting: Bool) {
        var random = RandomChoice(seed: 0x6D65)
        for round in 0..<150 {
            let lists = random.lists(3, contradicting: contradicting).map { list in
                var list = list
                list.confirm()
                return list
            }
            let (a, b, c) = (lists[0], lists[1], lists[2])
            #expect(a.merged(with: b) == b.merged(with: a), "round \(round): commutative")
            #expect(
                a.merged(with: b).merged(with: c) == a.merged(with: b.merged(with: c)), "round \(round): associative")
            #expect(a.merged(with: a) == a, "round \(round): idempotent")
            #expect(a.merged(with: b).merged(with: b) == a.merged(with: b), "round \(round): again changes nothing")
        }
    }

    @Test("a merge takes no block and no lift away")
    func union() {
        var random = RandomChoice(seed: 0x756E)
        for _ in 0..<150 {
            let lists = random.lists(2)
            let both = lists[0].merged(with: lists[1])
            #expect(Set(both.blocks.keys) == Set(lists[0].blocks.keys).union(lists[1].blocks.keys))
            #expect(Set(both.lifts.keys) == Set(lists[0].lifts.keys).union(lists[1].lifts.keys))
            for (id, block) in lists[1].blocks { #expect(both.blocks[id] == block) }
        }
    }

    @Test("what a merge says has changed is what has changed")
    func change() {
        var random = RandomChoice(seed: 0x6368)
        var unchanged = 0
        for _ in 0..<150 {
            let lists = random.lists(2, contradicting: true)
            var list = lists[0]
            let change = list.merge(lists[1], now: blockTime - 200 * day)
            #expect(change.hasChanged == (list != lists[0] || change.prolonged > 0))
            #expect(list.unknown == lists[0].unknown, "what is heard says nothing on whether this list is whole")
            for block in change.newBlocks {
                #expect(list.blocks[block.id] == block && lists[0].blocks[block.id] != block)
            }
            for lift in change.newLifts { #expect(list.lifts[lift.id] == lift && lists[0].lifts[lift.id] != lift) }
            let again = list.merge(lists[1], now: blockTime - 200 * day)
            #expect(!again.hasChanged)
            if !change.hasChanged { unchanged += 1 }
        }
        #expect(unchanged < 50)
    }

    @Test("a block that a lift did not know of survives it")
    func addWins() throws {
        var (here, there) = (BlockList(), BlockList())
        try here.order(.key("k"), id: id("a"))
        there.merge(here, now: blockTime)
        // At the same moment: one node lifts what it knows of K, the other blocks K again.
        #expect(try here.lift(.key("k"), by: "me@here", now: blockTime).map(\.id) == [id("a")])
        try there.order(.key("k"), id: id("b"))
        for list in [here.merged(with: there), there.merged(with: here)] {
            #expect(list.verdict(id: "k")?.block?.id == id("b"))
            #expect(list.inForce(now: blockTime).map(\.id) == [id("b")])
        }
    }

    @Test("a node that was away does not bring back what was lifted meanwhile")
    func noResurrection() throws {
        var (here, away) = (BlockList(), BlockList())
        try here.order(.everything, id: id("a"))
        away.merge(here, now: blockTime)
        try here.lift(id: id("a"), by: "me@here", now: blockTime)
        let change = here.merge(away, now: blockTime)
        #expect(!change.hasChanged && here.verdict() == nil)
        // The lift comes with its block to whoever has neither.
        var late = BlockList()
        late.merge(here, now: blockTime)
        late.merge(away, now: blockTime)
        #expect(late == here && late.verdict() == nil)
    }

    @Test("of two lifts of one block the first one remains, on all nodes")
    func firstLift() throws {
        var list = BlockList()
        try list.order(.everything, id: id("a"))
        var (early, late) = (list, list)
        try late.lift(id: id("a"), by: "a@late", now: blockTime + 2)
        try early.lift(id: id("a"), by: "z@early", now: blockTime + 1)
        #expect(early.merged(with: late).lifts[id("a")]?.liftedBy == "z@early")
        #expect(late.merged(with: early).lifts[id("a")]?.liftedBy == "z@early")
        #expect(late.merge(early, now: blockTime).newLifts.map(\.liftedBy) == ["z@early"])
    }

    @Test("of two blocks with one id the one that ends later stands, and the deception is counted")
    func contradiction() {
        let short = Block(
            id: id("a"), target: .key("other"), reason: "z", madeAt: blockTime, expiresAt: blockTime + 1, madeBy: "z")
        let endless = Block(
            id: id("a"), target: .everything, reason: "a", madeAt: blockTime, expiresAt: nil, madeBy: "a")
        var (here, there) = (BlockList(blocks: [endless], lifts: []), BlockList(blocks: [short], lifts: []))
        let refused = here.merge(there, now: blockTime)
        #expect(refused.contradictions == 1 && !refused.hasChanged)
        let change = there.merge(here, now: blockTime)
        #expect(change.contradictions == 1 && change.newBlocks == [endless])
        #expect(there == here && there.digest == here.digest && there.verdict()?.block == endless)
    }

    @Test("what is received never decides whether a list is whole: neither a known nor an unknown one")
    func unknown() throws {
        var known = BlockList()
        try known.order(.key("k"), id: id("a"))
        for var lost in [BlockList.unknown("the disk is gone"), BlockList(blocks: [], lifts: [], knowledge: .none)] {
            let before = lost.knowledge
            #expect(lost.merge(known, now: blockTime).newBlocks.map(\.id) == [id("a")])
            #expect(lost.knowledge == before && lost != known && lost.blocks == known.blocks)
            #expect(known.merged(with: lost) == known, "what is unknown elsewhere makes nothing unknown here")
            lost.confirm()
            #expect(lost == known)
        }
    }
}

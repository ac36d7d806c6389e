// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import Testing

@Suite("Block list: expiry and pruning")
struct BlockExpiryTests {
    @Test("a block with an end holds until then, and not from then on")
    func end() throws {
        var list = BlockList()
        let block = try list.order(.key("k"), id: id("a"), for: 60)
        #expect(block.expiresAt == blockTime + 60)
        #expect(list.verdict(id: "k", at: blockTime + 59) != nil)
        #expect(list.verdict(id: "k", at: blockTime + 60) == nil && list.inForce(now: blockTime + 60).isEmpty)
        #expect(list.verdict(id: "k", at: blockTime - day) != nil, "a clock that is set back blocks")
        #expect(throws: BlockError.noSuchBlock(id: id("a"))) {
            try list.lift(id: id("a"), by: "me@here", now: blockTime + 60)
        }
    }

    @Test("no end comes after the year 9999, and no clock makes the sum overflow")
    func latest() throws {
        var list = BlockList()
        let late = Block.latestTime - 10
        let block = try list.order(.everything, id: id("a"), at: late, for: Block.longestExpiry)
        #expect(block.expiresAt == Block.latestTime)
        for now in [Int64.min, -1, Block.latestTime + 1, .max] {
            #expect(throws: BlockError.timeForm(seconds: now)) {
                try list.order(.everything, id: id("b"), at: now, for: Block.longestExpiry)
            }
            var endless = BlockList()
            try endless.order(.everything, id: id("a"))
            #expect(throws: BlockError.timeForm(seconds: now)) { try endless.lift(.everything, by: "me", now: now) }
            #expect(endless.lifts.isEmpty)
        }
        for seconds in [Int64.min, -1, 0, Block.longestExpiry + 1, .max] {
            #expect(throws: BlockError.expiryForm(seconds: seconds)) {
                try list.order(.everything, id: id("b"), for: seconds)
            }
        }
        #expect(list.blocks.count == 1)
    }

    @Test("ninety days after its end a block is forgotten, with its lift; one without an end never is")
    func prune() throws {
        var list = BlockList()
        try list.order(.key("short"), id: id("a"), for: 60)
        try list.order(.key("lifted"), id: id("b"), for: 60)
        try list.order(.key("endless"), id: id("c"))
        try list.order(.key("lifted for good"), id: id("d"))
        try list.lift(id: id("b"), by: "me@here", now: blockTime)
        try list.lift(id: id("d"), by: "me@here", now: blockTime)
        let last = blockTime + 60 + 90 * day
        #expect(BlockList.keptAfterExpiry == 90 * day)
        let before = list
        #expect(list.prune(now: last) == 0 && list == before)
        #expect(list.prune(now: last + 1) == 2)
        #expect(Set(list.blocks.keys) == [id("c"), id("d")] && Set(list.lifts.keys) == [id("d")])
        #expect(list.prune(now: .max) == 0 && list.verdict(id: "endless", at: Block.latestTime) != nil)
        #expect(list.prune(now: .min) == 0)
        let rest = BlockList(blocks: Array(list.blocks.values), lifts: Array(list.lifts.values))
        #expect(rest == list && rest.digest == list.digest, "nothing of what went is left in the digest")
    }

    @Test("pruning here and not there changes no verdict, whatever is merged afterwards")
    func pruningIsInvisible() {
        var random = RandomChoice(seed: 0x7072)
        var pruned = 0
        for _ in 0..<300 {
            let lists = random.lists(2)
            let now = blockTime + Int64.random(in: 0...400 * day, using: &random)
            var here = lists[0]
            pruned += here.prune(now: now)
            let (mixed, whole) = (here.merged(with: lists[1], at: now), lists[0].merged(with: lists[1], at: now))
            for time in [now, now + 10 * day] {
                #expect(mixed.inForce(now: time) == whole.inForce(now: time))
            }
            var (one, other) = (mixed, whole)
            one.prune(now: now)
            other.prune(now: now)
            #expect(one.inForce(now: now) == other.inForce(now: now))
        }
        #expect(pruned > 100, "too few were pruned to mean anything")
    }

    @Test("a block that was forgotten is not taken in again")
    func broughtBack() throws {
        var list = BlockList()
        try list.order(.everything, id: id("a"), for: 60)
        try list.lift(id: id("a"), by: "me@here", now: blockTime)
        let peer = list
        let now = blockTime + 100 * day
        #expect(list.prune(now: now) == 1 && list == BlockList())
        #expect(!list.merge(peer, now: now).hasChanged)
        #expect(list == BlockList() && list.digest == BlockList().digest)
    }
}

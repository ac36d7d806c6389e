// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import Testing

@Suite("Block list: durations between clocks that differ")
struct BlockDurationTests {
    /// What a node sends another, whose clock shows `there` when this one's shows `here`.
    private func send(_ list: BlockList, at here: Int64, to other: inout BlockList, at there: Int64) -> BlockMerge {
        other.merge(list.blocks.keys.compactMap { list.entry(id: $0, now: here) }, now: there)
    }

    /// With the instant of its end in place of what remains, it never held where the clock is hours ahead.
    @Test("a block of three minutes holds three minutes on a node whose clock is hours ahead or behind")
    func skewed() throws {
        // By the origin's instant: a node that is 4 minutes ahead took the block for one that had ended, and served.
        for skew: Int64 in [-86_400, -240, 0, 240, 86_400] {
            var (here, there) = (BlockList(), BlockList())
            try here.order(.key("k"), id: id("a"), for: 180)
            _ = send(here, at: blockTime + 1, to: &there, at: blockTime + 1 + skew)
            #expect(there.verdict(id: "k", at: blockTime + skew + 179) != nil, "skew \(skew)")
            #expect(there.verdict(id: "k", at: blockTime + skew + 181) == nil, "skew \(skew)")
            #expect(here.digest == there.digest, "when it ends by a node's clock is no part of what is compared")
        }
    }

    @Test("the latest end that anybody reports holds, at most the duration from the first sight")
    func latest() throws {
        var list = BlockList()
        let block = Block(
            id: id("a"), target: .everything, reason: "r", madeAt: 5, expiresAt: 105, madeBy: "m")
        list.merge([BlockEntry(block: block, remaining: 10)], now: blockTime)
        #expect(list.terms[block.id] == BlockTerm(firstSeen: blockTime, endsAt: blockTime + 10))
        #expect(list.merge([BlockEntry(block: block, remaining: 60)], now: blockTime + 5).prolonged == 1)
        #expect(list.endsAt(id: block.id) == blockTime + 65)
        #expect(!list.merge([BlockEntry(block: block, remaining: 20)], now: blockTime + 5).hasChanged, "not earlier")
        #expect(!list.merge([BlockEntry(block: block, remaining: 62)], now: blockTime + 5).hasChanged, "a way's time")
        // Reported again and again with an invented remainder, it ends all the same.
        for second in Int64(0)..<200 {
            list.merge([BlockEntry(block: block, remaining: .max)], now: blockTime + second)
        }
        #expect(list.endsAt(id: block.id) == blockTime + 100)
        #expect(
            list.isInForce(id: block.id, now: blockTime + 99) && !list.isInForce(id: block.id, now: blockTime + 100))
    }

    @Test("a node that gives no remainder reports the instant, by its own clock")
    func earlierVersion() {
        let block = Block(
            id: id("a"), target: .everything, reason: "r", madeAt: blockTime, expiresAt: blockTime + 100, madeBy: "m")
        for (now, end) in [(blockTime + 40, blockTime + 100), (blockTime - 40, blockTime + 60)] {
            var list = BlockList()
            list.merge([BlockEntry(block: block)], now: now)
            #expect(list.endsAt(id: block.id) == end)
        }
    }

    @Test("what ended elsewhere does not begin here, and is forgotten 90 days after its origin and duration")
    func ended() {
        let block = Block(
            id: id("a"), target: .everything, reason: "r", madeAt: blockTime, expiresAt: blockTime + 60, madeBy: "m")
        var list = BlockList()
        list.merge([BlockEntry(block: block, remaining: 0)], now: blockTime + 3_600)
        #expect(list.blocks.count == 1 && list.verdict(at: blockTime + 3_600) == nil)
        let late = blockTime + 60 + 90 * day + 1
        #expect(list.prune(now: late) == 1)
        #expect(!list.merge([BlockEntry(block: block, remaining: 0)], now: late).hasChanged)
        // While it holds somewhere, it holds here, whatever the clocks say.
        #expect(list.merge([BlockEntry(block: block, remaining: 30)], now: late).newBlocks == [block])
        #expect(list.verdict(at: late + 29) != nil && list.prune(now: late) == 0)
    }

    @Test("whatever is reported in whatever order, no end comes after the first sight and the duration")
    func random() {
        var random = RandomChoice(seed: 0x6475)
        for _ in 0..<300 {
            let duration = Int64.random(in: 1...500, using: &random)
            let block = Block(
                id: id("a"), target: .everything, reason: "r", madeAt: blockTime, expiresAt: blockTime + duration,
                madeBy: "m")
            var list = BlockList()
            var now = blockTime + Int64.random(in: -1_000...1_000, using: &random)
            let first = now
            var latest = Int64.min
            for _ in 0..<20 {
                let remaining = Int64.random(in: -5...600, using: &random)
                list.merge([BlockEntry(block: block, remaining: remaining)], now: now)
                latest = max(latest, min(now + max(remaining, 0), first + duration))
                let end = list.endsAt(id: block.id) ?? .max
                #expect(end <= first + duration && end <= latest && end >= latest - 2)
                now += Int64.random(in: 0...50, using: &random)
            }
        }
    }
}

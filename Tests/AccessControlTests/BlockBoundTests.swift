// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Testing

@Suite("Block list: what a merge may hold")
struct BlockBoundTests {
    private func number(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }

    private func block(_ index: Int, _ target: BlockTarget = .key("k")) -> Block {
        Block(id: number(index), target: target, reason: "r", madeAt: blockTime, expiresAt: nil, madeBy: "m")
    }

    private func lift(_ index: Int) -> BlockLift {
        BlockLift(id: number(index), liftedAt: blockTime + Int64(index), liftedBy: "m")
    }

    @Test("lifts of blocks that nobody has are refused and counted; those of blocks that are here are taken")
    func strays() {
        // Without the refusal: two messages of 9,000 invented lifts each grew the list beyond what nodes exchange.
        var list = BlockList(blocks: [block(1)], lifts: [])
        let merge = list.merge([], strayLifts: (0..<9_000).map(lift), now: blockTime)
        #expect(merge.strayLifts == 8_999 && merge.newLifts == [lift(1)])
        #expect(list.lifts.count == 1 && list.blocks.count == 1)
        var whole = BlockList(blocks: [], lifts: [])
        #expect(whole.merge(BlockList(blocks: [], lifts: (0..<9_000).map(lift)), now: blockTime).strayLifts == 9_000)
        #expect(whole == BlockList())
    }

    @Test("invented orders that are over fill the list to its bound, and no true order is refused for them")
    func over() throws {
        var list = BlockList()
        let invented = (0..<50_000).map { BlockEntry(block: block($0), lift: lift($0)) }
        let merge = list.merge(invented, now: blockTime)
        #expect(merge.refused == 10_000 && list.blocks.count == BlockList.mostOver)
        let standing = [BlockEntry(block: block(60_000)), BlockEntry(block: block(60_001, .everything))]
        #expect(list.merge(standing, now: blockTime).newBlocks.count == 2)
        try list.order(.key("mine"), id: id("f"))
        // A true lift has its block here.
        #expect(list.merge([BlockEntry(block: block(60_000), lift: lift(60_000))], now: blockTime).newLifts.count == 1)
        #expect(list.lifts.count <= BlockList.mostOver && list.isInForce(id: id("f"), now: blockTime))
    }

    @Test("more blocks in force than two full lists are refused, but for everything")
    func standing() {
        var list = BlockList()
        let merge = list.merge((0..<30_000).map { BlockEntry(block: block($0)) }, now: blockTime)
        #expect(merge.refused == 10_000 && list.blocks.count == BlockList.mostMerged)
        let everything = (40_000..<40_100).map { BlockEntry(block: block($0, .everything)) }
        #expect(list.merge(everything, now: blockTime).newBlocks.count == BlockList.mostOfEverything)
    }

    @Test("what was lifted does not count against the bound of orders")
    func lifted() throws {
        // Counting them, the order below was refused: "the block list is full", and only --all could be blocked.
        let count = BlockList.mostBlocks + 5
        var list = BlockList(blocks: (0..<count).map { block($0) }, lifts: (0..<count).map(lift))
        try list.order(.key("next"), id: id("f"))
        #expect(list.verdict(id: "next") != nil)
        var standing = BlockList(blocks: (0..<count).map { block($0) }, lifts: [])
        #expect(throws: BlockError.self) { try standing.order(.key("next"), id: id("f")) }
        #expect(standing.merged(with: list, at: blockTime).inForce(now: blockTime).map(\.id) == [id("f")])
    }

    @Test("lifting beyond the bound forgets what was lifted longest ago, and nothing that is in force")
    func forgetting() throws {
        let count = BlockList.mostOver
        var list = BlockList(
            blocks: (0...count).map { block($0, .key("k\($0)")) }, lifts: (0..<count).map(lift))
        try list.lift(.key("k\(count)"), by: "me", now: blockTime + Int64(count))
        #expect(list.lifts.count == count && list.blocks[number(0)] == nil && list.blocks[number(1)] != nil)
        #expect(list.takeTouched() == [number(0), number(count)])
    }
}

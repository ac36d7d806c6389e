// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import SeededRandom
import Testing

@Suite("Block list: digest")
struct BlockDigestTests {
    @Test("equal exactly when the lists are")
    func equality() {
        var random = RandomChoice(seed: 0x6469)
        var byDigest: [String: BlockList] = [:]
        var equal = 0
        for _ in 0..<300 {
            for list in random.lists(3, contradicting: true) {
                #expect(list.digest.utf8.count == 32)
                #expect(list.digest.utf8.allSatisfy { Array("0123456789abcdef".utf8).contains($0) })
                if let other = byDigest.updateValue(list, forKey: list.digest) {
                    #expect(other == list)
                    equal += 1
                }
            }
        }
        #expect(equal < 30, "the lists are too much alike to mean anything")
        for list in byDigest.values {
            var copy = BlockList(
                blocks: list.blocks.values.shuffled(using: &random), lifts: list.lifts.values.shuffled(using: &random),
                unknown: list.unknown.map { "not \($0)" })
            #expect(copy == list && copy.digest == list.digest, "neither the order nor the reason counts")
            copy.confirm()
            #expect((copy.digest == list.digest) == (list.unknown == nil))
        }
    }

    @Test("whichever way a list came about, its digest is that of its content")
    func path() {
        var random = RandomChoice(seed: 0x7061)
        for _ in 0..<200 {
            var list = BlockList()
            for other in random.lists(4, contradicting: true) {
                list.merge(other, now: blockTime)
                if random.chance(oneIn: 3) {
                    list.prune(now: blockTime + Int64.random(in: 0...300, using: &random) * day)
                }
            }
            let anew = BlockList(
                blocks: Array(list.blocks.values), lifts: Array(list.lifts.values), unknown: list.unknown)
            #expect(anew.digest == list.digest)
        }
    }

    @Test("every field of a block and of a lift counts, and none can pass for another")
    func fields() {
        let block = Block(
            id: id("a"), target: .key("ab"), reason: "cd", madeAt: 1, expiresAt: 2, madeBy: "ef")
        let changes: [(inout Block) -> Void] = [
            { $0.id = id("b") }, { $0.target = .key("a") }, { $0.target = .keyStore("ab") },
            { $0.target = .principal("ab") }, { $0.reason = "ce" }, { $0.madeAt = 2 }, { $0.expiresAt = nil },
            { $0.expiresAt = 0 }, { $0.expiresAt = 3 }, { $0.madeBy = "eg" },
            // The same letters, cut otherwise.
            {
                $0.target = .key("a")
                $0.reason = "bcd"
            },
            {
                $0.reason = "cde"
                $0.madeBy = "f"
            },
        ]
        var digests = Set([BlockList(blocks: [block], lifts: []).digest, BlockList().digest])
        for change in changes {
            var other = block
            change(&other)
            #expect(digests.insert(BlockList(blocks: [other], lifts: []).digest).inserted, "\(other)")
        }
        let lifts = [
            BlockLift(id: id("a"), liftedAt: 1, liftedBy: "x"), BlockLift(id: id("b"), liftedAt: 1, liftedBy: "x"),
            BlockLift(id: id("a"), liftedAt: 2, liftedBy: "x"), BlockLift(id: id("a"), liftedAt: 1, liftedBy: "y"),
        ]
        for lift in lifts {
            #expect(digests.insert(BlockList(blocks: [block], lifts: [lift]).digest).inserted, "\(lift)")
        }
    }

    @Test("texts that only look alike make another list, on both sides")
    func lookAlikes() {
        func list(_ reason: String) -> BlockList {
            BlockList(
                blocks: [
                    Block(id: id("a"), target: .everything, reason: reason, madeAt: 1, expiresAt: nil, madeBy: "m")
                ], lifts: [])
        }
        let (composed, decomposed) = (list("caf\u{E9}"), list("cafe\u{301}"))
        #expect(composed != decomposed && composed.digest != decomposed.digest)
        // Byte by byte, all nodes choose the same one.
        let both = composed.merged(with: decomposed)
        #expect(both == decomposed.merged(with: composed) && both.digest == decomposed.merged(with: composed).digest)
    }

    @Test("an unknown list differs from a known one with the same entries")
    func unknown() {
        #expect(BlockList.unknown("x").digest != BlockList().digest)
        #expect(BlockList.unknown("x").digest == BlockList.unknown("y").digest)
        #expect(BlockList.unknown("x") == BlockList.unknown("y") && BlockList.unknown("x") != BlockList())
    }
}

// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Testing

@Suite("Block list: orders")
struct BlockOrderTests {
    @Test("an order is in force from its moment on, with all that was said")
    func order() throws {
        var list = BlockList()
        let block = try list.block(
            .key("k"), id: id("a"), reason: "stolen laptop", madeBy: "alice@fra-1", now: blockTime,
            expiresInSeconds: 3_600)
        #expect(
            block
                == Block(
                    id: id("a"), target: .key("k"), reason: "stolen laptop", madeAt: blockTime,
                    expiresAt: blockTime + 3_600, madeBy: "alice@fra-1"))
        #expect(list.inForce(now: blockTime) == [block] && list.blocks == [id("a"): block])
        #expect(block.shortID == "aaaaaaaa")
    }

    @Test("those in force are reported oldest first")
    func sorted() throws {
        var list = BlockList()
        for (digit, age) in [("b", 1), ("c", 3), ("a", 1), ("d", 2)] as [(Character, Int64)] {
            try list.order(.key("k"), id: id(digit), at: blockTime - age)
        }
        #expect(list.inForce(now: blockTime).map { $0.id.first } == ["c", "d", "a", "b"])
    }

    @Test("an id that was ever used is not used again, lifted or not")
    func repeatedID() throws {
        var list = BlockList()
        try list.order(.key("k"), id: id("a"))
        #expect(throws: BlockError.repeatedID(id("a"))) { try list.order(.key("k"), id: id("a")) }
        var onlyLift = BlockList(
            blocks: [], lifts: [BlockLift(id: id("b"), liftedAt: blockTime, liftedBy: "me@here")])
        #expect(throws: BlockError.repeatedID(id("b"))) { try onlyLift.order(.everything, id: id("b")) }
    }

    @Test("what cannot be is refused, and changes nothing")
    func refusals() throws {
        var list = BlockList()
        try list.order(.key("k"), id: id("a"))
        let before = list
        let long = String(repeating: "x", count: 257)
        for bad in [
            "", "A" + id("a").dropFirst(), id("a") + "a", String(id("a").dropLast()), "é" + id("a").dropLast(2),
        ] {
            #expect(throws: BlockError.idForm(bad)) { try list.order(.everything, id: bad) }
        }
        for bad in ["", "a\nb", "a\u{7}", "a\u{202E}b", "a\u{200B}b", "\u{E000}", "a\u{2028}", "\u{FFFF}", long] {
            #expect(throws: BlockError.self) {
                try list.block(.everything, id: id("b"), reason: bad, madeBy: "m", now: blockTime)
            }
            #expect(throws: BlockError.self) {
                try list.block(.everything, id: id("b"), reason: "r", madeBy: bad, now: blockTime)
            }
            #expect(throws: BlockError.self) { try list.lift(.key("k"), by: bad, now: blockTime) }
        }
        #expect(throws: BlockError.keyForm("", problem: "is empty; give 1 to 255 bytes of printable text")) {
            try list.order(.key(""), id: id("b"))
        }
        #expect(list == before)
    }

    @Test("256 bytes of any script make a reason, also what only a later Unicode knows")
    func reasons() throws {
        var list = BlockList()
        for (position, reason) in [String(repeating: "é", count: 128), "漢字 🔑", "a\u{378}b", "\u{1FADB}"].enumerated() {
            let block = try list.block(
                .everything, id: id(Character("\(position)")), reason: reason, madeBy: "m", now: blockTime)
            #expect(block.reason == reason)
        }
    }

    @Test("a block is lifted by its id, or by its first eight digits or more where they name one")
    func liftByID() throws {
        var list = BlockList()
        let (one, other) = ("aaaaaaaa0" + id("1").dropLast(9), "aaaaaaaa1" + id("1").dropLast(9))
        try list.order(.key("one"), id: one)
        try list.order(.key("other"), id: other)
        #expect(throws: BlockError.ambiguousID("aaaaaaaa", matches: 2)) {
            try list.lift(id: "aaaaaaaa", by: "me@here", now: blockTime)
        }
        for bad in ["", "aaaaaaa", one + "0", "AAAAAAAA0", "aaaaaaag", "aaaaaaaa*"] {
            #expect(throws: BlockError.idForm(bad)) { try list.lift(id: bad, by: "me@here", now: blockTime) }
        }
        #expect(throws: BlockError.noSuchBlock(id: id("b"))) { try list.lift(id: id("b"), by: "me", now: blockTime) }
        #expect(list.lifts.isEmpty)
        #expect(try list.lift(id: "aaaaaaaa0", by: "me@here", now: blockTime).id == one)
        #expect(list.verdict(id: "one") == nil && list.verdict(id: "other") != nil)
        #expect(try list.lift(id: "aaaaaaaa", by: "me@here", now: blockTime).id == other, "only one is in force now")
        #expect(throws: BlockError.noSuchBlock(id: other)) { try list.lift(id: other, by: "me", now: blockTime) }
    }

    @Test("a target is lifted with all of its blocks, and with no block of another target")
    func liftTarget() throws {
        var list = BlockList()
        let targets: [(Character, BlockTarget)] = [
            ("1", .key("k")), ("2", .key("k")), ("3", .key("K")), ("4", .keyStore("/k")), ("5", .everything),
            ("6", .principal("arn:k")),
        ]
        for (digit, target) in targets { try list.order(target, id: id(digit)) }
        #expect(try list.lift(.key("k"), by: "me@here", now: blockTime).map { $0.id.first } == ["1", "2"])
        #expect(list.inForce(now: blockTime).compactMap { $0.id.first } == ["3", "4", "5", "6"])
        #expect(throws: BlockError.nothingToLift(.key("k"))) { try list.lift(.key("k"), by: "me", now: blockTime) }
        #expect(list.lifts[id("1")] == BlockLift(id: id("1"), liftedAt: blockTime, liftedBy: "me@here"))
    }
}

@Suite("Block list: how much fits")
struct BlockLimitTests {
    private func full(_ count: Int, reason: String) -> BlockList {
        BlockList(
            blocks: (0..<count).map { number in
                let digits = String(number, radix: 16)
                return Block(
                    id: String(repeating: "0", count: 32 - digits.count) + digits, target: .key("k"), reason: reason,
                    madeAt: blockTime, expiresAt: nil, madeBy: "me@here")
            }, lifts: [])
    }

    @Test("ten thousand blocks, then only everything")
    func count() throws {
        var list = full(BlockList.mostBlocks - 1, reason: "r")
        try list.order(.key("last"), id: id("a"))
        #expect(list.wireBytes < BlockList.mostOrderedBytes)
        do throws(BlockError) {
            try list.block(.keyStore("/s"), id: id("b"), reason: "r", madeBy: "m", now: blockTime)
            Issue.record("it was taken")
        } catch {
            guard case .full(10_000, _) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(error.description.contains("10000 of 10000 blocks") && error.description.contains("--all"))
        }
        try list.order(.everything, id: id("c"))
        #expect(list.verdict() != nil && list.blocks.count == 10_001)
    }

    @Test("half of what a node reads, however few blocks that is")
    func bytes() throws {
        let reason = String(repeating: "\\", count: 256)
        var list = full(3_005, reason: reason)
        var taken = 0
        while taken < 200 {
            let new = String(repeating: "f", count: 28) + String(taken + 4_096, radix: 16)
            do throws(BlockError) {
                try list.block(.key("k"), id: new, reason: reason, madeBy: "me@here", now: blockTime)
                taken += 1
            } catch {
                if case .full = error { break }
                Issue.record("\(error)")
                return
            }
        }
        #expect(taken > 0 && taken < 200 && list.wireBytes <= BlockList.mostOrderedBytes)
        #expect(list.wireBytes > BlockList.mostOrderedBytes - 1_024)
        try list.order(.everything, id: id("e"))
        // Two sides of a partition, both full, still make a list that a node reads.
        #expect(2 * list.wireBytes <= BlockList.mostWireBytes + 2_048)
        #expect(try wire(list).count <= list.wireBytes)
    }
}

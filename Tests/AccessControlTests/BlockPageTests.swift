// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import Foundation
import SeededRandom
import Testing

@Suite("Block list: exchanged in pages")
struct BlockPageTests {
    private func read(_ text: some Sequence<UInt8>) throws -> BlockPage {
        try JSONDecoder().decode(BlockPage.self, from: Data(text))
    }

    /// What a list is sent as, page by page, as it arrives.
    private func pages(_ list: BlockList, first: [String] = [], now: Int64) throws -> [BlockPage] {
        var pages: [BlockPage] = []
        var cursor: String? = ""
        while let after = cursor {
            let page = try read(try wire(list.page(after: after, first: first, now: now)))
            pages.append(page)
            cursor = page.after
            try #require(pages.count < 1_000)
        }
        return pages
    }

    @Test("all pages together are the list, each bounded, and none is needed twice")
    func whole() throws {
        var random = RandomChoice(seed: 0x7067)
        for round in 0..<4 {
            let blocks = (0..<(round * 700)).map { _ in
                var block = random.block()
                block.reason = random.printable(length: 1...60)
                return block
            }
            let lifts = blocks.filter { _ in random.chance(oneIn: 3) }.map { random.lift(of: $0.id) }
            let list = BlockList(blocks: blocks, lifts: lifts)
            var copy = BlockList()
            let pages = try pages(list, now: blockTime - 250 * day)
            var reported = 0
            for page in pages {
                #expect(try wire(page).count <= BlockPage.mostBytes + 1_024)
                #expect(page.knowledge == .known && page.digest == list.digest && page.unreadable == 0)
                reported += page.entries.count
                copy.merge(page.entries, now: blockTime - 250 * day)
            }
            #expect(reported == list.blocks.count && copy == list && copy.digest == list.digest)
            #expect(round < 3 || pages.count > 1, "\(pages.count)")
        }
    }

    @Test("what orders hit is read where it is reported, and costs nothing where it cannot be read")
    func hits() throws {
        var page = BlockList().page(after: nil, now: blockTime)
        #expect(try read(try wire(page)).hits.isEmpty)
        page.hits = [id("a"): BlockHits(keyStores: 1, keys: 3)]
        #expect(try read(try wire(page)) == page)
        let text = String(decoding: try wire(page), as: UTF8.self)
        let strange = text.replacing(#""keys":3"#, with: #""keys":"many""#)
        #expect(strange != text)
        let other = try read(strange.utf8)
        #expect(other.hits.isEmpty && other.digest == page.digest)
        page.hits = Dictionary(
            uniqueKeysWithValues: (0...BlockPage.mostOrders).map { ("\($0)", BlockHits(keyStores: 0, keys: 0)) })
        #expect(throws: DecodingError.self) { try read(try wire(page)) }
    }

    @Test("what is in force comes first, everything before the rest; what somebody waits for before all")
    func sequence() throws {
        let blocks = (0..<2_000).map { number in
            Block(
                id: id("0").dropLast(4) + String(1_000 + number), target: .key("k"), reason: "r",
                madeAt: blockTime - 50, expiresAt: nil, madeBy: "m")
        }
        let lifts = blocks.dropLast(100).map { BlockLift(id: $0.id, liftedAt: blockTime - 40, liftedBy: "m") }
        var list = BlockList(blocks: blocks, lifts: lifts)
        try list.order(.everything, id: id("e"), at: blockTime - 100)
        let lifted = try #require(list.lifts.keys.min())
        let pages = try pages(list, first: [lifted], now: blockTime)
        #expect(pages.count > 1)
        let first = pages[0].entries
        #expect(first[0].block.id == lifted && first[0].lift != nil && first[1].block.id == id("e"))
        #expect(first[2..<102].allSatisfy { $0.lift == nil } && first[102...].allSatisfy { $0.lift != nil })
        #expect(list.page(after: nil, first: [lifted], now: blockTime).entries.isEmpty, "none is wanted")
    }

    /// With entries read strictly, one of a later version had the whole page refused.
    @Test("an entry of a later version costs itself, and nothing else of the page")
    func laterVersion() throws {
        var list = BlockList()
        for digit in "abc" { try list.order(.key("k"), id: id(digit), for: digit == "b" ? 60 : nil) }
        let text = String(decoding: try wire(list.page(after: "", now: blockTime)), as: UTF8.self)
        let changes: [(String, String)] = [
            (#""kind":"key""#, #""kind":"region""#), (#""reason":"test""#, #""reason":"test","condition":"x""#),
            (#""remaining":60"#, #""remaining":-1"#), (#""remaining":60"#, #""remaining":60,"else":1"#),
        ]
        for (good, bad) in changes {
            let range = try #require(text.range(of: good), "\(good)")
            let page = try read(text.replacingCharacters(in: range, with: bad).utf8)
            #expect(page.entries.count == 2 && page.unreadable == 1, "\(bad)")
        }
        let page = try read(text.replacing(#""version":2"#, with: #""version":3,"later":[]"#).utf8)
        #expect(page.entries.count == 3 && page.unreadable == 0)
        #expect(try read(text.replacing(#""known""#, with: #""surely""#).utf8).knowledge == .unknown)
    }

    @Test("hostile pages are refused or taken in part, and never trap")
    func hostile() throws {
        var list = BlockList()
        for digit in "abc" { try list.order(.key("k"), id: id(digit), for: 60) }
        try list.lift(id: id("c"), by: "m", now: blockTime)
        let text = try wire(list.page(after: "", now: blockTime))
        var random = RandomChoice(seed: 0x6870)
        var (taken, refused) = (0, 0)
        for _ in 0..<1_000 {
            var bytes = text
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0x20...0x7D, using: &random)
            }
            guard let page = try? read(bytes) else {
                refused += 1
                continue
            }
            taken += 1
            var copy = BlockList()
            copy.merge(page.entries, now: blockTime)
            for entry in page.entries { try entry.block.validate() }
            _ = list.page(after: page.after, first: page.order, now: blockTime)
        }
        #expect(taken > 100 && refused > 100)
        for cursor in ["x", "9:", "0:99999999999999999999:", "\u{0}", "é"] {
            _ = list.page(after: cursor, now: blockTime)
        }
    }

    @Test("the form of version 1 holds what is in force first, and fits")
    func fitting() throws {
        var blocks: [Block] = []
        var random = RandomChoice(seed: 0x6669)
        for number in 0..<7_000 {
            blocks.append(
                Block(
                    id: random.blockID(), target: .key("k"), reason: String(repeating: "r", count: 256),
                    madeAt: blockTime - Int64(number), expiresAt: nil, madeBy: String(repeating: "m", count: 200)))
        }
        let standing = Set(blocks.suffix(100).map(\.id))
        let lifts = blocks.dropLast(100).map { BlockLift(id: $0.id, liftedAt: blockTime, liftedBy: "m") }
        let list = BlockList(blocks: blocks, lifts: lifts)
        let fitting = list.fittingWire(now: blockTime)
        #expect(try wire(fitting).count <= BlockList.mostWireBytes && fitting.blocks.count < list.blocks.count)
        #expect(Set(fitting.inForce(now: blockTime).map(\.id)) == standing)
        #expect(BlockList().fittingWire(now: blockTime) == BlockList())
    }
}

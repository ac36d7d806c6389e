// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import Foundation
import SeededRandom
import Testing

@Suite("Block list: on the wire")
struct BlockWireTests {
    @Test("a list reads as it was written")
    func roundTrip() throws {
        var random = RandomChoice(seed: 0x7774)
        for _ in 0..<200 {
            let list = random.lists(1, contradicting: true)[0]
            let read = try readList(try wire(list))
            #expect(read == list && read.digest == list.digest)
            #expect((read.unknown == nil) == (list.unknown == nil))
            #expect(read.unknown?.contains("lost") != false, "why it is unknown stays with the sender")
        }
    }

    @Test("the members are those of version 1, in the order of the ids")
    func members() throws {
        let list = BlockList(
            blocks: [
                Block(
                    id: id("b"), target: .keyStore("/s"), reason: "r", madeAt: 1, expiresAt: 2, madeBy: "m"),
                Block(id: id("a"), target: .everything, reason: "r", madeAt: 1, expiresAt: nil, madeBy: "m"),
            ], lifts: [BlockLift(id: id("c"), liftedAt: 3, liftedBy: "l")])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let blockA =
            #"{"id":"\#(id("a"))","madeAt":1,"madeBy":"m","reason":"r","target":{"kind":"everything","value":""}}"#
        let blockB =
            #"{"expiresAt":2,"id":"\#(id("b"))","madeAt":1,"madeBy":"m","reason":"r","#
            + #""target":{"kind":"keyStore","value":"/s"}}"#
        #expect(
            String(decoding: try encoder.encode(list), as: UTF8.self)
                == #"{"blocks":[\#(blockA),\#(blockB)],"known":true,"#
                + #""lifts":[{"id":"\#(id("c"))","liftedAt":3,"liftedBy":"l"}],"version":1}"#)
    }

    @Test("a list's size is never reported to be smaller than it is")
    func size() throws {
        var random = RandomChoice(seed: 0x737A)
        for _ in 0..<200 {
            let list = random.lists(1)[0]
            let bytes = try wire(list).count
            #expect(bytes <= list.wireBytes && list.wireBytes <= 3 * bytes)
        }
        let widest = Block(
            id: id("a"), target: .key(String(repeating: "/", count: 255)), reason: String(repeating: "\"", count: 256),
            madeAt: Block.latestTime, expiresAt: Block.latestTime, madeBy: String(repeating: "\\", count: 256))
        let lift = BlockLift(
            id: id("a"), liftedAt: Block.latestTime, liftedBy: String(repeating: "/", count: 256))
        for target in [widest.target, .everything, .keyStore("/s"), .principal("arn:/\"\\")] {
            var block = widest
            block.target = target
            let list = BlockList(blocks: [block], lifts: [lift], unknown: "x")
            #expect(try wire(list).count <= list.wireBytes)
        }
    }
}

@Suite("Block list: what is not taken from the wire")
struct BlockWireStrictnessTests {
    private static let block =
        #"{"id":"\#(id("a"))","target":{"kind":"key","value":"k"},"reason":"r","madeAt":1,"madeBy":"m"}"#
    private static let lift = #"{"id":"\#(id("b"))","liftedAt":1,"liftedBy":"m"}"#

    private func list(blocks: String = block, lifts: String = lift, head: String = #""version":1,"known":true"#)
        -> String
    {
        #"{\#(head),"blocks":[\#(blocks)],"lifts":[\#(lifts)]}"#
    }

    private func isTaken(_ text: String) -> Bool { (try? readList(Array(text.utf8))) != nil }

    @Test("a list without a flaw is taken: the others differ from it in one thing")
    func good() {
        #expect(isTaken(list()))
        #expect(isTaken(list(blocks: Self.block.replacing(#""r""#, with: #""r","expiresAt":null"#))))
    }

    @Test(
        "a member that is missing, unknown or of another kind",
        arguments: [
            (#""known":true"#, ""), (#""version":1"#, #""version":2"#), (#""version":1"#, #""version":0"#),
            (#""version":1"#, #""version":"1""#), (#""version":1"#, #""version":1.5"#),
            (#""known":true"#, #""known":1"#),
            (#""known":true"#, #""known":true,"x":1"#), (#""reason":"r""#, #""reason":"r","condition":"x""#),
            (#""kind":"key""#, #""kind":"key","x":1"#), (#""liftedAt":1"#, #""liftedAt":1,"x":1"#),
            (#""reason":"r","#, ""), (#""reason":"r""#, #""reason":null"#), (#""reason":"r""#, #""reason":{}"#),
            (#""kind":"key""#, #""kind":"Key""#), (#""kind":"key","value":"k""#, #""kind":"everything","value":"k""#),
            (#""madeAt":1"#, #""madeAt":"1""#), (#""madeAt":1"#, #""madeAt":true"#),
        ])
    func members(good: String, bad: String) {
        #expect(list().contains(good) && !isTaken(list().replacing(good, with: bad)))
    }

    @Test(
        "numbers that are no times",
        arguments: [
            "-1", "1.5", "1e300", "1e-300", "253402300800", "9223372036854775808", "-9223372036854775808",
            "99999999999999999999999999999999999999999", "NaN", "null",
        ])
    func numbers(number: String) {
        for member in ["madeAt", "liftedAt"] {
            #expect(!isTaken(list().replacing("\"\(member)\":1", with: "\"\(member)\":\(number)")), "\(member)")
        }
        if number != "null" {
            #expect(!isTaken(list().replacing(#""madeBy""#, with: #""expiresAt":\#(number),"madeBy""#)))
        }
    }

    @Test("texts that an order could not have")
    func texts() {
        let long = String(repeating: "x", count: 257)
        for bad in ["", "\\u0000", "a\\nb", "\\u202e", long, "\\ud800"] {
            for (member, good) in [("reason", "r"), ("madeBy", "m"), ("liftedBy", "m"), ("value", "k")] {
                let text = list().replacing("\"\(member)\":\"\(good)\"", with: "\"\(member)\":\"\(bad)\"")
                #expect(text != list() && !isTaken(text), "\(member): \(bad)")
            }
        }
        for bad in ["", "A" + id("a").dropFirst(), id("a") + "a", "g" + id("a").dropFirst()] {
            #expect(!isTaken(list().replacing(id("a"), with: bad)) && !isTaken(list().replacing(id("b"), with: bad)))
        }
    }

    @Test("an id that occurs twice, as the same block or as another")
    func repeated() {
        #expect(!isTaken(list(blocks: "\(Self.block),\(Self.block)")))
        #expect(!isTaken(list(blocks: "\(Self.block),\(Self.block.replacing(#""r""#, with: #""s""#))")))
        #expect(!isTaken(list(lifts: "\(Self.lift),\(Self.lift)")))
        let same = list(lifts: Self.lift.replacing(id("b"), with: id("a")))
        #expect(isTaken(same), "a block and its lift share one")
    }

    @Test("what is no list at all")
    func noList() {
        let deep = String(repeating: "[", count: 100_000)
        for text in ["", "null", "[]", "{}", "1", "\"\"", "{", deep, list() + list(), String(list().dropLast())] {
            #expect(!isTaken(text))
        }
        #expect(!isTaken(list(blocks: String(repeating: "{},", count: 50_000) + "{}")))
        #expect(!isTaken(list(blocks: "null")) && !isTaken(list(lifts: Self.block)))
    }

    @Test("mutated and random bytes never trap; what is taken is a list of values that can be")
    func hostile() throws {
        var random = RandomChoice(seed: 0x6D75)
        var taken = 0
        for _ in 0..<4_000 {
            var bytes = Array(list().utf8)
            if random.chance(oneIn: 10) {
                bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in
                    UInt8.random(in: .min ... .max, using: &random)
                }
            }
            for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
                let position = Int.random(in: bytes.indices, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[position] = UInt8.random(in: .min ... .max, using: &random)
                case 1: bytes.remove(at: position)
                case 2: bytes.insert(bytes[Int.random(in: bytes.indices, using: &random)], at: position)
                default: bytes[position] = UInt8(ascii: "9")
                }
            }
            guard let list = try? readList(bytes) else { continue }
            taken += 1
            for block in list.blocks.values { try block.validate() }
            for lift in list.lifts.values { try lift.validate() }
            #expect(try readList(try wire(list)) == list)
        }
        #expect(taken > 200 && taken < 3_000)
    }
}

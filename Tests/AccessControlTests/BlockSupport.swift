// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import Foundation
import SeededRandom
import Testing

// Orders as operators and peers may have given them, from a seed.

/// When the tests happen, Unix seconds.
let blockTime: Int64 = 1_790_000_000

let day: Int64 = 86_400

extension RandomChoice {
    mutating func chance(oneIn count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }

    mutating func blockID() -> String { text(of: "0123456789abcdef", length: 32...32) }

    mutating func printable(length: ClosedRange<Int>) -> String {
        text(of: #"abcXYZ019 -_.,:;/\"'*?éß漢字🔑~{}[]"#, length: length)
    }

    mutating func target() -> BlockTarget {
        let name = text(of: "abc", length: 1...2)
        return switch Int.random(in: 0..<8, using: &self) {
        case 0: .everything
        case 1: .keyStore("")
        case 2, 3: .keyStore("/\(name)")
        case 4, 5: .key(name)
        case 6: .key(printable(length: 1...20).replacing("*", with: "x").replacing("?", with: "x"))
        default: .principal("arn:\(text(of: "ab*", length: 1...4))")
        }
    }

    /// One that `validate` accepts; half of them with an end.
    mutating func block() -> Block {
        let madeAt = blockTime + Int64.random(in: -200 * day...0, using: &self)
        return Block(
            id: blockID(), target: target(), reason: printable(length: 1...40), madeAt: madeAt,
            expiresAt: Bool.random(using: &self) ? madeAt + Int64.random(in: 1...400 * day, using: &self) : nil,
            madeBy: printable(length: 1...10))
    }

    mutating func lift(of id: String) -> BlockLift {
        BlockLift(
            id: id, liftedAt: blockTime + Int64.random(in: 0...3, using: &self),
            liftedBy: text(of: "xyz", length: 1...2))
    }

    /// Lists of nodes that have learnt of some of the same orders. `contradicting`: some ids stand for two blocks.
    mutating func lists(_ count: Int, contradicting: Bool = false) -> [BlockList] {
        let orders = (0..<10).map { _ in block() }
        return (0..<count).map { _ in
            var blocks: [Block] = []
            var lifts: [BlockLift] = []
            for var order in orders {
                if contradicting, chance(oneIn: 3) {
                    if Bool.random(using: &self) { order.target = target() } else { order.expiresAt = nil }
                }
                guard Bool.random(using: &self) else { continue }
                blocks.append(order)
                if chance(oneIn: 3) { lifts.append(lift(of: order.id)) }
            }
            return BlockList(blocks: blocks, lifts: lifts, unknown: chance(oneIn: 4) ? "lost" : nil)
        }
    }
}

extension BlockList {
    /// What both know. By default at a time when no order of these tests had ended.
    func merged(with other: BlockList, at now: Int64 = blockTime - 200 * day) -> BlockList {
        var result = self
        result.merge(other, now: now)
        return result
    }

    /// Blocks, with whatever the test does not care about.
    @discardableResult
    mutating func order(
        _ target: BlockTarget, id: String, at now: Int64 = blockTime, for seconds: Int64? = nil
    ) throws -> Block {
        try block(target, id: id, reason: "test", madeBy: "me@here", now: now, expiresInSeconds: seconds)
    }

    /// What stands against a request: of a key store, a key and a principal that nothing is about, unless it is named.
    func verdict(
        keyStore: String = "/other", id: String = "other-id", label: String = "other-label",
        principal: String = "arn:aws:iam::0:user/other", at now: Int64 = blockTime
    ) -> BlockVerdict? {
        verdict(keyStore: keyStore, externalKeyID: id, label: label, principal: principal, now: now)
    }
}

/// An id of 32 times the same digit.
func id(_ digit: Character) -> String { String(repeating: digit, count: 32) }

func wire(_ value: some Encodable) throws -> [UInt8] { Array(try JSONEncoder().encode(value)) }

func readList(_ bytes: [UInt8]) throws -> BlockList { try JSONDecoder().decode(BlockList.self, from: Data(bytes)) }

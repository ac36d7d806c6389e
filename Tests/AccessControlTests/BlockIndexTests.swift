// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import SeededRandom
import Testing

@Suite("Block list: what stands against a request")
struct BlockIndexTests {
    @Test("a key is found by external key id and by label, in every key store")
    func key() throws {
        var list = BlockList()
        try list.order(.key("payments"), id: id("a"))
        #expect(list.verdict(id: "payments")?.block?.id == id("a"))
        #expect(list.verdict(keyStore: "/any", label: "payments")?.block?.id == id("a"))
        #expect(list.verdict(id: "payments2", label: "Payments") == nil && list.verdict(label: "") == nil)
    }

    @Test("a key store is found by exactly its prefix, the empty one included")
    func keyStore() throws {
        var list = BlockList()
        try list.order(.keyStore("/bank/prod"), id: id("a"))
        #expect(list.verdict(keyStore: "/bank/prod")?.block?.id == id("a"))
        for other in ["", "/bank", "/bank/prod/x", "/bank/Prod", "bank/prod"] {
            #expect(list.verdict(keyStore: other) == nil)
        }
        try list.order(.keyStore(""), id: id("b"))
        #expect(list.verdict(keyStore: "")?.block?.id == id("b") && list.verdict(keyStore: "/x") == nil)
    }

    @Test("everything is everything, also what has no key and no principal")
    func everything() throws {
        var list = BlockList()
        try list.order(.everything, id: id("a"))
        #expect(list.verdict(keyStore: "", id: "", label: "", principal: "")?.block?.id == id("a"))
    }

    @Test("a list that is not known refuses everything, until an operator confirms it or a peer reports its own")
    func unknown() throws {
        let verdict = try #require(BlockList.unknown("the disk is gone").verdict())
        #expect(verdict.cause == .unknownList(reason: "the disk is gone") && verdict.block == nil)

        var left = BlockList.unknown("x")
        try left.order(.key("k"), id: id("a"))
        #expect(left.verdict(id: "k")?.block == nil && left.verdict() != nil, "an order alone makes nothing known")
        try left.lift(.key("k"), by: "me@here", now: blockTime)
        #expect(left.verdict() != nil && left.unknown != nil)
        left.confirm()
        #expect(left.verdict() == nil && left.unknown == nil && left.digest != BlockList().digest)

        var reported = BlockList.unknown("x")
        reported.merge(BlockList(), now: blockTime)
        #expect(reported.verdict() != nil, "a peer's list alone does not make it known")
        reported.confirm()
        #expect(reported.verdict() == nil && reported == BlockList())
    }

    @Test("the same block answers while it holds: the widest, of these the oldest")
    func precedence() throws {
        var list = BlockList()
        try list.order(.principal("arn:aws:iam::1:*"), id: id("1"), at: blockTime - 9)
        try list.order(.key("label"), id: id("2"), at: blockTime - 8)
        try list.order(.key("id"), id: id("3"), at: blockTime - 7)
        try list.order(.keyStore("/s"), id: id("4"), at: blockTime - 6)
        try list.order(.everything, id: id("6"), at: blockTime - 4)
        try list.order(.everything, id: id("5"), at: blockTime - 4)
        try list.order(.everything, id: id("7"), at: blockTime - 5, for: 6)
        var answers: [String] = []
        for step in 0..<7 {
            let verdict = list.verdict(
                keyStore: "/s", id: "id", label: "label", principal: "arn:aws:iam::1:root",
                at: blockTime + (step == 0 ? 0 : 1))
            let block = try #require(verdict?.block)
            answers.append(String(block.id.prefix(1)))
            if step > 0 { try list.lift(id: block.id, by: "me@here", now: blockTime + 1) }
        }
        #expect(answers == ["7", "5", "6", "4", "3", "2", "1"])
        #expect(list.verdict(keyStore: "/s", id: "id", label: "label", principal: "arn:aws:iam::1:root") != nil)
        #expect(list.inForce(now: blockTime + 1).isEmpty)
    }

    @Test("as a search through all that is in force would say")
    func agreesWithSearch() {
        var random = RandomChoice(seed: 0x696E)
        var found = 0
        for _ in 0..<600 {
            let list = random.lists(1, contradicting: true)[0]
            let now = blockTime + Int64.random(in: -300...300, using: &random) * day
            let (store, key, label) = (
                "/" + random.text(of: "abc", length: 1...1), random.text(of: "abc", length: 1...2),
                random.text(of: "abc", length: 1...2)
            )
            let principal = "arn:" + random.text(of: "ab", length: 0...4)
            let verdict = list.verdict(
                keyStore: store, externalKeyID: key, label: label, principal: principal, now: now)
            guard list.unknown == nil else {
                #expect(verdict != nil && verdict?.block == nil)
                continue
            }
            let standing = list.inForce(now: now).filter { block in
                switch block.target {
                case .everything: true
                case .keyStore(let prefix): prefix == store
                case .key(let name): name == key || name == label
                case .principal(let pattern): obviousMatch(Array(pattern.utf8)[...], Array(principal.utf8)[...])
                }
            }
            #expect((verdict == nil) == standing.isEmpty)
            if let block = verdict?.block {
                #expect(standing.contains(block))
                found += 1
            }
        }
        #expect(found > 100 && found < 500)
    }
}

/// A matcher that is right by reading: a star stands for nothing, or for one more byte.
func obviousMatch(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
    guard let token = pattern.first else { return name.isEmpty }
    if token == UInt8(ascii: "*") {
        return obviousMatch(pattern.dropFirst(), name) || (!name.isEmpty && obviousMatch(pattern, name.dropFirst()))
    }
    return token == name.first && obviousMatch(pattern.dropFirst(), name.dropFirst())
}

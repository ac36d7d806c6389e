// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import SeededRandom
import Testing

@Suite("Block list: patterns of principals")
struct BlockPrincipalTests {
    private func blocks(_ pattern: String, _ principal: String) throws -> Bool {
        var list = BlockList()
        try list.order(.principal(pattern), id: id("a"))
        return list.verdict(principal: principal) != nil
    }

    @Test(
        "a star stands for any characters, none and slashes included",
        arguments: [
            ("arn:aws:iam::111122223333:role/batch-*", "arn:aws:iam::111122223333:role/batch-"),
            ("arn:aws:iam::111122223333:role/batch-*", "arn:aws:iam::111122223333:role/batch-7/x"),
            ("arn:aws:sts::*:assumed-role/admin/*", "arn:aws:sts::111122223333:assumed-role/admin/alice"),
            ("arn:*", "arn:aws:iam::1:root"), ("arn:**", "arn:"), ("arn:*a*b*", "arn:xaxbx"), ("arn:*ab", "arn:aab"),
            ("arn:aws:iam::1:user/alice", "arn:aws:iam::1:user/alice"),
        ])
    func matches(pattern: String, principal: String) throws {
        #expect(try blocks(pattern, principal))
    }

    @Test(
        "all of the ARN must fit, byte for byte",
        arguments: [
            ("arn:aws:iam::1:user/alice", "arn:aws:iam::1:user/alice2"),
            ("arn:aws:iam::1:user/alice", "arn:aws:iam::1:user/Alice"),
            ("arn:aws:iam::1:user/alice", "arn:aws:iam::1:user/alic"),
            ("arn:*:role/a", "arn:aws:iam::1:role/ab"), ("arn:*", "ARN:x"), ("arn:*", "xarn:"), ("arn:*", ""),
            ("arn:*a*b*", "arn:bxa"), ("arn:[a-z]", "arn:b"), ("arn:.", "arn:x"),
        ])
    func refuses(pattern: String, principal: String) throws {
        #expect(try !blocks(pattern, principal))
    }

    @Test("as the obvious matcher says")
    func agreesWithTheObviousMatcher() throws {
        var random = RandomChoice(seed: 0x6172)
        var matched = 0
        for round in 0..<5_000 {
            let pattern = "arn:" + random.text(of: "ab*:*", length: 0...10)
            let principal = "arn:" + random.text(of: "ab:", length: 0...12)
            let expected = obviousMatch(Array(pattern.utf8)[...], Array(principal.utf8)[...])
            #expect(try blocks(pattern, principal) == expected, "round \(round): \(pattern) on \(principal)")
            if expected { matched += 1 }
        }
        #expect(matched > 500 && matched < 4_500)
    }

    /// A matcher that tries every way through such a pattern would not return within the life of the machine.
    @Test("patterns made to take long do not, on the longest ARN", .timeLimit(.minutes(1)))
    func doesNotBacktrack() throws {
        let longest = String(repeating: "a", count: 2_044)
        let room = BlockTarget.longestPrincipal - 6
        for middle in ["*", "*a", "a*", "*aa", "a"] {
            let stars = String(repeating: middle, count: room / middle.utf8.count)
            #expect(try !blocks("arn:\(stars)b", "arn:\(longest)"), "\(middle)")
            #expect(try blocks("arn:\(stars)*b", "arn:\(longest)b"), "\(middle)")
        }
    }

    @Test("an ARN of any bytes is matched and never trapped on")
    func hostileNames() throws {
        var list = BlockList()
        try list.order(.principal("arn:*e*"), id: id("a"))
        var random = RandomChoice(seed: 0x686F)
        for _ in 0..<500 {
            let bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                UInt8.random(in: .min ... .max, using: &random)
            }
            let name = "arn:" + String(decoding: bytes, as: UTF8.self)
            #expect((list.verdict(principal: name) != nil) == name.utf8.contains(UInt8(ascii: "e")))
        }
    }

    @Test(
        "a pattern that would block nobody, or everybody, is refused, and the message says what to do",
        arguments: [
            ("", "--all"), ("*", "--all"), ("*****", "--all"), ("alice", "arn:"), ("*:role/x", "arn:"),
            ("arn:x y", "printable ASCII"), ("arn:é", "printable ASCII"), ("arn:\u{0}", "printable ASCII"),
            ("arn:a?c", "question mark"), ("arn:" + String(repeating: "*", count: 509), "513 bytes"),
        ])
    func forms(pattern: String, hint: String) throws {
        var list = BlockList()
        do throws(BlockError) {
            try list.block(.principal(pattern), id: id("a"), reason: "r", madeBy: "m", now: blockTime)
            Issue.record("\(pattern) was taken")
        } catch {
            guard case .principalForm(pattern, let problem) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(problem.contains(hint) && error.description.contains(hint))
        }
        #expect(list == BlockList())
        let longest = "arn:" + String(repeating: "*", count: 508)
        try list.order(.principal(longest), id: id("a"))
        #expect(list.verdict(principal: "arn:x") != nil)
    }
}

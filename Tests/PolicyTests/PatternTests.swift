// SPDX-License-Identifier: Apache-2.0
import Chance
import Policy
import SeededRandom
import Testing

struct PatternTests {
    private func matches(_ pattern: String, _ text: String, test: String = "StringLike") throws -> Bool {
        try policy(condition: #""\#(test)": {"kmsTier": "\#(pattern)"}"#).decide(Sample.request(tier: [text])).isAllowed
    }

    @Test(arguments: [
        ("a*c", "abc", true), ("a*c", "ac", true), ("a*c", "abcd", false), ("*abc", "xabc", true),
        ("*a*b*", "xxaxxbxx", true), ("*a*b*", "xxbxxaxx", false), ("ab*ba", "aba", false), ("ab*ba", "abba", true),
        ("a?c", "abc", true), ("a?c", "ac", false), ("a?c", "aéc", true), ("*?é", "xé", true), ("*?", "é", true),
        ("**", "anything", true), ("*aab*", "aaab", true), ("*a?b*c", "aaxbc", true), ("*a?b*bc", "axbc", false),
        ("${*}", "*", true), ("${*}", "x", false), ("${?}${$}", "?$", true), ("$x", "$x", true),
        ("*1234567890123456*", "x1234567890123456y", true), ("*abab*ab", "ababab", true), ("*abab*ab", "abab", false),
    ]) func aPattern(pattern: String, text: String, expected: Bool) throws {
        #expect(try matches(pattern, text) == expected)
    }

    @Test(arguments: [
        ("arn:aws:iam::*:role/app", "arn:aws:iam::1:role/app", true),
        ("arn:aws:iam::*:role/app", "arn:aws:iam::1:x:role/app", false),
        ("arn:aws:iam::1:*", "arn:aws:iam::1:role/a:b:c", true),
        ("arn:*:*:*:*:*", "arn:aws:iam::1", false),
        ("arn:aws:iam::1:role/*", "arn:aws:iam::1:role/", true),
        ("arn:aws:iam::?:role/a", "arn:aws:iam:::role/a", false),
    ]) func wildcardsOfARNsStayWithinTheirPart(pattern: String, text: String, expected: Bool) throws {
        for test in ["ArnLike", "ArnEquals"] { #expect(try matches(pattern, text, test: test) == expected) }
        // Of plain text a star reaches over everything.
        #expect(try matches("arn:aws:iam::*:role/app", "arn:aws:iam::1:x:role/app"))
    }

    /// What a pattern means, by trying all ways to read it.
    private func reference(_ pattern: ArraySlice<Character>, _ text: ArraySlice<Character>) -> Bool {
        var row = [Bool](repeating: false, count: text.count + 1)
        row[0] = true
        for token in pattern {
            var next = [Bool](repeating: false, count: text.count + 1)
            if token == "*" {
                var isReached = false
                for index in row.indices {
                    isReached = isReached || row[index]
                    next[index] = isReached
                }
            } else {
                for (index, character) in text.enumerated() where row[index] && (token == "?" || token == character) {
                    next[index + 1] = true
                }
            }
            row = next
        }
        return row[text.count]
    }

    @Test func randomPatternsMeanWhatTheyMean() throws {
        var random = RandomChoice(seed: 17)
        for _ in 0..<4_000 {
            let pattern = random.text(of: "aabé*?", length: 1...12)
            let text = random.text(of: "aabé", length: 1...14)
            let expected = reference(Array(pattern)[...], Array(text)[...])
            #expect(try matches(pattern, text) == expected, "\(pattern) on \(text)")
        }
    }

    /// A matcher that goes back after a failure would need longer than the universe has for this.
    @Test(.timeLimit(.minutes(1))) func patternsThatInviteGoingBackDoNot() throws {
        let text = String(repeating: "a", count: 2_000)
        for pattern in [
            String(repeating: "*a", count: 1_000) + "*b", String(repeating: "*aa?", count: 700) + "*b*",
            "*" + String(repeating: "a", count: 1_999) + "b*", "*" + String(repeating: "?", count: 15) + "b*",
        ] {
            let policy = try policy(condition: #""StringLike": {"kmsTier": "\#(pattern)"}"#)
            for _ in 0..<20 { #expect(!policy.decide(Sample.request(tier: [text])).isAllowed) }
        }
    }
}

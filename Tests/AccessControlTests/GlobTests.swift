// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import SeededRandom
import Testing

@Suite struct GlobTests {
    @Test(arguments: [
        ("prod-*", "prod-a"), ("prod-*", "prod-"), ("*", "x"), ("**", "x"), ("*a", "a"), ("*a", "ba"), ("a*", "a"),
        ("a?c", "abc"), ("?", "x"), ("*-?", "key-1"), ("a*b*c", "a-b-c"), ("a*b*c", "abbc"), ("*aab", "aaab"),
        ("a**b", "ab"), ("?*", "x"), ("*?", "xyz"), ("k.*_1", "k.x_1"),
    ])
    func matches(pattern: String, name: String) throws {
        #expect(try Glob(pattern).matches(name))
    }

    @Test(arguments: [
        ("prod-*", "prod"), ("prod-*", "xprod-a"), ("a?c", "ac"), ("a?c", "abbc"), ("?", ""), ("*", ""), ("??", "x"),
        ("a*b", "abc"), ("a*b*c", "a-c-b"), ("*", "not/an/id"), ("?", "é"), ("*", " "), ("Prod*", "prod1"),
        ("k.x", "kyx"),
    ])
    func refuses(pattern: String, name: String) throws {
        #expect(try !Glob(pattern).matches(name))
    }

    @Test func longestPatternsAndNames() throws {
        let name = String(repeating: "a", count: 128)
        #expect(try Glob(String(repeating: "?", count: 128)).matches(name))
        #expect(try !Glob(String(repeating: "?", count: 128)).matches(String(name.dropLast())))
        #expect(try Glob(name).matches(name))
        #expect(try !Glob(String(repeating: "?", count: 127)).matches(name))
        #expect(try Glob(String(repeating: "?", count: 127) + "*").matches(name))
        #expect(try Glob(String(repeating: "*", count: 128)).matches(name))
        #expect(try !Glob(String(repeating: "*", count: 128)).matches(name + "a"))
    }

    @Test func refusesPatternsThatCanMatchNothing() {
        #expect(throws: AccessControlError.patternLength(pattern: "", length: 0)) { try Glob("") }
        let long = String(repeating: "*", count: 129)
        #expect(throws: AccessControlError.patternLength(pattern: long, length: 129)) { try Glob(long) }
        for character: Character in [" ", "/", "[", "é", "\n", "\r\n", "e\u{301}", "\u{0}"] {
            let pattern = "a*\(character)"
            #expect(throws: AccessControlError.illegalPatternCharacter(pattern: pattern, character: character)) {
                try Glob(pattern)
            }
        }
    }

    /// Patterns that make a backtracking matcher take exponential time take no more steps than any other here: a
    /// matcher that goes back would not return within the life of the machine.
    @Test(.timeLimit(.minutes(1))) func doesNotBacktrack() throws {
        let glob = try Glob(String(repeating: "*a", count: 63) + "b")
        let name = String(repeating: "a", count: 128)
        for _ in 0..<1_000 { #expect(!glob.matches(name)) }
    }

    @Test func agreesWithTheObviousMatcher() throws {
        var random = RandomChoice(seed: 0x6C6F_6221)
        var matched = 0
        for round in 0..<20_000 {
            let pattern = random.text(of: "ab*?-*", length: 1...12)
            let name = random.text(of: "ab-", length: 1...14)
            let expected = obviousMatch(Array(pattern.utf8)[...], Array(name.utf8)[...])
            #expect(try Glob(pattern).matches(name) == expected, "round \(round): \(pattern) on \(name)")
            if expected { matched += 1 }
        }
        // Both outcomes must have been seen often, or the comparison says nothing.
        #expect(matched > 1_000 && matched < 19_000)
    }

    /// A glob matcher that is right by reading: a star stands for nothing, or for one more character.
    private func obviousMatch(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
        guard let token = pattern.first else { return name.isEmpty }
        if token == UInt8(ascii: "*") {
            return obviousMatch(pattern.dropFirst(), name) || (!name.isEmpty && obviousMatch(pattern, name.dropFirst()))
        }
        guard let character = name.first, token == UInt8(ascii: "?") || token == character else { return false }
        return obviousMatch(pattern.dropFirst(), name.dropFirst())
    }
}

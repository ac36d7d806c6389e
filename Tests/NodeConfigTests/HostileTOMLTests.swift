// SPDX-License-Identifier: Apache-2.0
import Chance
import Foundation
import NodeConfig
import Testing

/// Texts made to break the reader: none may end the process, and none may take long.
@Suite struct HostileTOMLTests {
    static let bombs: [(name: String, text: String)] = [
        ("lists", "a = " + String(repeating: "[", count: 500_000)),
        ("inline tables", "a = " + String(repeating: "{a=", count: 300_000)),
        ("lists over lines", "a = " + String(repeating: "[\n", count: 500_000)),
        ("dotted key", String(repeating: "a.", count: 500_000) + "a = 1"),
        ("dotted key, then an error", String(repeating: "a.", count: 500_000) + "a = 1\n="),
        ("header", "[" + String(repeating: "a.", count: 500_000) + "a]"),
        ("list of tables", "[[" + String(repeating: "a.", count: 500_000) + "a]]"),
        ("dotted key in an inline table", "a = { " + String(repeating: "a.", count: 500_000) + "a = 1 }"),
        ("dotted key in a broken line", "a = 1 " + String(repeating: "a.", count: 500_000) + "a = 1"),
        ("a broken line before the bomb", "a = \n" + String(repeating: "a.", count: 500_000) + "a = 1"),
        ("an open string before the bomb", "a = \"\"\"\n" + String(repeating: "a.", count: 500_000) + "a = 1"),
        ("quoted dotted key", String(repeating: "\"a\".", count: 250_000) + "a = 1"),
        ("many dotted tables", (0..<60_000).map { "a\($0).b=1\n" }.joined()),
        ("many dotted tables, twice each", (0..<35_000).map { "a\($0).b=1\na\($0).c=1\n" }.joined()),
        ("many headers", (0..<100_000).map { "[a\($0)]\n" }.joined()),
        ("many tables of one list", String(repeating: "[[a]]\n", count: 170_000)),
        ("many keys of one HSM", "[[hsm]]\n" + (0..<100_000).map { "k\($0)=1\n" }.joined()),
        ("long key", String(repeating: "a", count: 1_000_000) + " = 1"),
        (
            "long key with tables in it",
            String(repeating: "a", count: 500_000) + " = [" + String(repeating: "{b=1},", count: 80_000) + "]"
        ),
        ("long number", "a = " + String(repeating: "9", count: 1_000_000)),
        ("long fraction", "a = 0." + String(repeating: "9", count: 1_000_000)),
        ("long string", "a = \"" + String(repeating: "\\n", count: 500_000) + "\""),
        ("escapes", "a = \"" + String(repeating: "\\\"", count: 500_000) + "\""),
        ("quotes", String(repeating: "\"", count: 1_000_000)),
        ("equals", String(repeating: "=", count: 1_000_000)),
        ("line breaks", String(repeating: "\n", count: 1_000_000) + "="),
        ("comment", "#" + String(repeating: ".", count: 1_000_000)),
        ("long list", "a = [" + String(repeating: "1,", count: 500_000) + "]"),
        ("many keys of a key store", "[[keystore]]\nkeys = [" + (0..<19_000).map { "\"k\($0)\"," }.joined() + "]"),
    ]

    @Test(arguments: bombs.map(\.name))
    func aBombIsRefusedInTime(_ name: String) throws {
        let text = try #require(Self.bombs.first { $0.name == name }).text
        let clock = ContinuousClock()
        var found: [ConfigurationProblem] = []
        let time = clock.measure { found = problems(text) }
        #expect(!found.isEmpty)
        // Unoptimized, on a busy machine: far from what quadratic time would take.
        #expect(time < .seconds(20), "\(time)")
    }

    @Test func theLimitsAreNamed() {
        func message(_ text: String) -> String { problems(text).first?.message ?? "" }
        #expect(message("a.b.c.d.e.f.g.h.i = 1").contains("more than 8 deep"))
        #expect(message(String(repeating: "k", count: 129) + " = 1").contains("a key of more than 128 bytes"))
        #expect(message((0...20_000).map { "k\($0) = 1\n" }.joined()).contains("more than 20000 keys and values"))
        #expect(message(String(repeating: "\n", count: 1_048_577)).contains("larger than 1048576 bytes"))
        #expect(!message("a.b.c.d.e.f.g.h = 1").contains("deep"))
        #expect(!message(String(repeating: "k", count: 128) + " = 1").contains("128 bytes"))
    }

    /// Random bytes, random tokens, and mutated files: always an answer, always with a line inside the text.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func nothingTraps(seed: UInt64) {
        var random = RandomChoice(seed: seed)
        for round in 0..<400 {
            let bytes =
                switch round % 4 {
                case 0:
                    (0..<Int.random(in: 0...200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
                case 1: Self.tokens(&random)
                default: Self.mutated(&random)
                }
            let lines = bytes.count { $0 == 0x0A } + 1
            for problem in problems(bytes) {
                #expect((1...lines).contains(problem.line ?? 1), "seed \(seed) round \(round): \(problem)")
                #expect(!problem.rendered(file: "f").utf8.contains(0x0A))
            }
        }
    }

    /// Where the text is TOML, the scan must have followed it: every key that the reader complains of has its line.
    @Test(arguments: 100..<104 as Range<UInt64>)
    func theScanFollowsWhatTheParserAccepts(seed: UInt64) {
        var random = RandomChoice(seed: seed)
        for _ in 0..<400 {
            let (text, lines) = Self.keysEverywhere(&random)
            var found: [String: Int] = [:]
            for problem in problems(text) where problem.message == "is not a known key" {
                found[problem.path] = problem.line
            }
            #expect(found == lines, "seed \(seed):\n\(text)")
        }
    }

    // MARK: - Making texts

    private static let pieces = [
        "[", "]", "[[", "]]", "{", "}", "=", ".", ",", "\n", "\r\n", " ", "\t", "#", "\"", "'", "\"\"\"", "'''", "\\",
        "\\u0041",
        "\\U0010FFFF", "a", "hsm", "keystore", "xks", "node", "1", "-1", "0x1F", "1e5", "inf", "nan", "true",
        "1979-05-27T07:32:00Z", "07:32:00", "é", "\u{2028}", "\u{85}", "\u{0B}", "\u{0C}", "\u{FEFF}", "_", "pin",
    ]

    private static func tokens(_ random: inout RandomChoice) -> [UInt8] {
        (0..<Int.random(in: 0...60, using: &random))
            .flatMap { _ in Array((pieces.randomElement(using: &random) ?? "").utf8) }
    }

    private static func mutated(_ random: inout RandomChoice) -> [UInt8] {
        var bytes = Array(goodFile.utf8)
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let index = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: index)
            case 2: bytes.insert(contentsOf: Array((pieces.randomElement(using: &random) ?? "").utf8), at: index)
            default:
                let end = Int.random(in: index...min(bytes.count, index + 40), using: &random)
                bytes.insert(contentsOf: bytes[index..<end], at: Int.random(in: 0...bytes.count, using: &random))
            }
        }
        return bytes
    }

    /// A TOML text with unknown keys at the top and in `[node]`, among values of every kind; and the keys' lines.
    private static func keysEverywhere(_ random: inout RandomChoice) -> (text: String, lines: [String: Int]) {
        let values = [
            "1", "\"#\"", "'\"'", "\"\"\"\n[\n\"\"\"", "'''\n=\n\n'''", "[1, [2], # ]\n3]",
            "{ a = { b = '}' }, c.d = [] }", "[\n]",
            "1979-05-27 07:32:00Z", "\"\\\"\"", "\"\"\"\"a\"\"\"\"", "''''a''''", "\"\"\"\\\"\"\"\"", "0.5e-3",
            "[{ a = 1 }, {}]",
        ]
        var text = ""
        var lines: [String: Int] = [:]
        var prefix = ""
        for number in 0..<Int.random(in: 1...12, using: &random) {
            if prefix.isEmpty, Bool.random(using: &random) {
                text += "[node] # [x]\n"
                prefix = "node."
            }
            let name = "unknown-\(number)"
            lines[prefix + name] = text.utf8.count { $0 == 0x0A } + 1
            let spaces = ["", " ", "\t "].randomElement(using: &random) ?? ""
            let ending = ["\n", "\r\n", " # c = [\n", "\n\n"].randomElement(using: &random) ?? ""
            let key = [name, "\"\(name)\"", "'\(name)'", "\(name).sub", "\(name) . 'sub.sub'"].randomElement(
                using: &random)
            text +=
                spaces + (key ?? name) + spaces + "=" + spaces + (values.randomElement(using: &random) ?? "1") + ending
        }
        return (text, lines)
    }
}

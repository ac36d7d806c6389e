// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import Testing

/// The lines in messages, for every way in which TOML can say the same thing.
@Suite struct ScannerTests {
    /// The line that is reported for an unknown key `x`, wherever it stands.
    private func linesOfX(_ text: String) -> [String: Int] {
        var lines: [String: Int] = [:]
        for problem in problems(text) where problem.path.hasSuffix("x") { lines[problem.path] = problem.line }
        return lines
    }

    @Test(arguments: [
        ("x = 1", "x", 1), ("\n\n  # c\n\tx = 1", "x", 4), ("\r\n\r\nx = 1\r\n", "x", 3), ("\u{FEFF}x = 1", "x", 1),
        ("[xks]\nx = 1", "xks.x", 2), ("[ \"xks\" ]\n'x' = 1", "xks.x", 2), ("xks.x = 1", "xks.x", 1),
        ("xks . \"x\" = 1", "xks.x", 1), ("xks = { listen = 'a,}]\"=', x = 1 }", "xks.x", 1),
        ("[xks.tcp_keepalive]\ncount = 3\nx = 1", "xks.tcp_keepalive.x", 3),
        ("[xks]\ntcp_keepalive.x = 1", "xks.tcp_keepalive.x", 2),
        ("[[hsm]]\n[[hsm]]\nx = 1", "hsm[1].x", 3),
        ("[[hsm]]\n[hsm.token]\n[[hsm]]\n[hsm.token]\nx = 1", "hsm[1].token.x", 5),
        ("hsm = [\n{ name = 'a' },\n# c ]\n{ x = 1 },\n]", "hsm[1].x", 4),
        (
            "[[keystore]]\n[[keystore.credentials]]\n[[keystore.credentials]]\n[keystore.credentials.secret]\nx = 1",
            "keystore[0].credentials[1].secret.x", 5
        ),
        (
            "[[keystore]]\n[[keystore.credentials]]\n[[keystore]]\n[[keystore.credentials]]\nx = 1",
            "keystore[1].credentials[0].x", 5
        ),
        ("a = \"\"\"\n[xks]\nx = 1\n\\\"\"\"\"\nx = 2", "x", 5), ("a = '''\n''\n'''''\nx = 2", "x", 4),
        ("a = \"\\\"\\\\\" # \"\nx = 2", "x", 2), ("a = '\\'\nx = 2", "x", 2), ("a = \"\"\nb = ''\nx = 2", "x", 3),
        ("a = [[1, 2], [\"]\", '[', { b = [\n1] }]]\nx = 2", "x", 3), ("a = \"\"\"\\\n\n b\"\"\"\nx = 2", "x", 4),
        ("a = 1979-05-27 07:32:00.5 # d\nb=-inf\nx = 0x_1", "", 0),
    ])
    func theLineIsFound(_ text: String, path: String, line: Int) {
        let found = linesOfX(text)
        if path.isEmpty {
            // Not TOML: reported by the parser, with its own line.
            #expect(problems(text).map(\.message).first?.hasPrefix("is not valid TOML") == true)
            #expect(problems(text).first?.line == 3)
        } else {
            #expect(found[path] == line, "\(problems(text))")
        }
    }

    @Test(arguments: [
        "x", "x =", "= 1", "[x", "[x]]", "[[x]", "x = [1", "x = { a = 1", "x = \"a", "x = 'a\n'", "x = 1 y = 2",
        "x == 1",
        "x = 1\nx = 2", "[x]\n[x]", "x = \u{1}", "x = \"\u{1}\"", "\u{0}", "x = 1\u{0}\ny = 2", "# \u{7F}",
        "x = {a = 1,}",
        "x = \"\"\"a\"\"", "x.y = 1\nx.y.z = 2", "\"\"\"x\"\"\" = 1", "x = 1_", "x = +", "x = tru", "x = 08", "[ ]",
        "[a.]",
        // Of such times the parser's assertions ended the process.
        "x = 1979-05-27Tp7:tokenZ", "x = 1979-05-27T07:32:0", "x = 07:3a:00", "x = 1979-05-27T07:32:00.Z",
        "x = 1979-05-27T", "x = 1979-05-27T07:32:00+1:00", "x = 1979-5-27", "x = 1:2", "x = 1-2",
        "x = [1,,2]", "x = \"\\q\"", "x = \"\\ud800\"", "x = 2023-02-30", "x = 99999999999999999999",
    ])
    func whatIsNoTOMLIsSaidWithItsLine(_ text: String) {
        let found = problems("\n" + text)
        #expect(found.count == 1)
        #expect(found.first?.message.hasPrefix("is not valid TOML") == true, "\(found)")
        #expect([2, 3].contains(found.first?.line ?? 0), "\(found)")
    }

    /// With 16631be the words were "expected '…', saw '…'", and the mend was "correct the syntax".
    @Test(arguments: [
        ("x = tru3", "parsing boolean: expected 'true', saw something else (column 8)"),
        ("x = fals\n", "parsing boolean: expected 'false', saw something else (column 9)"),
        ("x = inverness", "parsing floating-point: expected 'inf', saw something else (column 7)"),
    ])
    func whatIsExpectedIsSaidAndNotTheValue(_ text: String, words: String) {
        let found = problems(text)
        #expect(found.map(\.message) == ["is not valid TOML: \(words)"])
        #expect(found.first?.fix.hasPrefix("texts stand in double quotes") == true)
    }

    @Test func invalidUTF8IsSaidWithItsLine() {
        let found = problems(Array("a = 1\nb = \"".utf8) + [0xC3, 0x28] + Array("\"\n".utf8))
        #expect(found.map(\.message) == ["is not UTF-8 text"] && found.first?.line == 2)
    }

    @Test func anEscapedNULIsRefused() {
        for text in ["a = \"x\\u0000y\"", "\"a\\U00000000\" = 1", "a = \"\"\"\n\\u0000\"\"\""] {
            #expect(problems(text).map(\.message) == ["has an escape for U+0000 in a string"])
        }
        // In a literal string and in a comment it is no escape.
        #expect(linesOfX("a = '\\u0000' # \\u0000\nx = 1") == ["x": 2])
    }
}

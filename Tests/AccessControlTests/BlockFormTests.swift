// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import Testing

@Suite("Block list: how targets and errors are written")
struct BlockFormTests {
    @Test("the options of an order name one target")
    func parse() throws {
        #expect(try BlockTarget.parse(everything: true) == .everything)
        #expect(try BlockTarget.parse(keyStore: "/s") == .keyStore("/s"))
        #expect(try BlockTarget.parse(keyStore: "") == .keyStore(""))
        #expect(try BlockTarget.parse(key: "k") == .key("k"))
        #expect(try BlockTarget.parse(principal: "arn:x*") == .principal("arn:x*"))
        #expect(throws: BlockError.noTarget) { try BlockTarget.parse() }
        #expect(throws: BlockError.severalTargets(["--all", "--key"])) {
            try BlockTarget.parse(everything: true, key: "k")
        }
        #expect(throws: BlockError.severalTargets(["--all", "--keystore", "--key", "--principal"])) {
            try BlockTarget.parse(everything: true, keyStore: "", key: "", principal: "")
        }
        #expect(throws: BlockError.keyStore(.prefixForm(prefix: "s", problem: .noLeadingSlash))) {
            try BlockTarget.parse(keyStore: "s")
        }
    }

    @Test("kind and value read as they were written; another kind, or a value that cannot be, does not")
    func columns() throws {
        var random = RandomChoice(seed: 0x6B69)
        for _ in 0..<500 {
            let target = random.target()
            #expect(try BlockTarget(kind: target.kind, value: target.value) == target)
        }
        let bad = [
            ("everything", "x"), ("", ""), ("Key", "k"), ("keystore", "/s"), ("key", ""), ("key", "a*"), ("key", "a?"),
            ("key", String(repeating: "k", count: 256)), ("key", "a\u{0}"), ("keyStore", "/"), ("keyStore", "/a//b"),
            ("keyStore", "/" + String(repeating: "a", count: 200)), ("principal", "*"), ("principal", ""),
        ]
        for (kind, value) in bad {
            #expect(throws: BlockError.self, "\(kind) \(value)") { try BlockTarget(kind: kind, value: value) }
        }
        #expect(try BlockTarget(kind: "key", value: String(repeating: "k", count: 255)).value.utf8.count == 255)
    }

    @Test("a wildcard in --key is refused, and the message says what does block many keys")
    func wildcard() {
        #expect {
            try BlockTarget.parse(key: "prod-*")
        } throws: { error in
            "\(error)".contains("prod-*") && "\(error)".contains("--keystore")
        }
    }

    @Test("a target is shown as the command takes it: a shell reads it back")
    func shell() {
        #expect(BlockTarget.everything.options == "--all")
        #expect(BlockTarget.key("prod-1.a_b").options == "--key prod-1.a_b")
        #expect(BlockTarget.keyStore("/bank/prod").options == "--keystore /bank/prod")
        #expect(BlockTarget.keyStore("").options == "--keystore ''")
        #expect(BlockTarget.principal("arn:aws:iam::1:*").options == "--principal 'arn:aws:iam::1:*'")
        #expect(BlockTarget.key("it's").options == #"--key 'it'\''s'"#)
        var random = RandomChoice(seed: 0x7368)
        for _ in 0..<500 {
            let name = random.printable(length: 1...12)
            #expect(words(BlockTarget.key(name).options) == ["--key", name])
        }
    }

    /// What a POSIX shell makes of a line of plain characters, single quotes and escaped characters; `nil` where it
    /// would do something else with one of them.
    private func words(_ line: String) -> [String]? {
        var words: [String] = []
        var word = ""
        var (isQuoted, isEscaped) = (false, false)
        for scalar in line.unicodeScalars {
            switch (scalar, isQuoted) {
            case (_, false) where isEscaped:
                word.unicodeScalars.append(scalar)
                isEscaped = false
            case ("'", _): isQuoted.toggle()
            case (_, true): word.unicodeScalars.append(scalar)
            case ("\\", false): isEscaped = true
            case (" ", false):
                words.append(word)
                word = ""
            case ("a"..."z", _), ("A"..."Z", _), ("0"..."9", _), ("-", _), ("_", _), (".", _), ("/", _), (":", _):
                word.unicodeScalars.append(scalar)
            default: return nil
            }
        }
        return isQuoted || isEscaped ? nil : words + [word]
    }

    @Test("every error names its value and what mends it")
    func errors() {
        let errors: [(BlockError, [String])] = [
            (.noTarget, ["--key", "--keystore", "--principal", "--all"]),
            (.severalTargets(["--all", "--key"]), ["--all, --key", "one order for each"]),
            (.keyStore(.prefixForm(prefix: "s", problem: .noLeadingSlash)), ["\"s\"", "slash"]),
            (.keyForm("k", problem: "is odd"), ["\"k\"", "is odd"]),
            (.principalForm("p", problem: "is odd"), ["\"p\"", "is odd"]),
            (.reasonForm(problem: "is empty"), ["is empty", "256 bytes"]),
            (.nameForm("n", problem: "is odd"), ["\"n\"", "256 bytes"]),
            (.idForm("xyz"), ["\"xyz\"", "32 digits", "claviger blocks"]),
            (.timeForm(seconds: -5), ["-5", "set the clock"]),
            (.expiryForm(seconds: 0), ["0 seconds", "3650 days"]),
            (.repeatedID(id("a")), [id("a"), "order again"]),
            (.full(blocks: 7, bytes: 8), ["7 of 10000 blocks", "8 of 2097152 bytes", "--all"]),
            (.noSuchBlock(id: id("a")), [id("a"), "claviger blocks"]),
            (.ambiguousID("aaaaaaaa", matches: 3), ["3 blocks", "aaaaaaaa", "32 digits"]),
            (.nothingToLift(.key("a b")), ["--key 'a b'", "claviger blocks"]),
        ]
        for (error, fields) in errors {
            for part in fields { #expect("\(error)".contains(part), "\(error)") }
            #expect("\(error)".hasSuffix("."))
        }
        #expect(Block.longestExpiry == 3_650 * day)
    }
}

// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Testing

@Suite("Offered keys")
struct OfferedKeysTests {
    private func pattern(_ text: String) throws -> LabelPattern { try #require(LabelPattern(text)) }

    @Test("a pattern fits labels that can be external key ids, and no others, byte by byte")
    func alphabet() throws {
        let all = try pattern("*")
        let one = try pattern("?")
        for byte in UInt8.min ... .max {
            let isAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._".utf8.contains(byte)
            let text = String(decoding: [byte], as: UTF8.self)
            #expect(all.matches(text + "a") == isAllowed)
            #expect(one.matches(text) == (isAllowed && text != "."))
        }
        for text in ["", ".", "..", "\u{212A}", "caf\u{E9}"] { #expect(!all.matches(text)) }
        #expect(all.matches("..."))
        #expect(all.matches(String(repeating: "a", count: 128)))
        #expect(!all.matches(String(repeating: "a", count: 129)))
    }

    @Test("a text that can match nothing is no pattern", arguments: ["", "a b", "é", "a\u{301}", "[a]", "x\u{0}"])
    func noPattern(text: String) {
        #expect(LabelPattern(text) == nil)
        #expect(LabelPattern(String(repeating: "*", count: 129)) == nil)
    }

    @Test("labels are offered by their bytes: the Kelvin sign is no K")
    func bytes() throws {
        let offered = OfferedKeys(labels: ["K", "caf\u{E9}"], patterns: [try pattern("app-*")])
        for label in ["K", "caf\u{E9}", "app-", "app-1"] as [KeyLabel] { #expect(offered.contains(label)) }
        // Without: the first two are contained.
        for label in ["\u{212A}", "cafe\u{301}", "app", "xapp-1", ""] as [KeyLabel] {
            #expect(!offered.contains(label))
        }
    }

    /// A pattern used to offer them silently to nobody.
    @Test("a label that fits a pattern and can be no external key id is missed, unless it is named")
    func misses() throws {
        let offered = OfferedKeys(labels: ["app two"], patterns: [try pattern("app*"), try pattern("?x")])
        let long = KeyLabel("app" + String(repeating: "x", count: 126))
        for label in ["app one", "app/1", "app\u{E9}", long, " x"] as [KeyLabel] {
            #expect(offered.misses(label) && !offered.contains(label), "\(label)")
        }
        for label in ["app-1", "app two", "other one", "", "xx", "p\u{E9}"] as [KeyLabel] {
            #expect(!offered.misses(label), "\(label)")
        }
        #expect(OfferedKeys(patterns: [try pattern("*")]).union(.all).misses("a b"))
        #expect(!OfferedKeys.all.misses("a b"))
    }

    @Test("everything means every key with a label")
    func everything() {
        #expect(OfferedKeys.all.contains("anything at all"))
        #expect(!OfferedKeys.all.contains(""))
        #expect(!OfferedKeys().contains("foo"))
        #expect(!OfferedKeys(labels: ["foo"]).needsFullSearch)
        #expect(OfferedKeys.all.needsFullSearch)
    }

    @Test("what two key stores offer is what one or the other offers, whatever the order")
    func union() throws {
        let one = OfferedKeys(labels: ["a", "b"], patterns: [try pattern("x*"), try pattern("y*")])
        let other = OfferedKeys(labels: ["b", "c"], patterns: [try pattern("y*"), try pattern("w*")])
        #expect(one.union(other) == other.union(one))
        #expect(one.union(other).labels == ["a", "b", "c"])
        #expect(one.union(other).patterns.map(\.text) == ["w*", "x*", "y*"])
        #expect(one.union(.all).includesAll)
    }
}

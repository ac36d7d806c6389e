// SPDX-License-Identifier: Apache-2.0
import AccessControl
import LaneProtocol
import Testing

@Suite struct KeyStoreTests {
    @Test func resolvesMappingThenLabelThenGlob() throws {
        let store = try KeyStore(
            pathPrefix: "/example",
            keys: [
                KeyPattern("prod-*"), KeyPattern("foo"), KeyPattern(externalKeyID: "prod-1", label: "Other Key"),
            ])
        #expect(store.resolve(externalKeyID: "prod-1") == "Other Key")
        #expect(store.resolve(externalKeyID: "prod-2") == "prod-2")
        #expect(store.resolve(externalKeyID: "foo") == "foo")
        #expect(store.resolve(externalKeyID: "bar") == nil)
        #expect(store.resolve(externalKeyID: "Foo") == nil)
    }

    @Test func offersWhatItResolves() throws {
        let store = try KeyStore(
            pathPrefix: "/example",
            keys: [
                KeyPattern("prod-*"), KeyPattern("K"), KeyPattern(externalKeyID: "kelvin", label: "\u{212A}"),
                KeyPattern(externalKeyID: "prod-1", label: "Other Key"),
            ])
        // Without: one of "K" and the Kelvin sign.
        #expect(store.offered.labels == ["K", "\u{212A}", "Other Key"])
        #expect(store.offered.labels.count == 3)
        for label in ["K", "\u{212A}", "Other Key", "prod-7", "prod-"] {
            #expect(store.offered.contains(KeyLabel(label)))
        }
        for label in ["k", "prod 7", "kelvin", ""] { #expect(!store.offered.contains(KeyLabel(label))) }
    }

    @Test func labelsThatAreNoExternalKeyIDNeedAMapping() throws {
        let all = try KeyStore(pathPrefix: "", keys: [KeyPattern("*")])
        #expect(all.resolve(externalKeyID: "my key") == nil)
        #expect(all.resolve(externalKeyID: "") == nil)
        #expect(all.resolve(externalKeyID: String(repeating: "a", count: 129)) == nil)
        #expect(all.resolve(externalKeyID: String(repeating: "a", count: 128)) != nil)
        let mapped = try KeyStore(pathPrefix: "", keys: [KeyPattern(externalKeyID: "my-key", label: "my key")])
        #expect(mapped.resolve(externalKeyID: "my-key") == "my key")
        #expect(mapped.resolve(externalKeyID: "my key") == nil)
    }

    @Test func aPatternIsAGlobOnlyWithWildcards() throws {
        #expect(try KeyPattern("a.b_c-1") == .label("a.b_c-1"))
        #expect(try KeyPattern("a?") == .glob(Glob("a?")))
        #expect(try KeyPattern("*") == .glob(Glob("*")))
    }

    @Test(arguments: [
        ("my key", " " as Character), ("a/b", "/"), ("schlüssel", "ü"), ("a\n", "\n"), ("a\"", "\""), ("a%", "%"),
    ])
    func refusesLabelsThatAreNoExternalKeyID(label: String, character: Character) {
        let error = AccessControlError.illegalPatternCharacter(pattern: label, character: character)
        #expect(throws: error) { try KeyPattern(label) }
        // A pattern made without its initializer is found out as well.
        #expect(throws: error) { try KeyStore(pathPrefix: "", keys: [.label(label)]) }
        #expect(error.description.contains("{ id = "))
        #expect(throws: AccessControlError.illegalExternalKeyIDCharacter(id: label, character: character)) {
            try KeyPattern(externalKeyID: label, label: "x")
        }
    }

    @Test func refusesLengthsOutOfRange() {
        let long = String(repeating: "a", count: 129)
        #expect(throws: AccessControlError.patternLength(pattern: "", length: 0)) { try KeyPattern("") }
        #expect(throws: AccessControlError.patternLength(pattern: long, length: 129)) { try KeyPattern(long) }
        #expect(throws: AccessControlError.externalKeyIDLength(id: "", length: 0)) {
            try KeyPattern(externalKeyID: "", label: "x")
        }
        #expect(throws: AccessControlError.externalKeyIDLength(id: long, length: 129)) {
            try KeyPattern(externalKeyID: long, label: "x")
        }
        #expect(throws: AccessControlError.labelLength(id: "x", length: 0)) {
            try KeyPattern(externalKeyID: "x", label: "")
        }
        #expect(throws: AccessControlError.labelLength(id: "x", length: 256)) {
            try KeyPattern(externalKeyID: "x", label: String(repeating: "ä", count: 128))
        }
    }

    @Test func refusesTheSameNameTwice() throws {
        let mapping = try KeyPattern(externalKeyID: "a", label: "one")
        #expect(throws: AccessControlError.repeatedExternalKeyID(id: "a", prefix: "/p")) {
            try KeyStore(pathPrefix: "/p", keys: [mapping, KeyPattern(externalKeyID: "a", label: "two")])
        }
        #expect(throws: AccessControlError.repeatedExternalKeyID(id: "a", prefix: "/p")) {
            try KeyStore(pathPrefix: "/p", keys: [KeyPattern("a"), mapping])
        }
        #expect(throws: AccessControlError.repeatedLabel(label: "a", prefix: "/p")) {
            try KeyStore(pathPrefix: "/p", keys: [KeyPattern("a"), KeyPattern("a")])
        }
        #expect(throws: AccessControlError.noKeys(prefix: "/p")) { try KeyStore(pathPrefix: "/p", keys: []) }
    }

    @Test(arguments: ["", "/a", "/example/uri/path/prefix", "/A-Z_0/9", "/kms/xks", "/kms/xks/v11"])
    func takesPrefixes(prefix: String) throws {
        #expect(try KeyStore(pathPrefix: prefix, keys: [KeyPattern("*")]).pathPrefix == prefix)
    }

    @Test(arguments: [
        ("a", PrefixProblem.noLeadingSlash), ("/", .trailingSlash), ("/a/", .trailingSlash), ("//a", .emptySegment),
        ("/a//b", .emptySegment), ("/kms/xks/v1", .containsAPIPath), ("/a/kms/xks/v1/b", .containsAPIPath),
    ])
    func refusesPrefixes(prefix: String, problem: PrefixProblem) {
        #expect(throws: AccessControlError.prefixForm(prefix: prefix, problem: problem)) {
            try KeyStore(pathPrefix: prefix, keys: [KeyPattern("*")])
        }
    }

    @Test(arguments: [("/a b", " " as Character), ("/..", "."), ("/ä", "ä"), ("/a%20", "%"), ("/a?", "?")])
    func refusesPrefixCharacters(prefix: String, character: Character) {
        #expect(throws: AccessControlError.illegalPrefixCharacter(prefix: prefix, character: character)) {
            try KeyStore(pathPrefix: prefix, keys: [KeyPattern("*")])
        }
    }

    @Test func boundsThePrefix() throws {
        let longest = "/" + String(repeating: "a", count: 116)
        #expect(try KeyStore(pathPrefix: longest, keys: [KeyPattern("*")]).pathPrefix == longest)
        #expect(throws: AccessControlError.prefixLength(prefix: longest + "a", length: 118)) {
            try KeyStore(pathPrefix: longest + "a", keys: [KeyPattern("*")])
        }
    }
}

@Suite struct KeyStoreDirectoryTests {
    @Test func findsByTheExactPrefix() throws {
        let first = try KeyStore(pathPrefix: "/one", keys: [KeyPattern("a")])
        let second = try KeyStore(pathPrefix: "", keys: [KeyPattern("b")])
        let directory = try KeyStoreDirectory([first, second])
        #expect(directory.keyStore(withPrefix: "/one") == first)
        #expect(directory.position(ofPrefix: "/one") == 0)
        #expect(directory.keyStore(withPrefix: "") == second)
        #expect(directory.position(ofPrefix: "") == 1)
        for prefix in ["/", "/one/", "/One", "one", "/on", "/one/two"] {
            #expect(directory.keyStore(withPrefix: prefix) == nil)
            #expect(directory.position(ofPrefix: prefix) == nil)
        }
    }

    @Test func looksAlikeIsNotEqual() throws {
        let store = try KeyStore(pathPrefix: "/K", keys: [KeyPattern("K")])
        let directory = try KeyStoreDirectory([store])
        #expect(directory.keyStore(withPrefix: "/K") == store)
        // The Kelvin sign is canonically equivalent to K.
        #expect(directory.keyStore(withPrefix: "/\u{212A}") == nil)
        #expect(store.resolve(externalKeyID: "\u{212A}") == nil)
    }

    @Test func refusesOnePrefixTwice() throws {
        let store = try KeyStore(pathPrefix: "/one", keys: [KeyPattern("a")])
        let other = try KeyStore(pathPrefix: "/one", keys: [KeyPattern("b")])
        #expect(throws: AccessControlError.repeatedPrefix("/one")) { try KeyStoreDirectory([store, other]) }
        #expect(throws: AccessControlError.noKeyStores) { try KeyStoreDirectory([]) }
    }
}

@Suite struct AccessControlErrorTests {
    @Test(arguments: [
        (AccessControlError.noKeys(prefix: "/p"), "/p"), (.repeatedPrefix("/p"), "/p"),
        (.repeatedExternalKeyID(id: "key", prefix: "/p"), "key"), (.repeatedLabel(label: "key", prefix: "/p"), "key"),
        (.prefixLength(prefix: "/long", length: 200), "117"),
        (.prefixForm(prefix: "a", problem: .noLeadingSlash), "\"a\""),
        (.illegalPrefixCharacter(prefix: "/a b", character: " "), "/a b"),
        (.patternLength(pattern: "x", length: 129), "129"), (.externalKeyIDLength(id: "x", length: 129), "129"),
        (.illegalPatternCharacter(pattern: "a b", character: " "), "a b"),
        (.illegalExternalKeyIDCharacter(id: "a b", character: " "), "a b"), (.labelLength(id: "x", length: 0), "\"x\""),
    ])
    func namesTheValue(error: AccessControlError, value: String) {
        #expect(error.description.contains(value))
    }
}

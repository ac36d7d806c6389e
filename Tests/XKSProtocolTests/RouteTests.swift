// SPDX-License-Identifier: Apache-2.0
import Chance
import Testing
import XKSProtocol

@Suite struct RouteTests {
    private func route(_ target: String) -> Result<XKSRoute, XKSError> {
        Result { () throws(XKSError) in try XKSRoute(target: target) }
    }

    @Test func readsTheFourOperations() {
        #expect(value(of: route("/kms/xks/v1/health")) == XKSRoute(prefix: "", operation: .health, externalKeyID: nil))
        for (word, operation) in [("metadata", XKSOperation.metadata), ("encrypt", .encrypt), ("decrypt", .decrypt)] {
            #expect(
                value(of: route("/a/b-c_D9/kms/xks/v1/keys/Foo-1.2_x/\(word)"))
                    == XKSRoute(prefix: "/a/b-c_D9", operation: operation, externalKeyID: "Foo-1.2_x"))
        }
        #expect(XKSOperation.allCases.map(\.rawValue) == ["GetHealthStatus", "GetKeyMetadata", "Encrypt", "Decrypt"])
    }

    @Test func takesThePathApartFromItsEnd() {
        #expect(value(of: route("/kms/xks/v1/kms/xks/v1/health"))?.prefix == "/kms/xks/v1")
        #expect(value(of: route("/kms/xks/v1/keys/k/kms/xks/v1/keys/health/encrypt"))?.externalKeyID == "health")
    }

    @Test func refusesOtherPaths() {
        let cases: [String] = [
            "", "/", "*", "health", "/health", "/kms/xks/v1", "/kms/xks/v1/", "/kms/xks/v1/health/",
            "/kms/xks/v2/health",
            "/KMS/xks/v1/health", "/kms/xks/v1/Health", "kms/xks/v1/health", "//kms/xks/v1/health",
            "/a//b/kms/xks/v1/health",
            "/a/kms/xks/v1//health", "/kms/xks/v1/keys/foo", "/kms/xks/v1/keys/foo/", "/kms/xks/v1/keys/foo/sign",
            "/kms/xks/v1/keys/foo/Encrypt", "/kms/xks/v1/keys/foo/encrypt/", "/kms/xks/v1/keys/a/b/encrypt",
            "/kms/xks/v1/key/foo/encrypt", "/kms/xks/v1/keys/health", "/xkms/xks/v1x/health", "akms/xks/v1/health",
            "/kms/xks/v1/health?", "/kms/xks/v1/health?a=b", "/kms/xks/v1/health#a", "/kms/xks/v1/keys/foo/encrypt?x",
            "/%6bms/xks/v1/health", "/kms/xks/v1/keys/f%6fo/encrypt", "/kms/xks/v1/keys/foo%2fbar/encrypt",
            "/a/../kms/xks/v1/health", "/./kms/xks/v1/health", "/kms/xks/v1/keys/../encrypt",
            "/kms/xks/v1/keys/./encrypt",
            "/a.b/kms/xks/v1/health", "/a b/kms/xks/v1/health", "/é/kms/xks/v1/health", "/a\\b/kms/xks/v1/health",
            "/kms/xks/v1/keys/a\\b/encrypt", "https://xks.example.com/kms/xks/v1/health", "/a\u{0}/kms/xks/v1/health",
        ]
        for target in cases {
            #expect(error(of: route(target))?.name == .invalidURIPath, "\(target.debugDescription)")
        }
    }

    @Test func refusesIllFormedKeyIDs() {
        let cases: [String] = [
            "", "a b", "a:b", "schlüssel", "a+b", "a~", "...\u{0}", String(repeating: "a", count: 129),
        ]
        for id in cases {
            let refused = error(of: route("/a/kms/xks/v1/keys/\(id)/encrypt"))
            #expect(refused?.name == .validation)
            #expect(refused?.message.hasPrefix("externalKeyId ") == true)
            #expect(!XKSPath.isValidExternalKeyID(id))
            // The path decides first.
            #expect(error(of: route("/a/kms/xks/v1/keys/\(id)/sign"))?.name == .invalidURIPath)
            #expect(error(of: route("/a!/kms/xks/v1/keys/\(id)/encrypt"))?.name == .invalidURIPath)
        }
    }

    @Test func boundsLengths() {
        let longest = "/" + String(repeating: "p", count: XKSPath.longestPrefix - 1)
        #expect(longest.utf8.count + "/kms/xks/v1".utf8.count == 128)
        #expect(value(of: route("\(longest)/kms/xks/v1/health"))?.prefix == longest)
        #expect(error(of: route("\(longest)p/kms/xks/v1/health"))?.name == .invalidURIPath)
        let id = String(repeating: "k", count: 128)
        #expect(value(of: route("\(longest)/kms/xks/v1/keys/\(id)/metadata"))?.externalKeyID == id)
    }

    @Test func judgesPrefixes() {
        for good in ["", "/a", "/a/b", "/example/uri/path/prefix", "/A-b_9"] {
            #expect(XKSPath.problem(withPrefix: good) == nil)
        }
        for bad in ["/", "a", "/a/", "//a", "/a//b", "/a.b", "/ä", "/a b", "/" + String(repeating: "a", count: 117)] {
            #expect(XKSPath.problem(withPrefix: bad) != nil, "\(bad)")
            #expect(!XKSPath.isValidPrefix(bad))
        }
    }

    @Test func judgesKeyIDs() {
        for good in ["a", "...", ".a", "A-z_0.9", String(repeating: "x", count: 128)] {
            #expect(XKSPath.problem(withExternalKeyID: good) == nil)
        }
        for bad in ["", ".", "..", "a/b", "a\n"] { #expect(XKSPath.problem(withExternalKeyID: bad) != nil, "\(bad)") }
    }

    @Test(arguments: 0..<4) func survivesRandomTargets(seed: UInt64) {
        var generator = RandomChoice(seed: seed)
        let pieces = [
            "/", "kms", "xks", "v1", "keys", "health", "encrypt", "/kms/xks/v1", "/keys/foo/encrypt", "..", "%2f", "?",
            "é",
            "a", "\u{0}", "//",
        ]
        for _ in 0..<1_000 {
            let target = (0..<generator.below(8)).map { _ in pieces[generator.below(pieces.count)] }.joined()
            switch route(target) {
            case .success(let route):
                // What was accepted is exactly what its segments spell.
                let end = route.externalKeyID.map { "keys/\($0)/\(word(route.operation))" } ?? "health"
                #expect(target == "\(route.prefix)/kms/xks/v1/\(end)")
            case .failure(let error):
                #expect(error.name == .invalidURIPath || error.name == .validation)
            }
        }
    }

    private func word(_ operation: XKSOperation) -> String {
        switch operation {
        case .health: "health"
        case .metadata: "metadata"
        case .encrypt: "encrypt"
        case .decrypt: "decrypt"
        }
    }
}

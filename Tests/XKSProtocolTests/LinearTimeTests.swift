// SPDX-License-Identifier: Apache-2.0
import Testing
import XKSProtocol

/// The work for a hostile body grows with its size, and no faster. Counted in bytes looked at, not in seconds: the same
/// on every machine.
@Suite struct LinearTimeTests {
    /// A family of bodies that grow with a number.
    struct Family: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let body: @Sendable (Int) -> String
    }

    private static func extra(_ value: String) -> String { String(Sample.encrypt.dropLast()) + ",\"x\":" + value + "}" }

    private static func many(_ count: Int, _ element: (Int) -> String) -> String {
        (0..<count).map(element).joined(separator: ",")
    }

    static let families = [
        Family(testDescription: "nested arrays") { extra(String(repeating: "[", count: $0)) },
        Family(testDescription: "many deep arrays") { count in
            extra(
                "[" + many(count) { _ in String(repeating: "[", count: 25) + String(repeating: "]", count: 25) } + "]")
        },
        Family(testDescription: "objects full of fields") { count in
            extra("[" + many(count / 100) { _ in "{" + many(250) { "\"f\($0)\":0" } + "}" } + "]")
        },
        Family(testDescription: "objects full of escaped names") { count in
            extra("[" + many(count / 100) { _ in "{" + many(250) { "\"\\u0061\($0)\":0" } + "}" } + "]")
        },
        Family(testDescription: "one name twice") { extra("{" + many($0) { _ in "\"a\":0" } + "}") },
        Family(testDescription: "two long names, equal") { count in
            extra("{" + many(2) { _ in "\"\(String(repeating: "n", count: count))\":0" } + "}")
        },
        Family(testDescription: "plaintext twice") { Sample.encrypt + many($0) { _ in "\"plaintext\":\"\"" } },
        Family(testDescription: "small objects") { count in
            extra("[" + many(count) { _ in "{\"a\":{},\"b\":{}}" } + "]")
        },
        Family(testDescription: "escapes") { extra("\"" + String(repeating: "\\n", count: $0) + "\"") },
        Family(testDescription: "surrogate pairs") {
            extra("\"" + String(repeating: "\\ud83d\\ude00", count: $0) + "\"")
        },
        Family(testDescription: "backslashes") { extra("\"" + String(repeating: "\\\\", count: $0)) },
        Family(testDescription: "not ASCII") { extra("\"" + String(repeating: "é", count: $0) + "\"") },
        Family(testDescription: "a long number") { extra(String(repeating: "9", count: $0)) },
        Family(testDescription: "white space") { extra(String(repeating: " \n", count: $0) + "1") },
        Family(testDescription: "no end") { extra("\"" + String(repeating: "a", count: $0)) },
        Family(testDescription: "Base64") {
            Sample.encrypt("plaintext", "\"" + String(repeating: "AAAA", count: $0) + "\"")
        },
        Family(testDescription: "escaped Base64") {
            Sample.encrypt("plaintext", "\"" + String(repeating: "\\/\\/\\/\\/", count: $0) + "\"")
        },
        Family(testDescription: "a long ARN") {
            Sample.encrypt(metadata: "kmsKeyArn", "\"" + String(repeating: "é", count: $0) + "\"")
        },
    ]

    private func visits(_ body: String) -> Int {
        Array(body.utf8).withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            _ = try? EncryptRequest(from: &reader, limits: .standard)
            return reader.visits
        }
    }

    @Test(arguments: families) func theWorkGrowsWithTheSize(family: Family) {
        for size in [500, 2_000] {
            let (small, large) = (family.body(size), family.body(2 * size))
            #expect(visits(small) <= 8 * small.utf8.count)
            #expect(visits(large) <= 8 * large.utf8.count)
            // Twice the size is at most twice the work, but for the part that does not grow.
            #expect(visits(large) <= 2 * visits(small) + 64)
        }
    }

    @Test func countsWhatItReads() {
        #expect(visits(Sample.encrypt) >= Sample.encrypt.utf8.count)
        #expect(visits("") == 0)
    }
}

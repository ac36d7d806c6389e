// SPDX-License-Identifier: Apache-2.0
import Chance
import Policy
import SeededRandom
import Testing

/// A policy that is too much is refused before it costs anything, and whatever its bytes are, reading ends.
struct HostilePolicyTests {
    private static let rest = #""Effect": "Deny", "Principal": "*", "Action": "xks:*", "Resource": "*""#

    private func refusal(_ text: String) -> String { problems(text).first?.message ?? "" }

    @Test func tenMebibytesAreNotRead() {
        #expect(refusal(String(repeating: " ", count: 10 << 20)) == "is larger than 1048576 bytes")
    }

    @Test(arguments: ["[", "{\"a\":"]) func deepNestingIsRefused(opening: String) {
        let text = "{\"Statement\":" + String(repeating: opening, count: 100_000)
        #expect(refusal(text) == "is nested deeper than 8")
    }

    @Test func tooManyStatementsAreRefused() {
        let statements = { (count: Int) in
            "{\"Statement\":[" + [String](repeating: "{\(Self.rest)}", count: count).joined(separator: ",") + "]}"
        }
        #expect(refusal(statements(4_097)) == "has 4097 statements, more than 4096")
        #expect(problems(statements(4_096)).isEmpty)
    }

    @Test func tooManyValuesAreRefused() {
        let values = [String](repeating: "\"a\"", count: 16_384).joined(separator: ",")
        let text = "{\"Statement\":{\(Self.rest), \"Condition\": {\"StringEquals\": {\"kmsTier\": [\(values)]}}}}"
        #expect(refusal(text) == "is beyond the 16384th value of the policy")
    }

    @Test func aLongValueIsRefusedAndShownShortened() {
        let value = String(repeating: "a", count: 5_000)
        let text = "{\"Statement\":{\(Self.rest), \"Condition\": {\"StringEquals\": {\"kmsTier\": \"\(value)\"}}}}"
        #expect(refusal(text) == "is longer than 4096 bytes")
        #expect(problems(text).first?.value.count == 63)
    }

    @Test func aMillionNamesInOneObjectAreTheirOwnProblem() {
        let names = (0..<80_000).map { "\"n\($0)\":1" }.joined(separator: ",")
        #expect(refusal("{\(names)}") == "is no member that can stand here")
    }

    @Test func randomAndMutatedBytesNeverEndTheProcess() throws {
        let seed = Array(
            #"""
            {"Version": "2012-10-17", "Statement": [{"Sid": "A b", "Effect": "Allow", "Principal": {"AWS": ["111122223333"]},
            "Action": ["xks:Encrypt"], "Resource": ["a*?"], "Condition": {"ForAnyValue:ArnLike": {"kmsKeyArn":
            "arn:aws:kms:*:1:k\u0065y/*"}, "DateLessThanIfExists": {"xks:CurrentTime": "2026-01-01T00:00:00.5+01:00"},
            "NotIpAddress": {"xks:ClientAddress": ["2001:db8::/32", "1.2.3.4"]}, "Null": {"kmsTier": [true]},
            "NumericEquals": {"kmsTier": [-1.5e2]}}}]}
            """#.utf8)
        #expect(throws: Never.self) { try KeyStorePolicy(text: seed) }
        var random = RandomChoice(seed: 4)
        var good = 0
        for _ in 0..<6_000 {
            var text = seed
            for _ in 0..<random.between(1, 3) {
                let place = random.below(text.count)
                switch random.below(4) {
                case 0: text[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: text.remove(at: place)
                case 2: text.insert(contentsOf: random.bytes(2), at: place)
                default: text.replaceSubrange(place..<min(place + 8, text.count), with: text.suffix(random.below(12)))
                }
            }
            if let policy = try? KeyStorePolicy(text: text) {
                good += 1
                _ = policy.explain(Sample.request())
            }
        }
        #expect(good > 0, "some mutations leave a policy")
        for _ in 0..<2_000 { _ = try? KeyStorePolicy(text: random.bytes(random.below(200))) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import AuditChain
import Chance
import Crypto
import Foundation
import SeededRandom
import Testing
import XKSProtocol

@Suite("Records of the audit log")
struct RecordTests {
    private func line(_ record: RecordText) throws -> (text: String, line: AuditLine) {
        var link = ChainLink()
        var bytes: [UInt8] = []
        link.append(record, to: &bytes)
        let line = try #require(AuditLine(bytes.dropLast()[...]))
        return (String(decoding: bytes, as: UTF8.self), line)
    }

    @Test("a request's record is what the reference says, to the byte")
    func request() throws {
        var trace = TestChain.trace(3)
        trace.metadata?.others = [.init(name: "aclOwner", values: ["a", "b"])]
        trace.block = "b-1"
        trace.reason = "say \"no\""
        let (text, line) = try line(
            RecordText(trace, at: AuditTime(seconds: 1_769_903_999, microseconds: 42), node: "fra-1"))
        let body =
            #"{"kind":"request","time":"2026-01-31T23:59:59.000042Z","node":"fra-1","operation":"Encrypt","#
            + #""keystore":"/store","externalKeyId":"foo","outcome":"InternalException","status":500,"#
            + #""kmsRequestId":"request-3","awsPrincipalArn":"arn:aws:iam::123456789012:user/Alice","#
            + #""kmsKeyArn":"arn:aws:kms:eu:1:key/1","kmsOperation":"Encrypt","otherMetadata":[["aclOwner","a","b"]],"#
            + #""client":"","block":"b-1","reason":"say \"no\"","total_us":0,"seq":1"#
        let hash = SHA256.hash(data: Data((ChainLink.origin + body).utf8)).digits
        #expect(text == body + ",\"hash\":\"\(hash)\"}\n")
        #expect(line.seq == 1 && line.kind == .request && line.hash == hash && line.follows(ChainLink.origin))
        #expect(line.text(.reason) == "say \"no\"" && line.number(.status) == 500)
        #expect(line.lists(.otherMetadata) == [["aclOwner", "a", "b"]] && !line.has(.forwardedBy))
    }

    @Test("any text comes back as it was, is JSON, and is on one line without what a terminal obeys")
    func anyText() throws {
        var random = RandomChoice(seed: 4)
        let scalars: [Unicode.Scalar] = [
            "a", "\"", "\\", "\n", "\u{1b}", "\u{7f}", "\u{9b}", "\u{202e}", "ü", "😀", ",", ":", "{", "]",
        ]
        for _ in 0..<2_000 {
            var text = ""
            for _ in 0..<Int.random(in: 0...20, using: &random) {
                text.unicodeScalars.append(scalars[Int.random(in: 0..<scalars.count, using: &random)])
            }
            var trace = TestChain.trace(1)
            trace.reason = text + ",\"seq\":99,\"hash\":\"" + text
            trace.metadata?.others = [.init(name: text, values: [text, "x"])]
            let (written, line) = try line(RecordText(trace, at: AuditTime(seconds: 0), node: text))
            #expect(line.text(.reason) == trace.reason && line.text(.node) == text && line.seq == 1)
            #expect(line.lists(.otherMetadata) == [[text, text, "x"]])
            #expect(!written.dropLast().unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) })
            let object = try JSONSerialization.jsonObject(with: Data(written.utf8)) as? [String: Any]
            #expect(object?["reason"] as? String == trace.reason)
        }
    }

    @Test("no line that was shortened or altered at random is taken for another record, and none ends the reader")
    func mutated() throws {
        var random = RandomChoice(seed: 9)
        let chain = TestChain([3])
        for _ in 0..<5_000 {
            let index = Int.random(in: 0..<chain.segments[0].lines.count, using: &random)
            let original = chain.segments[0].lines[index]
            var bytes = original
            for _ in 0...Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: at)
                default: bytes.removeLast(min(at, bytes.count - 1))
                }
            }
            guard let line = AuditLine(bytes[...]) else { continue }
            for field in AuditField.allCases {
                _ = line.text(field)
                _ = line.lists(field)
                _ = line.texts(field)
                _ = line.number(field)
            }
            #expect(bytes == original || !line.follows(chain.links[index].hash))
        }
    }

    @Test("the beginning of a time stands for its earliest moment")
    func times() {
        #expect(AuditTime.lowerBound("2026-01-31T23:59") == "2026-01-31T23:59:00.000000Z")
        #expect(AuditTime.lowerBound("2026") == "2026-01-01T00:00:00.000000Z")
        #expect(AuditTime.lowerBound("yesterday") == nil && AuditTime.lowerBound("2026/01") == nil)
        #expect(AuditTime(seconds: -1, microseconds: 999_999).text == "1969-12-31T23:59:59.999999Z")
        for seconds in [0, 951_782_399, 951_782_400, 1_769_903_999, 4_102_444_800] as [Int64] {
            #expect(AuditTime.unixSeconds(AuditTime(seconds: seconds).text) == seconds)
        }
        #expect(AuditTime.unixSeconds("2026-13-01T00:00:00.000000Z") == nil && AuditTime.unixSeconds("2026") == nil)
        #expect(AuditTime(seconds: 951_782_400).text == "2000-02-29T00:00:00.000000Z")
    }

    @Test("files of segments are known by their names, and no others")
    func names() {
        let name = SegmentName(chain: 2, first: 42)
        #expect(name.file == "audit-2-000000000000042.jsonl" && SegmentName(file: name.file) == name)
        for other in ["audit-2-42.jsonl", "audit-9-000000000000042.jsonl", "audit-1-000000000000000.jsonl", "x", ""] {
            #expect(SegmentName(file: other) == nil, "\(other)")
        }
        #expect(SegmentName(chain: 1, first: 1_234_567_890_123_456).file == "audit-1-1234567890123456.jsonl")
    }

    @Test("segments are closed for their size, and for their age unless they are empty; the last is never removed")
    func rules() {
        let rules = SegmentRules(size: 100, age: 10, keep: 50)
        #expect(rules.cause(written: 99, records: 5, age: 9) == nil)
        #expect(rules.cause(written: 100, records: 5, age: 9) == .size)
        #expect(rules.cause(written: 1, records: 2, age: 10) == .time)
        #expect(rules.cause(written: 1, records: 1, age: 10) == nil)
        let names = [1, 5, 9].map { SegmentName(chain: 1, first: $0) }
        func expired(_ rules: SegmentRules, _ written: [Int64], bytes: [Int] = [0, 0, 0]) -> [SegmentName] {
            rules.expired(
                names.indices.map { .init(names[$0], written: written[$0], bytes: bytes[$0]) }, now: 100)
        }
        #expect(expired(rules, [0, 49, 0]) == Array(names[..<2]))
        #expect(expired(rules, [60, 0, 0]) == [])
        // More than there is to be room for: the oldest go until the others fit.
        let small = SegmentRules(size: 100, age: 10, keep: 50, most: 250)
        #expect(expired(small, [100, 100, 100], bytes: [100, 100, 50]) == [])
        #expect(expired(small, [100, 100, 100], bytes: [100, 100, 51]) == [names[0]])
        #expect(expired(small, [100, 100, 100], bytes: [1, 300, 100]) == Array(names[..<2]))
        #expect(expired(small, [100, 100, 100], bytes: [1, 1, 900]) == Array(names[..<2]))
        #expect(expired(rules, [100, 100, 100], bytes: [.max, .max, .max]) == [])
    }
}

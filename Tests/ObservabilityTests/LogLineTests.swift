// SPDX-License-Identifier: Apache-2.0
import Chance
import Foundation
import Logging
import Observability
import Testing

@Suite struct LogLineTests {
    private func json(_ line: String) throws -> [String: Any] {
        #expect(line.hasSuffix("}\n") && line.dropLast().allSatisfy { $0 != "\n" })
        return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    private func line(_ value: String, _ format: LogFormat = .json) -> String {
        var line = LogLine(
            level: .info, message: value, time: LogTime(seconds: 0, microseconds: 0), format: format)
        line.add("field", value)
        return line.finish { String(decoding: $0, as: UTF8.self) }
    }

    static let hostile: [String] =
        (0..<0xA1 as Range<UInt32>).compactMap { Unicode.Scalar($0).map { "a\($0)b" } } + [
            "", "\"", "\\", "\\\"", "\",\"level\":\"x", "}\n{", "\r\n", "\u{2028}\u{2029}", "é", "Â", "\u{C2}\u{80}",
            "🔑",
            "a\u{FEFF}b", "a\u{202E}txt.exe", "\u{2066}a\u{2069}", "a\u{200B}b", "\u{E0041}", "\u{E000}", "\u{FFFF}",
            "\u{10FFFF}", "e\u{301}", "\u{1B}[2J", String(repeating: "\n", count: 5000),
            String(repeating: "x", count: 100_000) + "\"",
        ]

    /// Neither what a terminal obeys nor what it does not show. With 16631be U+202E and U+2028 came out as they were.
    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: false
        default: true
        }
    }

    @Test(arguments: hostile)
    func aHostileTextComesThroughAsItIs(_ text: String) throws {
        let line = line(text)
        let object = try json(line)
        #expect(object["message"] as? String == text && object["field"] as? String == text)
        #expect(object.count == 4)
        #expect(line.dropLast().unicodeScalars.allSatisfy(Self.isHarmless))
    }

    @Test(arguments: hostile)
    func theTextFormatIsOneLineToo(_ text: String) {
        let line = line(text, .text)
        #expect(line.hasPrefix("1970-01-01T00:00:00.000000Z INFO   "))
        #expect(line.dropLast().unicodeScalars.allSatisfy(Self.isHarmless))
        let ascii = self.line(text, .ascii)
        #expect(ascii.dropLast().utf8.allSatisfy { (0x20...0x7E).contains($0) })
    }

    /// Bytes at random, read as UTF-8 with repairs: always valid JSON, and the same text.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func randomTexts(seed: UInt64) throws {
        var random = RandomChoice(seed: seed)
        for _ in 0..<300 {
            let bytes = (0..<Int.random(in: 0...64, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let text = String(decoding: bytes, as: UTF8.self)
            // A carriage return and a line feed are one Character: compare scalars.
            let object = try json(line(text))
            #expect((object["field"] as? String).map { Array($0.unicodeScalars) } == Array(text.unicodeScalars))
        }
    }

    @Test func numbers() throws {
        var line = LogLine(level: .error, message: "m", time: LogTime(seconds: 0, microseconds: 0), format: .json)
        line.add("zero", 0)
        line.add("low", Int.min)
        line.add("high", UInt64.max)
        line.add("byte", Int8.min)
        line.add("none", String?.none)
        let text = line.finish { String(decoding: $0, as: UTF8.self) }
        #expect(
            text == """
                {"timestamp":"1970-01-01T00:00:00.000000Z","level":"error","message":"m","zero":0,\
                "low":-9223372036854775808,"high":18446744073709551615,"byte":-128}

                """)
    }

    @Test(arguments: [
        (0, 0, "1970-01-01T00:00:00.000000Z"), (-1, 999_999, "1969-12-31T23:59:59.999999Z"),
        (951_782_399, 1, "2000-02-28T23:59:59.000001Z"), (951_782_400, 10, "2000-02-29T00:00:00.000010Z"),
        (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"), (253_402_300_799, 0, "9999-12-31T23:59:59.000000Z"),
        (Int64.max, 5, "9999-12-31T23:59:59.000005Z"), (Int64.min, -5, "0000-01-01T00:00:00.000000Z"),
        (0, 1_000_000, "1970-01-01T00:00:00.999999Z"),
    ])
    func timestamps(seconds: Int64, microseconds: Int, text: String) {
        #expect(LogTime(seconds: seconds, microseconds: microseconds).text == text)
    }

    @Test func timestampsAgreeWithFoundation() {
        var random = RandomChoice(seed: 7)
        let formatter = ISO8601DateFormatter()
        for _ in 0..<2000 {
            // From 1600 on: before, Foundation's calendar is the Julian one.
            let seconds = Int64.random(in: -11_670_000_000...253_402_300_799, using: &random)
            let expected = formatter.string(from: Date(timeIntervalSince1970: Double(seconds)))
            let text = LogTime(seconds: seconds, microseconds: 0).text
            #expect(text.prefix(19) == expected.prefix(19))
        }
        let difference = Double(LogTime.now.seconds) - Date().timeIntervalSince1970
        #expect(abs(difference) < 60)
    }
}

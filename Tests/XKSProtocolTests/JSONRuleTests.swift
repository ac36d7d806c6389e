// SPDX-License-Identifier: Apache-2.0
import Testing
import XKSProtocol

/// The rules of the reader, tried through the requests that it reads.
@Suite struct JSONRuleTests {
    /// The health example with `extra` put into its outer object.
    private func health(with extra: String) -> Result<HealthRequest, XKSError> {
        read(HealthRequest.self, String(Sample.health.dropLast()) + "," + extra + "}")
    }

    private func health(bytes extra: [UInt8]) -> Result<HealthRequest, XKSError> {
        read(
            HealthRequest.self,
            bytes: Array(Sample.health.utf8.dropLast()) + [UInt8(ascii: ",")] + extra + [UInt8(ascii: "}")])
    }

    private func health(string: [UInt8]) -> Result<HealthRequest, XKSError> {
        health(bytes: Array("\"x\":\"".utf8) + string + [UInt8(ascii: "\"")])
    }

    @Test func skipsUnknownFieldsOfAnyKind() {
        let cases: [String] = [
            "1", "-0", "0.5", "-12.25e+10", "1E5", "1e-999999999", "true", "false", "null", "[]", "{}", "[[],{}]",
            "\"\"", "[1, \"a\" ,null]", "{\"a\": {\"b\": [true]}}",
            "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"", "\"é😀\u{7f}\"",
            "9" + String(repeating: "9", count: 5_000), "0." + String(repeating: "1", count: 5_000),
        ]
        for json in cases {
            #expect(value(of: health(with: "\"x\": \(json)")) != nil)
            #expect(value(of: health(with: "\"x\":\t\r\n \(json) \n")) != nil)
        }
    }

    @Test func refusesWhatIsNotJSON() {
        let cases: [String] = [
            "", "01", "+1", "-", ".5", "1.", "1.e5", "1e", "1e+", "0x10", "NaN", "Infinity", "-Infinity", "1_000", "١",
            "tru", "True", "nul", "nulll", "undefined", "'a'", "[1,]", "[,1]", "[1 2]", "[", "]", "{", "{\"a\"}",
            "{\"a\":}", "{a:1}",
            "{\"a\":1,}", "{,}", "{\"a\" 1}", "{1:2}", "{null:2}", "[1}", "{\"a\":1]", "\"", "\"\\\"", "\"a\nb\"",
            "\"a\tb\"", "\"\u{0}\"",
            "\"\u{1f}\"", "/* */1", "1//", "\"\\x41\"", "\"\\u12g4\"", "\"\\u+123\"", "\"\\u 123\"", "\"\\U0041\"",
            "\"\\0\"", "\"\\'\"",
            "\"\\uD800\"", "\"\\uDC00\"", "\"\\uD800\\uD800\"", "\"\\uD83Dx\"", "\"\\uD83D\\n\"", "\"\\uD83D\\u0041\"",
            "\"\\uDE00\\uD83D\"",
            "\"\\uD83D\\uDE0\"", "\"\\u004\"", "\"\\u0000\"", "\"a\\u0000b\"", "\u{feff}1", "\u{a0}1", "\u{c}1",
            "\u{b}1",
        ]
        for json in cases {
            #expect(error(of: health(with: "\"x\":\(json)"))?.name == .validation, "\(json.debugDescription)")
        }
    }

    @Test func refusesEveryTruncation() {
        for sample in [Sample.encrypt, Sample.decrypt] {
            let bytes = Array(sample.utf8)
            for length in 0..<bytes.count {
                let cut = Array(bytes.prefix(length))
                #expect(error(of: read(EncryptRequest.self, bytes: cut))?.name == .validation)
                #expect(error(of: read(DecryptRequest.self, bytes: cut))?.name == .validation)
            }
        }
    }

    @Test func takesOneObjectAndNothingElse() {
        let cases: [String] = [
            "", " ", "null", "[]", "\"a\"", "1", "[\(Sample.health)]", "\(Sample.health)x", "\(Sample.health){}",
            "\(Sample.health),",
            "\(Sample.health)\u{0}", "\u{feff}\(Sample.health)", "\u{0}\(Sample.health)", "\(Sample.health)\u{feff}",
            "//\n\(Sample.health)",
        ]
        for body in cases {
            #expect(error(of: read(HealthRequest.self, body))?.name == .validation, "\(body.debugDescription)")
        }
    }

    @Test func allowsWhiteSpaceAroundEverything() {
        let body = " \t\r\n" + Sample.health.replacing(":", with: " :\n ").replacing(",", with: "\t,\r") + "\n \n"
        #expect(value(of: read(HealthRequest.self, body))?.metadata.kmsOperation == "KmsHealthCheck")
    }

    /// Unicode 15.0, table 3-7: overlong forms, surrogates, what lies above U+10FFFF, cut and stray bytes.
    @Test func refusesInvalidUTF8() {
        let cases: [[UInt8]] = [
            [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xc2], [0xc2, 0x41], [0xe0, 0x80, 0x80], [0xe0, 0x9f, 0xbf],
            [0xe1, 0x80],
            [0xe1, 0x80, 0x41], [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf], [0xf0, 0x80, 0x80, 0x80],
            [0xf0, 0x8f, 0xbf, 0xbf],
            [0xf1, 0x80, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80],
            [0xfe], [0xff],
            [0xc3, 0xa9, 0xa9],
        ]
        for bytes in cases {
            #expect(error(of: health(string: bytes))?.name == .validation)
            // Wherever it stands among bytes that are read eight at a time.
            for lead in 0..<10 {
                let padded = [UInt8](repeating: 0x61, count: lead) + bytes + [UInt8](repeating: 0x61, count: 9)
                #expect(error(of: health(string: padded))?.name == .validation)
            }
            #expect(error(of: health(bytes: [0x22] + bytes + [0x22, 0x3a, 0x31]))?.name == .validation)
            #expect(error(of: health(bytes: Array("\"x\":".utf8) + bytes))?.name == .validation)
        }
    }

    @Test func acceptsEveryLengthOfUTF8() {
        for scalar in ["\u{80}", "\u{7ff}", "\u{800}", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}", "\u{10ffff}"] {
            let name = "a\(scalar)"
            let body = Sample.object([
                ("requestMetadata", Sample.object([("kmsOperation", "\"\(name)\""), ("kmsRequestId", "\"1\"")]))
            ])
            #expect(value(of: read(HealthRequest.self, body))?.metadata.kmsOperation == name)
        }
    }

    /// Each byte that ends or breaks a string is found at each position in a word of eight.
    @Test func findsSpecialBytesAtEveryPlace() {
        for byte in UInt8.min...UInt8.max {
            for position in 0..<17 {
                var string = [UInt8](repeating: 0x21, count: 17)
                string[position] = byte
                let isGood = (0x20...0x7f).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
                #expect((value(of: health(string: string)) != nil) == isGood, "byte \(byte) at \(position)")
            }
        }
    }

    @Test func boundsDepth() {
        func nested(_ levels: Int, _ open: String, _ close: String, _ core: String) -> String {
            String(repeating: open, count: levels) + core + String(repeating: close, count: levels)
        }
        // The outermost object is the first level.
        #expect(value(of: health(with: "\"x\":" + nested(JSONReader.deepest - 1, "[", "]", ""))) != nil)
        #expect(value(of: health(with: "\"x\":" + nested(JSONReader.deepest - 1, "{\"a\":", "}", "1"))) != nil)
        let arrays = error(of: health(with: "\"x\":" + nested(JSONReader.deepest, "[", "]", "")))
        let objects = error(of: health(with: "\"x\":" + nested(JSONReader.deepest, "{\"a\":", "}", "1")))
        #expect(arrays?.message.contains("nested too deeply") == true)
        #expect(objects?.message.contains("nested too deeply") == true)
        #expect(error(of: health(with: "\"x\":" + String(repeating: "[", count: 100_000)))?.name == .validation)
        // Siblings do not add up.
        #expect(
            value(of: health(with: "\"x\":[" + Array(repeating: "[[]]", count: 100).joined(separator: ",") + "]"))
                != nil)
    }

    @Test func boundsFieldsOfAnObject() {
        func object(_ count: Int) -> String { Sample.object((0..<count).map { ("f\($0)", "0") }) }
        #expect(value(of: health(with: "\"x\":" + object(JSONReader.mostFields))) != nil)
        #expect(
            error(of: health(with: "\"x\":" + object(JSONReader.mostFields + 1)))?.message.contains("too many") == true)
        let tooMany = (0..<JSONReader.mostFields).map { "\"f\($0)\":0" }.joined(separator: ",")
        #expect(error(of: health(with: tooMany))?.name == .validation)
    }

    @Test func refusesRepeatedNames() {
        let cases: [String] = [
            "\"a\":1,\"a\":1", "\"a\":1,\"\\u0061\":1", "\"\\u0061\":1,\"\\u0061\":2", "\"\":1,\"\":1",
            "\"é\":1,\"\\u00E9\":2",
            "\"😀\":1,\"\\ud83d\\ude00\":2", "\"a\\/b\":1,\"a/b\":2", "\"x\":{\"a\":1,\"b\":2,\"a\":3}",
            "\"x\":[{\"a\":{\"b\":1,\"b\":1}}]",
            "\"requestMetadata\":{}", "\"request\\u004detadata\":{}",
        ]
        for extra in cases {
            let refused = error(of: health(with: extra))
            #expect(refused?.name == .validation)
            #expect(refused?.message.contains("twice") == true)
        }
    }

    @Test func refusesARepeatAmongManyNames() {
        let names = (0..<200).map { "\"name\($0)\":0" }
        #expect(value(of: health(with: names.joined(separator: ","))) != nil)
        #expect(
            error(of: health(with: (names + ["\"name17\":1"]).joined(separator: ",")))?.message.contains("twice")
                == true)
    }

    @Test func namesMayRepeatInDifferentObjects() {
        #expect(
            value(of: health(with: "\"x\":[{\"a\":1},{\"a\":1},{\"b\":{\"a\":1},\"a\":2}],\"a\":3,\"kmsOperation\":5"))
                != nil)
    }

    @Test func takesEscapesInNames() {
        let body = Sample.health.replacing("kmsOperation", with: "\\u006bms\\u004fperation")
        #expect(value(of: read(HealthRequest.self, body))?.metadata.kmsOperation == "KmsHealthCheck")
        #expect(
            error(of: read(HealthRequest.self, Sample.health.replacing("kmsOperation", with: "kmsOperation\\u0000")))
                != nil)
    }

    @Test func faultsNameTheFieldAndNeverShowContent() {
        let content = "c2VjcmV0c2VjcmV0"
        let bodies = [
            Sample.encrypt("plaintext", "\"\(content)!\""), Sample.encrypt("plaintext", "[\"\(content)\"]"),
            Sample.encrypt("plaintext", "\"\(content)\u{1}\""), Sample.encrypt("plaintext", "\"\(content)\\q\""),
            Sample.encrypt("plaintext", "\"\(content)"),
            Sample.encrypt("plaintext", "\"\(content)\", \"plaintext\": \"\""),
        ]
        for body in bodies {
            let refused = error(of: read(EncryptRequest.self, body))
            #expect(refused?.name == .validation)
            #expect(refused?.message.contains("plaintext ") == true, "\(refused?.message ?? "accepted")")
            #expect(refused?.message.contains("c2Vj") == false)
        }
    }
}

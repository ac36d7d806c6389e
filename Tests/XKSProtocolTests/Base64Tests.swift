// SPDX-License-Identifier: Apache-2.0
import Chance
import SecureMemory
import SeededRandom
import Testing
import XKSProtocol

@Suite struct Base64Tests {
    private func decode(_ text: String) -> [UInt8]? {
        Array(text.utf8).withUnsafeBytes { Base64.decode($0)?.array }
    }

    /// RFC 4648 section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func agreesWithTheVectorsOfTheRFC(plain: String, text: String) {
        #expect(base64(Array(plain.utf8)) == text)
        #expect(decode(text) == Array(plain.utf8))
    }

    @Test func usesTheStandardAlphabet() {
        #expect(decode("+/+/") == [0xfb, 0xff, 0xbf])
        #expect(base64([0xfb, 0xff, 0xbf]) == "+/+/")
        #expect(decode("-_-_") == nil)
    }

    @Test func refusesWhatIsNotCanonical() {
        let cases: [String] = [
            "Z", "Zg", "Zg=", "Zm8", "Zm9vY", "Zg===", "Zg==Zg==", "Zm8=Zm8=", "=", "==", "===", "====", "=AAA", "A=AA",
            "AA=A",
            "A===", "Zm9v====", "Zh==", "Zk==", "Zm9=", "Zm8=\n", "Zm 8", " Zm8=", "Zm\n9v", "Zm9v\n", "Zm\u{0}v",
            "Zm9é", "Zm9\"",
            "Zm9v,", "Z\\g=", "%3d==",
        ]
        for text in cases {
            #expect(decode(text) == nil, "\(text.debugDescription)")
        }
    }

    @Test func refusesEveryByteOutsideTheAlphabetAtEveryPlace() {
        let alphabet = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for byte in UInt8.min...UInt8.max {
            for position in 0..<8 {
                var text = Array("AAAAAAAA".utf8)
                text[position] = byte
                // An `=` in the last position is padding.
                let isGood = alphabet.contains(byte) || (byte == UInt8(ascii: "=") && position == 7)
                #expect((text.withUnsafeBytes { Base64.decode($0) } != nil) == isGood, "byte \(byte) at \(position)")
            }
        }
    }

    @Test func hasOneTextForEachByteString() {
        for last in UInt8.min...UInt8.max {
            let accepted = (UInt8.min...UInt8.max).filter { second in
                [UInt8(ascii: "A"), second, UInt8(ascii: "="), UInt8(ascii: "=")]
                    .withUnsafeBytes { Base64.decode($0)?.array } == [last]
            }
            // The first character says that the top six bits are zero, so four values remain.
            #expect(accepted.count == (last < 4 ? 1 : 0))
        }
    }

    @Test func decodesOnlyIntoSufficientRoom() {
        let text = Array("Zm9vYmFy".utf8)
        var room = [UInt8](repeating: 0, count: 6)
        #expect(text.withUnsafeBytes { text in room.withUnsafeMutableBytes { Base64.decode(text, into: $0) } })
        #expect(room == Array("foobar".utf8))
        var small = [UInt8](repeating: 0, count: 5)
        #expect(!text.withUnsafeBytes { text in small.withUnsafeMutableBytes { Base64.decode(text, into: $0) } })
        #expect(room.withUnsafeBytes { bytes in small.withUnsafeMutableBytes { Base64.encode(bytes, into: $0) } } == 0)
        #expect(small == [0, 0, 0, 0, 0])
    }

    @Test func roundTripsEveryLength() {
        var generator = RandomChoice(seed: 1)
        for length in Array(0...200) + [4_299, 4_300, 4_301] {
            let bytes = generator.bytes(length)
            let text = base64(bytes)
            #expect(text.utf8.count == Base64.encodedCount(of: length))
            #expect(decode(text) == bytes)
        }
        #expect(Base64.encodedCount(of: 4_300) == 5_736)
    }

    @Test(arguments: 0..<4) func acceptsOnlyWhatItWouldWrite(seed: UInt64) {
        var generator = RandomChoice(seed: seed)
        let letters = Array("AQgw+/=Zz09 -\"\\".utf8)
        var accepted = 0
        for _ in 0..<5_000 {
            let text = (0..<generator.below(9)).map { _ in letters[generator.below(letters.count)] }
            guard let bytes = text.withUnsafeBytes({ Base64.decode($0)?.array }) else { continue }
            accepted += 1
            if base64(bytes) != String(decoding: text, as: UTF8.self) { Issue.record("\(text), seed \(seed)") }
        }
        #expect(accepted > 100)
    }
}

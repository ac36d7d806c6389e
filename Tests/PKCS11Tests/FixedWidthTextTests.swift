// SPDX-License-Identifier: Apache-2.0
import PKCS11
import Testing

@Suite("Texts from a token")
struct FixedWidthTextTests {
    private func text(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { fixedWidthText($0) } }

    @Test("Trailing blanks and NULs are cut, inner and leading blanks stay")
    func trimming() {
        #expect(text(Array("token one       ".utf8)) == "token one")
        #expect(text(Array("token".utf8) + [0, 0, 0x20, 0]) == "token")
        #expect(text(Array("  x".utf8)) == "  x")
        #expect(text([UInt8](repeating: 0x20, count: 32)) == "")
        #expect(text([]) == "")
    }

    @Test("A field without padding is taken whole")
    func full() {
        #expect(text(Array("0123456789abcdef".utf8)) == "0123456789abcdef")
    }

    @Test("Bytes that are no UTF-8, and control characters, cannot garble a terminal")
    func hostile() {
        #expect(text([0x41, 0xff, 0x42]) == "A\u{FFFD}B")
        #expect(text(Array("a\u{1b}[2Jb\nc".utf8)) == "a\u{FFFD}[2Jb\u{FFFD}c")
        #expect(text(Array("Schlüssel ".utf8)) == "Schlüssel")
    }

    @Test("Hexadecimal digits")
    func hexadecimalDigits() {
        #expect(hexadecimal([0x00, 0x0f, 0xa5]) == "000fa5")
        #expect(hexadecimal([]) == "")
    }
}

// SPDX-License-Identifier: Apache-2.0
import TLSFacts
import Testing

@Suite struct CertificateSerialTests {
    @Test(
        "one number has one form, however it is written",
        arguments: ["3f:a1:07", "3FA107", "003fa107", "00:3F:a1:7", "00:00:3f:a1:07"])
    func forms(_ text: String) {
        #expect(CertificateSerial(text)?.description == "3f:a1:07")
        #expect(CertificateSerial(text) == CertificateSerial(octets: [0, 0x3F, 0xA1, 0x07]))
    }

    @Test(
        "what is no serial number is refused",
        arguments: ["", ":", "3f:", "3f::a1", "3g", "3fa:107", " 3f", "0x3f", String(repeating: "1", count: 41)])
    func refused(_ text: String) { #expect(CertificateSerial(text) == nil) }

    @Test("20 octets are the most, and zero is a number")
    func bounds() {
        let longest = Array(repeating: UInt8(0xFF), count: 20)
        #expect(CertificateSerial(octets: longest)?.description.count == 59)
        #expect(CertificateSerial(octets: [0] + longest) != nil)
        #expect(CertificateSerial(octets: longest + [0]) == nil)
        #expect(CertificateSerial(octets: [0, 0])?.description == "00")
        #expect(CertificateSerial(octets: []) == nil)
    }

    @Test("they are ordered as numbers")
    func order() throws {
        let numbers = try ["ff", "01:00", "02", "01:00:00"].map { try #require(CertificateSerial($0)) }
        #expect(numbers.sorted().map(\.description) == ["02", "ff", "01:00", "01:00:00"])
    }
}

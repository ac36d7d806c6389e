// SPDX-License-Identifier: Apache-2.0

/// Text of a fixed-width, blank-padded field (PKCS#11 2.40, section 3.2): trailing blanks and NULs cut, bytes that are
/// no UTF-8 repaired, control characters replaced, so that what an HSM calls itself cannot garble a terminal or a log.
package func fixedWidthText(_ field: UnsafeRawBufferPointer) -> String {
    printableText(UnsafeRawBufferPointer(rebasing: field[0..<unpaddedLength(field)]))
}

private func unpaddedLength(_ field: UnsafeRawBufferPointer) -> Int {
    var end = field.count
    while end > 0, field[end - 1] == 0x20 || field[end - 1] == 0 { end -= 1 }
    return end
}

/// Bytes as UTF-8, with control characters replaced by U+FFFD.
package func printableText(_ bytes: UnsafeRawBufferPointer) -> String {
    let text = String(decoding: bytes, as: UTF8.self)
    guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return text }
    var cleaned = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        cleaned.append(scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar)
    }
    return String(cleaned)
}

/// The text of a C array that Swift imported as a tuple.
func fixedWidthText<Field>(of field: Field) -> String {
    withUnsafeBytes(of: field) { fixedWidthText($0) }
}

/// The bytes of a C array that Swift imported as a tuple, trailing blanks and NULs cut: what identifies, unlike the text
/// for people.
func fixedWidthBytes<Field>(of field: Field) -> [UInt8] {
    withUnsafeBytes(of: field) { Array($0[0..<unpaddedLength($0)]) }
}

/// Bytes as lower-case hexadecimal digits.
package func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in bytes {
        if byte < 16 { text += "0" }
        text += String(byte, radix: 16)
    }
    return text
}

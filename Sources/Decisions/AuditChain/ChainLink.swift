// SPDX-License-Identifier: Apache-2.0
import Crypto

/// Where a chain ends: the number and the hash of its last record.
///
/// A record's hash is SHA-256 over the hexadecimal hash of the record before it and the record's own text up to
/// `,"hash"`: so no record can be changed, taken out, put in or moved without all that follow being made anew.
package struct ChainLink: Sendable, Equatable {
    /// 64 zeros: what the first record of a chain follows.
    package static let origin = String(repeating: "0", count: 64)

    /// 0 where there is none yet.
    package private(set) var seq: UInt64
    /// 64 hexadecimal digits.
    package private(set) var hash: String

    package init(seq: UInt64 = 0, hash: String = ChainLink.origin) {
        self.seq = seq
        self.hash = hash
    }

    /// Closes a record as the next of the chain, and appends its line, with its line feed.
    ///
    /// - Parameter sign: makes the signature of a record that is signed, in hexadecimal digits; `nil` where it cannot.
    package mutating func append(
        _ record: RecordText, to lines: inout [UInt8], sign: (([UInt8]) -> String?)? = nil
    ) {
        seq &+= 1
        let start = lines.count
        lines.append(contentsOf: record.bytes)
        lines.append(contentsOf: ",\"seq\":".utf8)
        lines.append(contentsOf: String(seq).utf8)
        if let sign, let signature = sign(Self.signedText(Array(lines[start...]), after: hash)) {
            lines.append(contentsOf: ",\"signature\":\"".utf8)
            lines.append(contentsOf: signature.utf8)
            lines.append(UInt8(ascii: "\""))
        }
        hash = lines.withUnsafeBytes { Self.hash(of: UnsafeRawBufferPointer(rebasing: $0[start...]), after: hash) }
        lines.append(contentsOf: ",\"hash\":\"".utf8)
        lines.append(contentsOf: hash.utf8)
        lines.append(contentsOf: "\"}\n".utf8)
    }

    /// SHA-256 of a text, 64 hexadecimal digits.
    package static func digest(of text: String) -> String {
        var digits: [UInt8] = []
        Hexadecimal.append(SHA256.hash(data: Array(text.utf8)), to: &digits)
        return String(decoding: digits, as: UTF8.self)
    }

    /// What the signature of a record is over.
    ///
    /// - Parameter text: of the record, up to `,"signature"`.
    static func signedText(_ text: [UInt8], after hash: String) -> [UInt8] {
        // The first line keeps it from passing for anything else that is ever signed with the key.
        Array("claviger audit record, 1\n\(hash)\n".utf8) + text
    }

    /// - Parameter text: of the record, up to `,"hash"`.
    static func hash(of text: UnsafeRawBufferPointer, after previous: String) -> String {
        var function = SHA256()
        var previous = previous
        previous.withUTF8 { function.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        function.update(bufferPointer: text)
        return String(unsafeUninitializedCapacity: 64) { digits in
            var index = 0
            for byte in function.finalize() where index < 63 {
                digits[index] = Hexadecimal.digit(byte >> 4)
                digits[index + 1] = Hexadecimal.digit(byte & 15)
                index += 2
            }
            return index
        }
    }
}

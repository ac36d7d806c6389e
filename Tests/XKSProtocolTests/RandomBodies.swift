// SPDX-License-Identifier: Apache-2.0
import Chance
import SecureMemory
import XKSProtocol

/// Writes one and the same value in many of the ways that JSON allows.
struct RandomWriter {
    var generator: RandomChoice

    /// A JSON string for `text`: each character plain or escaped, as JSON allows it.
    mutating func string(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            let mustEscape = scalar.value < 0x20 || scalar == "\"" || scalar == "\\"
            guard mustEscape || generator.below(6) == 0 else {
                result.unicodeScalars.append(scalar)
                continue
            }
            switch scalar {
            case "\"": result += "\\\""
            case "/": result += "\\/"
            default:
                for unit in String(scalar).utf16 { result += escape(unit) }
            }
        }
        return result + "\""
    }

    private mutating func escape(_ unit: UInt16) -> String {
        let digits = String(unit, radix: 16, uppercase: generator.below(2) == 0)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }

    /// An object with these fields in any order, unknown ones among them, and white space anywhere.
    mutating func object(_ fields: [(String, String)]) -> String {
        var all = fields.map { (string($0.0), $0.1) }
        for number in 0..<generator.below(3) { all.append(("\"unknown\(number)\"", unknown())) }
        all.shuffle(using: &generator)
        let inner = all.map { "\(space())\($0.0)\(space()):\(space())\($0.1)\(space())" }.joined(separator: ",")
        return "\(space()){\(inner.isEmpty ? space() : inner)}\(space())"
    }

    private mutating func unknown() -> String {
        let values = [
            "null", "-1.5e3", "[1, {\"a\": []}]", "{\"plaintext\": false}", "\"\\ud83d\\ude00\"", "\"ü\"", "0",
        ]
        return values[generator.below(values.count)]
    }

    private mutating func space() -> String { ["", "", "", " ", "\n\t", "\r"][generator.below(6)] }

    /// Characters of every length in UTF-8, and those that must be escaped; never empty.
    mutating func text() -> String {
        let alphabet: [Unicode.Scalar] = [
            "a", "Z", "/", "\"", "\\", "\n", "\u{1f}", "\u{7f}", "é", "€", "😀", "\u{ffff}", ":",
        ]
        var result = ""
        for _ in 0...generator.below(12) { result.unicodeScalars.append(alphabet[generator.below(alphabet.count)]) }
        return result
    }

    mutating func metadata() -> RequestMetadata {
        RequestMetadata(
            awsPrincipalArn: text(), kmsKeyArn: text(), kmsOperation: text(), kmsRequestId: text(),
            awsSourceVpc: generator.below(2) == 0 ? nil : text(), awsSourceVpce: generator.below(2) == 0 ? nil : text(),
            kmsViaService: generator.below(2) == 0 ? nil : text())
    }

    mutating func json(_ metadata: RequestMetadata) -> String {
        let values: [(String, String?)] = [
            ("awsPrincipalArn", metadata.awsPrincipalArn), ("kmsKeyArn", metadata.kmsKeyArn),
            ("kmsOperation", metadata.kmsOperation), ("kmsRequestId", metadata.kmsRequestId),
            ("awsSourceVpc", metadata.awsSourceVpc), ("awsSourceVpce", metadata.awsSourceVpce),
            ("kmsViaService", metadata.kmsViaService),
        ]
        var fields: [(String, String)] = []
        for (name, value) in values {
            if let value { fields.append((name, string(value))) }
        }
        return object(fields)
    }

    mutating func data(_ bytes: [UInt8]) -> String { string(base64(bytes)) }
}

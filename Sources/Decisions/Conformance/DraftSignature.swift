// SPDX-License-Identifier: Apache-2.0
import Crypto
import SecureMemory
import XKSCalls
import XKSProtocol

/// Signature Version 4 written down once more (XKS 1.0.3, Appendix A), so that each part of it can be wrong on its own, and so
/// that a proxy is not measured by its own code.
struct DraftSignature {
    var accessKeyID: String
    var secret: SecretBytes
    /// As in `x-amz-date`.
    var date: String
    /// Of the credential scope.
    var day: String
    var region: String
    var service: String

    private static let algorithm = "AWS4-HMAC-SHA256"

    /// `yyyymmddThhmmssZ`
    static func text(ofDate unixSeconds: Int64) -> String {
        let day = CivilDay(unixSeconds: unixSeconds)
        let second = day.second
        return padded(Int64(day.number), 8) + "T"
            + padded(second / 3_600 * 10_000 + second / 60 % 60 * 100 + second % 60, 6) + "Z"
    }

    private static func padded(_ number: Int64, _ digits: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(digits - text.count, 0)) + text
    }

    /// In lower-case hexadecimal digits.
    static func hash(_ bytes: [UInt8]) -> String { hexadecimal(SHA256.hash(data: bytes)) }

    static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        bytes.reduce(into: "") { $0 += ($1 < 16 ? "0" : "") + String($1, radix: 16) }
    }

    /// The value of the Authorization header.
    func authorization(method: String, target: String, headers: [HeaderField], payloadHash: String) -> String {
        var values: [String: [String]] = [:]
        for header in headers { values[header.name.lowercased(), default: []].append(Self.collapsed(header.value)) }
        let names = values.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let list = names.joined(separator: ";")
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let canonical =
            "\(method)\n\(Self.encoded(parts.first ?? ""))\n\(parts.dropFirst().first ?? "")\n"
            + names.map { "\($0):\((values[$0] ?? []).joined(separator: ","))\n" }.joined()
            + "\n\(list)\n\(payloadHash)"
        let scope = "\(day)/\(region)/\(service)/aws4_request"
        let text = "\(Self.algorithm)\n\(date)\n\(scope)\n\(Self.hash(Array(canonical.utf8)))"
        let signature = HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)
        return "\(Self.algorithm) Credential=\(accessKeyID)/\(scope), SignedHeaders=\(list), "
            + "Signature=\(Self.hexadecimal(signature))"
    }

    private var key: SymmetricKey {
        let first = SecretBytes("AWS4".utf8)
        secret.withUnsafeBytes { first.append(copying: $0) }
        var key = first.withUnsafeBytes { SymmetricKey(data: $0) }
        for part in [day, region, service, "aws4_request"] {
            key = SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: key))
        }
        return key
    }

    /// Without blanks at its ends, and with single ones within.
    private static func collapsed(_ value: String) -> String {
        value.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
    }

    private static func encoded(_ path: Substring) -> String {
        path.utf8.reduce(into: "") { text, byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x2F, 0x5F, 0x7E:
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "%" + hexadecimal([byte]).uppercased()
            }
        }
    }
}

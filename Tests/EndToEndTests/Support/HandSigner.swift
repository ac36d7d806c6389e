// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation

/// Signature Version 4 written down once more, so that requests can be signed wrongly in just one respect.
struct HandSigner {
    let facts: NodeFacts
    var region = "us-east-1"
    /// The headers that are covered.
    var signedHeaders = ["host", "x-amz-date"]
    /// `yyyymmddThhmmssZ`
    var date: String

    init(_ facts: NodeFacts, now: Date = Date()) {
        self.facts = facts
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "UTC")
        formatter.dateFormat = "yyyyMMdd'T'HHmmss'Z'"
        date = formatter.string(from: now)
    }

    /// The signature of a POST, in hexadecimal.
    func signature(target: String, host: String, body: [UInt8]) -> String {
        let values = ["host": host, "x-amz-date": date]
        let headers = signedHeaders.map { "\($0):\(values[$0] ?? "")\n" }.joined()
        let canonical =
            "POST\n\(target)\n\n\(headers)\n\(signedHeaders.joined(separator: ";"))\n"
            + hexadecimal(SHA256.hash(data: body))
        let text = "AWS4-HMAC-SHA256\n\(date)\n\(scope)\n" + hexadecimal(SHA256.hash(data: Array(canonical.utf8)))
        var key = SymmetricKey(data: Array("AWS4\(facts.secret)".utf8))
        for part in [String(date.prefix(8)), region, "kms-xks-proxy", "aws4_request"] {
            key = SymmetricKey(data: Data(HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: key)))
        }
        return hexadecimal(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key))
    }

    /// The headers of a POST; `signature` replaces the right one.
    func headers(
        target: String, host: String, body: [UInt8], signature wrong: String? = nil
    ) -> [(String, String)] {
        let signature = wrong ?? signature(target: target, host: host, body: body)
        return [
            ("Host", host), ("X-Amz-Date", date),
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=\(facts.access_key_id)/\(scope), "
                    + "SignedHeaders=\(signedHeaders.joined(separator: ";")), Signature=\(signature)"
            ),
        ]
    }

    private var scope: String { "\(date.prefix(8))/\(region)/kms-xks-proxy/aws4_request" }
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

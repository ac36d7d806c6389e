// SPDX-License-Identifier: Apache-2.0
import Foundation
import SecureMemory

/// What whoever asks the control listener has to show: as bearer token (RFC 6750), or, in a browser, as the password of HTTP
/// Basic (RFC 7617) beside any user name.
package struct ControlToken: Sendable, Equatable {
    /// Why a secret can be no token, as the rest of a sentence about it.
    package struct Flaw: Error, Equatable {
        package let message: String
    }

    /// Bytes of one: what is shorter can be found by trying.
    package static let lengths = 16...512
    /// The two ways to show it, as answers with status 401 name them.
    static let challenges = ["Bearer realm=\"claviger\"", "Basic realm=\"claviger\", charset=\"UTF-8\""]

    private let secret: SecretBytes

    package init(_ secret: SecretBytes) throws(Flaw) {
        guard Self.lengths.contains(secret.count) else {
            throw Flaw(
                message:
                    "has \(secret.count) bytes: a token has \(Self.lengths.lowerBound) to \(Self.lengths.upperBound)")
        }
        // RFC 6750 section 2.1: others do not pass through a header field.
        let isPlain = secret.withUnsafeBytes { bytes in
            let body = bytes.prefix { $0 != UInt8(ascii: "=") }
            return !body.isEmpty && body.allSatisfy(Self.isOfToken)
                && bytes.dropFirst(body.count).allSatisfy { $0 == UInt8(ascii: "=") }
        }
        guard isPlain else {
            throw Flaw(message: "has other characters than A-Z a-z 0-9 - . _ ~ + / and, at its end, =")
        }
        self.secret = secret
    }

    private static func isOfToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"), UInt8(ascii: "+"), UInt8(ascii: "/"):
            true
        default: false
        }
    }

    /// Whether a request's Authorization field shows it. Takes a time that depends on lengths alone.
    func isShown(in authorization: String?) -> Bool {
        guard let authorization else { return false }
        let words = authorization.split(separator: " ", maxSplits: 1)
        guard words.count == 2 else { return false }
        let credentials = words[1].drop { $0 == " " }
        switch words[0].lowercased() {
        case "bearer":
            return matches(Array(credentials.utf8)[...])
        case "basic":
            guard var decoded = Data(base64Encoded: String(credentials)).map(Array.init) else { return false }
            defer { decoded.withUnsafeMutableBytes { wipe($0) } }
            guard let colon = decoded.firstIndex(of: UInt8(ascii: ":")) else { return false }
            return matches(decoded[(colon + 1)...])
        default: return false
        }
    }

    private func matches(_ shown: ArraySlice<UInt8>) -> Bool {
        shown.withUnsafeBytes { shown in secret.withUnsafeBytes { constantTimeEquals($0, shown) } }
    }
}

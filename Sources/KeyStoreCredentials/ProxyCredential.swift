// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// One access key of a key store: what KMS signs its requests with (SigV4).
///
/// The forms are those of the XKS Proxy API 1.0.3, "Authentication": the access key id is 20 to 30 of `A-Z 2-7`, the
/// secret 43 to 64 of `A-Z a-z 0-9 + / =`.
package struct ProxyCredential: Sendable {
    package let accessKeyID: String
    package let secret: SecretBytes

    /// `nil` when either part is not of the specification's form.
    package init?(accessKeyID: String, secret: SecretBytes) {
        guard Self.isAccessKeyID(accessKeyID), Self.isSecret(secret) else { return nil }
        self.accessKeyID = accessKeyID
        self.secret = secret
    }

    private init(unchecked accessKeyID: String, secret: SecretBytes) {
        self.accessKeyID = accessKeyID
        self.secret = secret
    }

    /// Makes a credential: 140 random bits of access key id, and a secret of 256 random bits (44 characters).
    package static func generate<Generator: RandomNumberGenerator>(using generator: inout Generator) -> Self {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        let accessKeyID = String((0..<28).map { _ in alphabet[Int.random(in: alphabet.indices, using: &generator)] })
        let secret = SecretBytes(capacity: 44)
        for group in 0..<11 {
            // 32 bytes are ten whole groups of three and one of two, which base64 pads.
            let meaningful = group == 10 ? 2 : 3
            appendBase64(UInt32.random(in: 0..<(1 << 24), using: &generator), bytes: meaningful, to: secret)
        }
        return Self(unchecked: accessKeyID, secret: secret)
    }

    /// Makes a credential from the system's secure generator.
    package static func generate() -> Self {
        var generator = SystemRandomNumberGenerator()
        return generate(using: &generator)
    }

    package static func isAccessKeyID(_ text: String) -> Bool {
        (20...30).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                    || (UInt8(ascii: "2")...UInt8(ascii: "7")).contains(byte)
            }
    }

    package static func isSecret(_ secret: SecretBytes) -> Bool {
        guard (43...64).contains(secret.count) else { return false }
        return secret.withUnsafeBytes { bytes in
            bytes.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="):
                    true
                default: false
                }
            }
        }
    }

    /// Appends the four base64 characters of the upper `bytes` bytes (2 or 3) of a 24-bit group.
    private static func appendBase64(_ group: UInt32, bytes: Int, to target: SecretBytes) {
        // A short group's unused bits are zero in canonical base64 (RFC 4648, 3.5).
        let bits = bytes == 3 ? group : group & 0xFF_FF00
        for place in 0..<4 {
            guard place <= bytes else {
                target.append(UInt8(ascii: "="))
                continue
            }
            target.append(base64Character(UInt8(truncatingIfNeeded: bits >> UInt32(18 - 6 * place)) & 63))
        }
    }

    private static func base64Character(_ value: UInt8) -> UInt8 {
        switch value {
        case 0..<26: UInt8(ascii: "A") + value
        case 26..<52: UInt8(ascii: "a") + (value - 26)
        case 52..<62: UInt8(ascii: "0") + (value - 52)
        case 62: UInt8(ascii: "+")
        default: UInt8(ascii: "/")
        }
    }
}

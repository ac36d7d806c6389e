// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import SigV4
import XKSProtocol

extension Credential {
    /// Makes a credential: 140 random bits of access key id, and a secret of 256 random bits (44 characters of base64).
    package static func generate(using generator: inout some RandomNumberGenerator) -> Credential {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        let accessKeyID = String((0..<28).map { _ in alphabet[Int.random(in: alphabet.indices, using: &generator)] })
        let random = SecretBytes(capacity: 32)
        for _ in 0..<32 { random.append(UInt8.random(in: .min ... .max, using: &generator)) }
        return Credential(unvalidated: accessKeyID, secret: random.withUnsafeBytes { Base64.encode($0) })
    }

    /// Makes a credential from the system's secure generator.
    package static func generate() -> Credential {
        var generator = SystemRandomNumberGenerator()
        return generate(using: &generator)
    }
}

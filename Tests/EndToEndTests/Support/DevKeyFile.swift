// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation

/// The key values of a development node, with which ciphertext can be made that no HSM of it has made.
struct DevKeyFile {
    /// How AAD and metadata are bound (docs/reference/ciphertext.md).
    enum Form {
        case specification
        case digest
    }

    private let keys: [String: SymmetricKey]

    init(_ facts: NodeFacts) throws {
        var keys: [String: SymmetricKey] = [:]
        for line in try text(ofFile: facts.state_directory + "/keys").split(separator: "\n") where line.first != "#" {
            let words = line.split(separator: " ")
            guard words.count == 2 else { throw HarnessError("not a line of the key file") }
            keys[String(words[0])] = SymmetricKey(data: try Self.bytes(ofHexadecimal: words[1]))
        }
        self.keys = keys
    }

    /// The 32 bytes of a key.
    func value(of key: String) throws -> [UInt8] {
        guard let value = keys[key] else { throw HarnessError("no key \(key)") }
        return value.withUnsafeBytes { Array($0) }
    }

    /// Encrypts as a proxy would. `metadata` are Claviger's own by default.
    func seal(
        _ plaintext: [UInt8], key: String, aad: [UInt8]? = nil, metadata: [UInt8]? = [0x43, 0x4C, 0x56, 1],
        form: Form = .specification
    ) throws -> Encrypted {
        guard let value = keys[key] else { throw HarnessError("no key \(key)") }
        let length = aad?.count ?? 0
        var bound = [UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length)]
        switch form {
        case .specification: bound += aad ?? []
        case .digest: if let aad { bound += Array(SHA256.hash(data: aad)) }
        }
        bound += [UInt8(metadata?.count ?? 0)] + (metadata ?? [])
        let sealed = try AES.GCM.seal(plaintext, using: value, authenticating: bound)
        return Encrypted(
            ciphertext: sealed.ciphertext.base64EncodedString(),
            initializationVector: Data(sealed.nonce).base64EncodedString(),
            authenticationTag: sealed.tag.base64EncodedString(), ciphertextMetadata: metadata.map(base64))
    }

    /// Whether a ciphertext of Claviger's own form, without AAD, was made with this key.
    func opens(_ encrypted: Encrypted, key: String) -> Bool {
        guard let value = keys[key], let ciphertext = Data(base64Encoded: encrypted.ciphertext),
            let nonce = Data(base64Encoded: encrypted.initializationVector),
            let tag = Data(base64Encoded: encrypted.authenticationTag),
            let metadata = Data(base64Encoded: encrypted.ciphertextMetadata ?? ""),
            let box = try? AES.GCM.SealedBox(nonce: AES.GCM.Nonce(data: nonce), ciphertext: ciphertext, tag: tag)
        else { return false }
        let bound = [0, 0, UInt8(truncatingIfNeeded: metadata.count)] + Array(metadata)
        return (try? AES.GCM.open(box, using: value, authenticating: bound)) != nil
    }

    private static func bytes(ofHexadecimal text: Substring) throws -> [UInt8] {
        let digits = text.compactMap(\.hexDigitValue)
        guard digits.count == 64 else { throw HarnessError("not a key value of 32 bytes") }
        return stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

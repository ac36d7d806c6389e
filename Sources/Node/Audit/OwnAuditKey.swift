// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain
import Crypto
import Glibc
import PrivateFiles
import SecureMemory

/// The key of a node without a cluster, in its state directory: ECDSA on P-256.
package enum OwnAuditKey {
    package static let fileName = "audit.key"

    /// Reads the key, or makes it where there is none. Throws `PrivateFileError`. Blocks on the disk.
    package static func load(stateDirectory: String) throws -> AuditKey {
        let path = "\(stateDirectory)/\(fileName)"
        let key: P256.Signing.PrivateKey
        if let content = try PrivateFiles.read(path) {
            // The text cannot be overwritten: the library takes no other.
            let text = content.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
            guard let known = try? P256.Signing.PrivateKey(pemRepresentation: text) else {
                throw PrivateFileError(
                    "\(path) holds no private key of an audit log: put it back from a backup, or move it away; a new one is "
                        + "made then, and what the old one has signed needs the old public key.")
            }
            key = known
        } else {
            key = P256.Signing.PrivateKey()
            try PrivateFiles.write(key.pemRepresentation + "\n", to: path)
        }
        return AuditKey(signer: AuditSigner(publicKey: digits(key.publicKey.derRepresentation))) { text in
            (try? key.signature(for: text)).map { digits($0.derRepresentation) }
        }
    }

    /// Whether a signature of that public key is genuine. All in hexadecimal digits.
    package static func isGenuine(_ signature: String, of text: [UInt8], publicKey: String) -> Bool {
        guard let der = bytes(publicKey), let key = try? P256.Signing.PublicKey(derRepresentation: der),
            let raw = bytes(signature), let parsed = try? P256.Signing.ECDSASignature(derRepresentation: raw)
        else { return false }
        return key.isValidSignature(parsed, for: text)
    }

    private static func digits(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index...(index + 1)], as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(byte)
        }
        return bytes
    }
}

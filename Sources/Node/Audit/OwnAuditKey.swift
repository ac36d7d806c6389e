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
    ///
    /// - Parameter onOpened: called where others than its owner could do something with the file, with what became of that. It
    ///   is closed to them where it can be.
    package static func load(
        stateDirectory: String, onOpened: (String) -> Void = { _ in }
    ) throws -> AuditKey {
        let path = "\(stateDirectory)/\(fileName)"
        let key: P256.Signing.PrivateKey
        if let known = try read(path) {
            key = known
            if let mode = openMode(of: path) {
                let text = "\(path) had mode \(String(mode, radix: 8))"
                onOpened(
                    chmod(path, 0o600) == 0
                        ? "\(text), and has 600 now"
                        : "\(text), which cannot be changed: \(String(cString: strerror(errno)))")
            }
        } else {
            key = P256.Signing.PrivateKey()
            try PrivateFiles.write(key.pemRepresentation + "\n", to: path)
        }
        return AuditKey(signer: AuditSigner(publicKey: digits(key.publicKey.derRepresentation))) { text in
            (try? key.signature(for: text)).map { digits($0.derRepresentation) }
        }
    }

    /// What is wrong with the key that a node would sign with; `nil` where nothing is, or it is yet to be made. Changes
    /// nothing.
    package static func flaw(stateDirectory: String) -> DirectoryChain.Flaw? {
        let path = "\(stateDirectory)/\(fileName)"
        do {
            guard try read(path) != nil else { return nil }
        } catch {
            return DirectoryChain.Flaw(
                message: "the audit log would not be signed: \(error)",
                mend: "let the node's user read it, put it back from a backup, or move it away")
        }
        return openMode(of: path).map { mode in
            DirectoryChain.Flaw(
                message: "\(path) is open to others than its owner (mode \(String(mode, radix: 8))), who could sign a "
                    + "rewritten log",
                mend: "chmod 600 \(path); where others may have read it, move it away, and a new one is made")
        }
    }

    /// The key in the file; `nil` where there is no such file.
    private static func read(_ path: String) throws -> P256.Signing.PrivateKey? {
        guard let content = try PrivateFiles.read(path) else { return nil }
        // The text cannot be overwritten: the library takes no other.
        let text = content.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        guard let key = try? P256.Signing.PrivateKey(pemRepresentation: text) else {
            throw PrivateFileError(
                "\(path) holds no private key of an audit log: put it back from a backup, or move it away; a new one is "
                    + "made then, and what the old one has signed needs the old public key.")
        }
        return key
    }

    /// The file's mode where others than its owner may do something with it.
    private static func openMode(of path: String) -> mode_t? {
        var facts = stat()
        guard stat(path, &facts) == 0, facts.st_mode & 0o077 != 0 else { return nil }
        return facts.st_mode & 0o7777
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

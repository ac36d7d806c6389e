// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import SigV4

extension Credential {
    /// What a document of a credential holds: that of `document()`, or the console's file.
    ///
    /// The secret goes from the document's bytes into its own, and into no text that could not be overwritten. Neither
    /// part has characters that JSON would write with escapes.
    /// - Returns: `nil` where the document has not exactly one access key id and one secret, each as a text.
    /// - Throws: where one of them is not of KMS's form.
    package static func read(document: SecretBytes) throws(CredentialError) -> Credential? {
        let parts = document.withUnsafeBytes { bytes -> (id: String, secret: SecretBytes)? in
            guard let id = text(of: "AccessKeyId", in: bytes), let secret = text(of: "RawSecretAccessKey", in: bytes)
            else { return nil }
            return (String(decoding: id, as: UTF8.self), SecretBytes(copying: secret))
        }
        guard let parts else { return nil }
        return try Credential(accessKeyID: parts.id, secret: parts.secret)
    }

    /// The text that a name has in a document of JSON; `nil` where the name is missing, stands twice, or has no plain text.
    private static func text(of name: StaticString, in bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let quoted = [UInt8(ascii: "\"")] + name.withUTF8Buffer { Array($0) } + [UInt8(ascii: "\"")]
        let places = bytes.indices.dropLast(quoted.count - 1).filter {
            bytes[$0..<$0 + quoted.count].elementsEqual(quoted)
        }
        guard let place = places.first, places.count == 1 else { return nil }
        let blanks: [UInt8] = [0x20, 0x09, 0x0A, 0x0D]
        var rest = bytes[(place + quoted.count)...].drop { blanks.contains($0) }
        guard rest.popFirst() == UInt8(ascii: ":") else { return nil }
        rest = rest.drop { blanks.contains($0) }
        guard rest.popFirst() == UInt8(ascii: "\""), let end = rest.firstIndex(of: UInt8(ascii: "\"")) else {
            return nil
        }
        let text = UnsafeRawBufferPointer(rebasing: rest[..<end])
        return text.contains(UInt8(ascii: "\\")) ? nil : text
    }
}

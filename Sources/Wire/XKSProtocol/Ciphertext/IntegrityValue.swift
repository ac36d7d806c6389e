// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// The ciphertextDataIntegrityValue, CDIV (XKS 1.0.3, Appendix C): SHA-256 over
/// `additionalAuthenticatedData ‖ ciphertextMetadata ‖ initializationVector ‖ ciphertext ‖ authenticationTag`.
///
/// Here is the layout; the hashing is the caller's. The order of the steps matters: encrypt, compute the value, make
/// the body, read the fields back from the body (`EncryptedFields(readingBack:)`), decrypt them, send that body.
package enum IntegrityValue {
    /// Length of the value, bytes.
    package static let byteCount = 32

    /// Feeds what is hashed to `update`, piece by piece and in order. An absent part, and an empty one, feeds nothing.
    package static func feed(
        additionalAuthenticatedData: SecretBytes?, ciphertextMetadata: [UInt8]?,
        initializationVector: UnsafeRawBufferPointer, ciphertext: UnsafeRawBufferPointer,
        authenticationTag: UnsafeRawBufferPointer, to update: (UnsafeRawBufferPointer) -> Void
    ) {
        if let additionalAuthenticatedData, !additionalAuthenticatedData.isEmpty {
            additionalAuthenticatedData.withUnsafeBytes(update)
        }
        if let ciphertextMetadata, !ciphertextMetadata.isEmpty { ciphertextMetadata.withUnsafeBytes(update) }
        for part in [initializationVector, ciphertext, authenticationTag] where !part.isEmpty { update(part) }
    }

    /// The same for parts that are held together.
    package static func feed(
        additionalAuthenticatedData: SecretBytes?, fields: EncryptedFields, to update: (UnsafeRawBufferPointer) -> Void
    ) {
        fields.ciphertext.withUnsafeBytes { ciphertext in
            fields.initializationVector.withUnsafeBytes { vector in
                fields.authenticationTag.withUnsafeBytes { tag in
                    feed(
                        additionalAuthenticatedData: additionalAuthenticatedData,
                        ciphertextMetadata: fields.ciphertextMetadata, initializationVector: vector,
                        ciphertext: ciphertext, authenticationTag: tag, to: update)
                }
            }
        }
    }
}

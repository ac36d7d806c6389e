// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// The additional authenticated data as the HSM gets them: those of the request and the ciphertextMetadata together, so
/// that the tag covers both (XKS 1.0.3, "Encrypt", `ciphertextMetadata`).
package enum HSMAdditionalData {
    /// Length of SHA-256, bytes.
    package static let digestBytes = 32

    /// `length of AAD, 2 bytes big-endian ‖ AAD ‖ length of metadata, 1 byte ‖ metadata`; an absent part has length 0.
    /// - Throws: `unsupportedOperation` when the AAD are longer than 65,535 bytes, `validation` when the metadata are
    ///   longer than 20.
    package static func specification(
        aad: SecretBytes?, metadata: [UInt8]?
    ) throws(XKSError) -> SecretBytes {
        let result = try begin(aad: aad, metadata: metadata, bodyBytes: aad?.count ?? 0)
        aad?.withUnsafeBytes { result.append(copying: $0) }
        return finish(result, metadata: metadata)
    }

    /// The form of the AWS reference proxy: `length of AAD, 2 bytes big-endian ‖ SHA-256(AAD) ‖ length of metadata,
    /// 1 byte ‖ metadata`.
    ///
    /// The length is that of the AAD, not that of the digest. AAD that are there but empty contribute SHA-256 of
    /// nothing with length 0; absent ones contribute no digest, with length 0 too.
    /// - Parameter sha256: Returns the 32 bytes of SHA-256 of what it is given.
    /// - Throws: As `specification`; `internalFailure` when `sha256` returns another number of bytes.
    package static func digest(
        aad: SecretBytes?, metadata: [UInt8]?, sha256: (UnsafeRawBufferPointer) -> some Sequence<UInt8>
    ) throws(XKSError) -> SecretBytes {
        let result = try begin(aad: aad, metadata: metadata, bodyBytes: digestBytes)
        if let aad {
            let digest = aad.withUnsafeBytes { Array(sha256($0)) }
            guard digest.count == digestBytes else {
                throw XKSError(.internalFailure, "SHA-256 of the additional authenticated data has a wrong length")
            }
            result.append(contentsOf: digest)
        }
        return finish(result, metadata: metadata)
    }

    /// The form that is asked for.
    /// - Parameter sha256: Returns the 32 bytes of SHA-256 of what it is given; called for the digest form only.
    package static func make(
        _ form: AADForm, aad: SecretBytes?, metadata: [UInt8]?,
        sha256: (UnsafeRawBufferPointer) -> some Sequence<UInt8>
    ) throws(XKSError) -> SecretBytes {
        switch form {
        case .specification: try specification(aad: aad, metadata: metadata)
        case .digest: try digest(aad: aad, metadata: metadata, sha256: sha256)
        }
    }

    /// Checks both lengths and writes the first.
    private static func begin(aad: SecretBytes?, metadata: [UInt8]?, bodyBytes: Int) throws(XKSError) -> SecretBytes {
        guard let length = UInt16(exactly: aad?.count ?? 0) else {
            throw XKSError(.unsupportedOperation, "additionalAuthenticatedData is larger than 65535 bytes")
        }
        let metadataBytes = metadata?.count ?? 0
        guard metadataBytes <= XKSLimits.ciphertextMetadataBytes else {
            throw XKSError(.validation, "ciphertextMetadata must be at most 20 bytes long")
        }
        let result = SecretBytes(capacity: 3 + bodyBytes + metadataBytes)
        result.append(UInt8(truncatingIfNeeded: length >> 8))
        result.append(UInt8(truncatingIfNeeded: length))
        return result
    }

    private static func finish(_ result: SecretBytes, metadata: [UInt8]?) -> SecretBytes {
        result.append(UInt8(truncatingIfNeeded: metadata?.count ?? 0))
        if let metadata { result.append(contentsOf: metadata) }
        return result
    }
}

// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// Decrypt (XKS 1.0.3, "Decrypt"). The encryption algorithm is AES_GCM, the only one of version 1.
///
/// A length that no ciphertext has (of the vector, the tag, the metadata) is a ValidationException: it is wrong
/// whatever the key. Whether the parts belong together is for the HSM to say.
package struct DecryptRequest: XKSRequest {
    package let metadata: RequestMetadata
    /// At least one byte, because the plaintext had that many.
    package let ciphertext: SecretBytes
    /// 12 or 16 bytes.
    package let initializationVector: [UInt8]
    /// 16 bytes.
    package let authenticationTag: [UInt8]
    /// `nil` when the field is absent; at most 20 bytes.
    package let ciphertextMetadata: [UInt8]?
    /// `nil` when the field is absent, empty when it is there and empty: the digest form of the AAD distinguishes them.
    package let additionalAuthenticatedData: SecretBytes?

    package init(body: SecretBytes, limits: XKSLimits) throws(XKSError) {
        self = try reading(body) { (reader: inout JSONReader) throws(XKSError) in
            try Self(from: &reader, limits: limits)
        }
    }

    package init(from reader: inout JSONReader, limits: XKSLimits) throws(XKSError) {
        var metadata: RequestMetadata?
        var ciphertext: SecretBytes?
        var vector: [UInt8]?
        var tag: [UInt8]?
        var ciphertextMetadata: [UInt8]?
        var additionalData: SecretBytes?
        var algorithm: Void?
        try reader.readDocument(Field.self) { (reader: inout JSONReader, field: Field) throws(XKSError) in
            switch field {
            case .requestMetadata:
                metadata = try RequestMetadata(from: &reader, for: .decrypt, limits: limits)
            case .ciphertext:
                ciphertext = try reader.readData(atMost: limits.dataBytes, mayBeEmpty: false)
            case .initializationVector:
                vector = try reader.readInitializationVector()
            case .authenticationTag:
                tag = try reader.readAuthenticationTag()
            case .ciphertextMetadata:
                ciphertextMetadata = try reader.readUnlessNull { (reader: inout JSONReader) throws(XKSError) in
                    try reader.readBytes(atMost: XKSLimits.ciphertextMetadataBytes)
                }
            case .additionalAuthenticatedData:
                additionalData = try reader.readUnlessNull { (reader: inout JSONReader) throws(XKSError) in
                    try reader.readData(atMost: limits.additionalDataBytes, mayBeEmpty: true)
                }
            case .encryptionAlgorithm:
                algorithm = try reader.readConstant("AES_GCM")
            }
        }
        self.metadata = try required(metadata.take(), Field.requestMetadata)
        self.ciphertext = try required(ciphertext.take(), Field.ciphertext)
        initializationVector = try required(vector.take(), Field.initializationVector)
        authenticationTag = try required(tag.take(), Field.authenticationTag)
        _ = try required(algorithm.take(), Field.encryptionAlgorithm)
        self.ciphertextMetadata = ciphertextMetadata
        additionalAuthenticatedData = additionalData
    }

    private enum Field: UInt8, JSONField {
        case requestMetadata, ciphertext, initializationVector, authenticationTag, ciphertextMetadata
        case additionalAuthenticatedData, encryptionAlgorithm

        var name: StaticString {
            switch self {
            case .requestMetadata: "requestMetadata"
            case .ciphertext: "ciphertext"
            case .initializationVector: "initializationVector"
            case .authenticationTag: "authenticationTag"
            case .ciphertextMetadata: "ciphertextMetadata"
            case .additionalAuthenticatedData: "additionalAuthenticatedData"
            case .encryptionAlgorithm: "encryptionAlgorithm"
            }
        }
    }
}

extension JSONReader {
    /// Reads a Base64 string of 12 or 16 bytes.
    mutating func readInitializationVector() throws(XKSError) -> [UInt8] {
        let vector = try readBytes(atMost: 16)
        guard XKSLimits.initializationVectorLengths.contains(vector.count) else {
            throw fault("must be 12 or 16 bytes long")
        }
        return vector
    }

    /// Reads a Base64 string of 16 bytes.
    mutating func readAuthenticationTag() throws(XKSError) -> [UInt8] {
        let tag = try readBytes(atMost: XKSLimits.authenticationTagBytes)
        guard tag.count == XKSLimits.authenticationTagBytes else { throw fault("must be 16 bytes long") }
        return tag
    }
}

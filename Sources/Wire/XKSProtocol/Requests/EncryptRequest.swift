// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// Encrypt (XKS 1.0.3, "Encrypt"). The encryption algorithm is AES_GCM, the only one of version 1.
package struct EncryptRequest: XKSRequest {
    package let metadata: RequestMetadata
    /// At least one byte: KMS sends none that is empty (its own Encrypt call wants one byte or more), and not every HSM
    /// can encrypt nothing.
    package let plaintext: SecretBytes
    /// `nil` when the field is absent, empty when it is there and empty: the digest form of the AAD distinguishes them.
    package let additionalAuthenticatedData: SecretBytes?
    /// Whether the answer must carry a ciphertextDataIntegrityValue. Its algorithm is SHA_256, the only one of version
    /// 1.
    package let wantsIntegrityValue: Bool

    package init(body: SecretBytes, limits: XKSLimits) throws(XKSError) {
        self = try reading(body) { (reader: inout JSONReader) throws(XKSError) in
            try Self(from: &reader, limits: limits)
        }
    }

    package init(from reader: inout JSONReader, limits: XKSLimits) throws(XKSError) {
        var metadata: RequestMetadata?
        var plaintext: SecretBytes?
        var additionalData: SecretBytes?
        var algorithm: Void?
        var wantsIntegrityValue = false
        try reader.readDocument(Field.self) { (reader: inout JSONReader, field: Field) throws(XKSError) in
            switch field {
            case .requestMetadata:
                metadata = try RequestMetadata(from: &reader, for: .encrypt, limits: limits)
            case .plaintext:
                plaintext = try reader.readData(atMost: limits.dataBytes, mayBeEmpty: false)
            case .additionalAuthenticatedData:
                additionalData = try reader.readUnlessNull { (reader: inout JSONReader) throws(XKSError) in
                    try reader.readData(atMost: limits.additionalDataBytes, mayBeEmpty: true)
                }
            case .encryptionAlgorithm:
                algorithm = try reader.readConstant("AES_GCM")
            case .ciphertextDataIntegrityValueAlgorithm:
                wantsIntegrityValue =
                    try reader.readUnlessNull { (reader: inout JSONReader) throws(XKSError) in
                        try reader.readConstant("SHA_256")
                    } != nil
            }
        }
        self.metadata = try required(metadata.take(), Field.requestMetadata)
        self.plaintext = try required(plaintext.take(), Field.plaintext)
        _ = try required(algorithm.take(), Field.encryptionAlgorithm)
        additionalAuthenticatedData = additionalData
        self.wantsIntegrityValue = wantsIntegrityValue
    }

    private enum Field: UInt8, JSONField {
        case requestMetadata, plaintext, additionalAuthenticatedData, encryptionAlgorithm
        case ciphertextDataIntegrityValueAlgorithm

        var name: StaticString {
            switch self {
            case .requestMetadata: "requestMetadata"
            case .plaintext: "plaintext"
            case .additionalAuthenticatedData: "additionalAuthenticatedData"
            case .encryptionAlgorithm: "encryptionAlgorithm"
            case .ciphertextDataIntegrityValueAlgorithm: "ciphertextDataIntegrityValueAlgorithm"
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// A ciphertext that a proxy has made, with what it takes to open it: an entry of a file for `claviger check --against`. The
/// fields are those of a Decrypt (XKS 1.0.3, "Decrypt"), with the key beside them, which stands in the path there; they are
/// read as strictly. Others, such as `requestMetadata`, are checked and skipped.
package struct OldCiphertext: Sendable {
    /// Path prefix of the key store; `nil` where it is left out.
    package let keyStore: String?
    package let externalKeyID: String
    package let ciphertext: SecretBytes
    /// 12 or 16 bytes.
    package let initializationVector: [UInt8]
    /// 16 bytes.
    package let authenticationTag: [UInt8]
    /// `nil` when the field is absent; at most 20 bytes.
    package let ciphertextMetadata: [UInt8]?
    /// `nil` when the field is absent, empty when it is there and empty.
    package let additionalAuthenticatedData: SecretBytes?

    /// - Parameter line: one JSON object.
    /// - Throws: names the field, the problem and the position, and never shows content.
    package init(_ line: SecretBytes, limits: XKSLimits) throws(XKSError) {
        self = try reading(line) { (reader: inout JSONReader) throws(XKSError) in
            try Self(from: &reader, limits: limits)
        }
    }

    private init(from reader: inout JSONReader, limits: XKSLimits) throws(XKSError) {
        var (keyStore, externalKeyID) = (String?.none, String?.none)
        var (ciphertext, additionalData) = (SecretBytes?.none, SecretBytes?.none)
        var (vector, tag, metadata) = ([UInt8]?.none, [UInt8]?.none, [UInt8]?.none)
        try reader.readDocument(Field.self) { (reader: inout JSONReader, field: Field) throws(XKSError) in
            switch field {
            case .keyStore: keyStore = try reader.readText(longest: 1_024)
            case .externalKeyID: externalKeyID = try reader.readText(longest: 1_024)
            case .ciphertext: ciphertext = try reader.readData(atMost: limits.dataBytes, mayBeEmpty: false)
            case .initializationVector: vector = try reader.readInitializationVector()
            case .authenticationTag: tag = try reader.readAuthenticationTag()
            case .ciphertextMetadata:
                metadata = try reader.readUnlessNull { (reader: inout JSONReader) throws(XKSError) in
                    try reader.readBytes(atMost: XKSLimits.ciphertextMetadataBytes)
                }
            case .additionalAuthenticatedData:
                additionalData = try reader.readUnlessNull { (reader: inout JSONReader) throws(XKSError) in
                    try reader.readData(atMost: limits.additionalDataBytes, mayBeEmpty: true)
                }
            case .encryptionAlgorithm: try reader.readConstant("AES_GCM")
            }
        }
        self.keyStore = keyStore
        self.externalKeyID = try required(externalKeyID, Field.externalKeyID)
        self.ciphertext = try required(ciphertext.take(), Field.ciphertext)
        initializationVector = try required(vector, Field.initializationVector)
        authenticationTag = try required(tag, Field.authenticationTag)
        ciphertextMetadata = metadata
        additionalAuthenticatedData = additionalData
    }

    /// The forms of the AAD in which an HSM may open it, that of the key store's setting first: another proxy's says nothing
    /// of its own.
    package func forms(foreign: AADForm) -> [AADForm] {
        switch CiphertextMetadata(ciphertextMetadata) {
        case .claviger: [.specification]
        case .clavigerUnknown: []
        case .foreign, .absent: [foreign] + AADForm.allCases.filter { $0 != foreign }
        }
    }

    private enum Field: UInt8, JSONField {
        case keyStore, externalKeyID, ciphertext, initializationVector, authenticationTag, ciphertextMetadata
        case additionalAuthenticatedData, encryptionAlgorithm

        var name: StaticString {
            switch self {
            case .keyStore: "keyStore"
            case .externalKeyID: "externalKeyId"
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

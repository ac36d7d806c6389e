// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// The fields of an answer to Encrypt (XKS 1.0.3, "Encrypt").
package struct EncryptedFields: Sendable {
    /// As long as the plaintext.
    package var ciphertext: SecretBytes
    /// 12 or 16 bytes.
    package var initializationVector: [UInt8]
    /// 16 bytes.
    package var authenticationTag: [UInt8]
    /// At most 20 bytes.
    package var ciphertextMetadata: [UInt8]?
    /// SHA-256 in the layout of `IntegrityValue`, when the request asked for it.
    package var integrityValue: [UInt8]?

    package init(
        ciphertext: SecretBytes, initializationVector: [UInt8], authenticationTag: [UInt8],
        ciphertextMetadata: [UInt8]?, integrityValue: [UInt8]? = nil
    ) {
        self.ciphertext = ciphertext
        self.initializationVector = initializationVector
        self.authenticationTag = authenticationTag
        self.ciphertextMetadata = ciphertextMetadata
        self.integrityValue = integrityValue
    }

    /// The JSON text.
    /// - Throws: `internalFailure` when a length is none that the API allows: an HSM that makes such a thing must not
    ///   reach KMS.
    package func body() throws(XKSError) -> SecretBytes {
        let outcome = ciphertext.withUnsafeBytes { ciphertext in
            initializationVector.withUnsafeBytes { vector in
                authenticationTag.withUnsafeBytes { tag in
                    Result { () throws(XKSError) in
                        try XKSResponse.encrypt(
                            ciphertext: ciphertext, initializationVector: vector, authenticationTag: tag,
                            ciphertextMetadata: ciphertextMetadata, integrityValue: integrityValue)
                    }
                }
            }
        }
        return try outcome.get()
    }
}

extension XKSResponse {
    /// The answer to Encrypt, from wherever its parts lie.
    /// - Throws: `internalFailure` when a length is none that the API allows.
    package static func encrypt(
        ciphertext: UnsafeRawBufferPointer, initializationVector: UnsafeRawBufferPointer,
        authenticationTag: UnsafeRawBufferPointer, ciphertextMetadata: [UInt8]?, integrityValue: [UInt8]?
    ) throws(XKSError) -> SecretBytes {
        guard !ciphertext.isEmpty, XKSLimits.initializationVectorLengths.contains(initializationVector.count),
            authenticationTag.count == XKSLimits.authenticationTagBytes,
            ciphertextMetadata.map({ $0.count <= XKSLimits.ciphertextMetadataBytes }) ?? true
        else { throw XKSError(.internalFailure, "the key manager's result has a length that the API does not allow") }
        let json = JSONWriter(capacity: Base64.encodedCount(of: ciphertext.count) + 288)
        json.write("{\"ciphertext\":")
        json.write(base64: ciphertext)
        json.write(",\"initializationVector\":")
        json.write(base64: initializationVector)
        json.write(",\"authenticationTag\":")
        json.write(base64: authenticationTag)
        if let ciphertextMetadata {
            json.write(",\"ciphertextMetadata\":")
            ciphertextMetadata.withUnsafeBytes { json.write(base64: $0) }
        }
        if let integrityValue {
            json.write(",\"ciphertextDataIntegrityValue\":")
            integrityValue.withUnsafeBytes { json.write(base64: $0) }
        }
        json.write("}")
        return json.text
    }
}

// MARK: - Reading back

extension EncryptedFields {
    /// Reads the fields from a finished body: from the very bytes to be sent.
    ///
    /// The integrity value promises that what KMS receives can be decrypted. So the decryption that proves it takes its
    /// input from here, and not from what the body was made of (XKS 1.0.3, Appendix C, steps 2 to 4).
    /// - Throws: `internalFailure` when the body is not an answer to Encrypt.
    package init(readingBack body: SecretBytes) throws(XKSError) {
        do throws(XKSError) {
            self = try reading(body) { (reader: inout JSONReader) throws(XKSError) in
                try EncryptedFields(from: &reader)
            }
        } catch {
            throw XKSError(.internalFailure, "the finished answer could not be read back")
        }
    }

    private init(from reader: inout JSONReader) throws(XKSError) {
        var ciphertext: SecretBytes?
        var vector: [UInt8]?
        var tag: [UInt8]?
        var metadata: [UInt8]?
        var integrityValue: [UInt8]?
        try reader.readDocument(Field.self) { (reader: inout JSONReader, field: Field) throws(XKSError) in
            switch field {
            case .ciphertext:
                ciphertext = try reader.readData(atMost: XKSLimits.dataRange.upperBound, mayBeEmpty: false)
            case .initializationVector:
                vector = try reader.readInitializationVector()
            case .authenticationTag:
                tag = try reader.readAuthenticationTag()
            case .ciphertextMetadata:
                metadata = try reader.readBytes(atMost: XKSLimits.ciphertextMetadataBytes)
            case .ciphertextDataIntegrityValue:
                integrityValue = try reader.readBytes(atMost: IntegrityValue.byteCount)
            }
        }
        self.init(
            ciphertext: try required(ciphertext, Field.ciphertext),
            initializationVector: try required(vector, Field.initializationVector),
            authenticationTag: try required(tag, Field.authenticationTag),
            ciphertextMetadata: metadata, integrityValue: integrityValue)
    }

    private enum Field: UInt8, JSONField {
        case ciphertext, initializationVector, authenticationTag, ciphertextMetadata, ciphertextDataIntegrityValue

        var name: StaticString {
            switch self {
            case .ciphertext: "ciphertext"
            case .initializationVector: "initializationVector"
            case .authenticationTag: "authenticationTag"
            case .ciphertextMetadata: "ciphertextMetadata"
            case .ciphertextDataIntegrityValue: "ciphertextDataIntegrityValue"
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How large the binary parts of a request may be. Above: 501 UnsupportedOperationException, on decrypt as on encrypt.
package struct XKSLimits: Sendable, Equatable {
    /// Plaintext and ciphertext, bytes. The specification asks for 4,300 at least (XKS 1.0.3, "Encrypt").
    package static let dataRange = 4_300...65_536
    /// Additional authenticated data, bytes. The specification asks for 8,192 at least, and counts them in two bytes.
    package static let additionalDataRange = 8_192...65_535

    /// Largest ciphertextMetadata, bytes (XKS 1.0.3, "Encrypt").
    package static let ciphertextMetadataBytes = 20
    /// Lengths of an initialization vector, bytes (XKS 1.0.3, "Encrypt").
    package static let initializationVectorLengths = [12, 16]
    /// Length of an authentication tag, bytes (XKS 1.0.3, "Encrypt").
    package static let authenticationTagBytes = 16

    /// Largest plaintext or ciphertext, bytes before Base64.
    package let dataBytes: Int
    /// Largest additional authenticated data, bytes before Base64.
    package let additionalDataBytes: Int
    /// Whether fields of requestMetadata that this version does not know are kept, because a policy asks for one.
    package var keepsUnknownFields = false

    /// 8 KiB of data, 16 KiB of additional authenticated data.
    package static let standard = XKSLimits()

    private init() {
        dataBytes = 8_192
        additionalDataBytes = 16_384
    }

    /// `nil` when a value lies outside `dataRange` or `additionalDataRange`.
    package init?(dataBytes: Int, additionalDataBytes: Int) {
        guard Self.dataRange.contains(dataBytes), Self.additionalDataRange.contains(additionalDataBytes) else {
            return nil
        }
        self.dataBytes = dataBytes
        self.additionalDataBytes = additionalDataBytes
    }

    /// A body of this size, in bytes, holds any request within the limits, with room for the request metadata and for
    /// fields that do not exist yet.
    package var largestBody: Int {
        Base64.encodedCount(of: dataBytes) + Base64.encodedCount(of: additionalDataBytes) + 32_768
    }
}

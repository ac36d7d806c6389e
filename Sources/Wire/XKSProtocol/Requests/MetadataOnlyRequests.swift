// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// GetKeyMetadata (XKS 1.0.3, "GetKeyMetadata"): the key is named by the path.
package struct GetKeyMetadataRequest: XKSRequest, Equatable {
    package let metadata: RequestMetadata

    package init(body: SecretBytes, limits: XKSLimits) throws(XKSError) {
        self = try reading(body) { (reader: inout JSONReader) throws(XKSError) in
            try Self(from: &reader, limits: limits)
        }
    }

    package init(from reader: inout JSONReader, limits: XKSLimits) throws(XKSError) {
        metadata = try RequestMetadata(alone: &reader, for: .metadata, limits: limits)
    }
}

/// GetHealthStatus (XKS 1.0.3, "GetHealthStatus").
package struct HealthRequest: XKSRequest, Equatable {
    /// Only `kmsOperation` and `kmsRequestId` are sure to have a value.
    package let metadata: RequestMetadata

    package init(body: SecretBytes, limits: XKSLimits) throws(XKSError) {
        self = try reading(body) { (reader: inout JSONReader) throws(XKSError) in
            try Self(from: &reader, limits: limits)
        }
    }

    package init(from reader: inout JSONReader, limits: XKSLimits) throws(XKSError) {
        metadata = try RequestMetadata(alone: &reader, for: .health, limits: limits)
    }
}

private enum OnlyField: UInt8, JSONField {
    case requestMetadata

    var name: StaticString { "requestMetadata" }
}

extension RequestMetadata {
    /// Reads a body that has nothing else in it.
    fileprivate init(
        alone reader: inout JSONReader, for operation: XKSOperation, limits: XKSLimits
    ) throws(XKSError) {
        var metadata: RequestMetadata?
        try reader.readDocument(OnlyField.self) { (reader: inout JSONReader, _) throws(XKSError) in
            metadata = try RequestMetadata(from: &reader, for: operation, limits: limits)
        }
        self = try required(metadata.take(), OnlyField.requestMetadata)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What KMS reports about the call behind a request (XKS 1.0.3, "Request Payload Parameters" of each operation).
///
/// The values are for the log and for policies. They are taken as they come: nothing checks their form beyond the
/// length, an unknown `kmsOperation` is as good as a known one, and `kmsRequestId` is opaque.
package struct RequestMetadata: Sendable, Equatable {
    /// Longest ARN, characters (XKS 1.0.3, "API operations").
    package static let longestARN = 2_048
    /// Longest other value, characters. The specification names no limit; real values stay below 100.
    package static let longestValue = 512

    /// Who called KMS: an ARN, a service principal, or "AWS Internal". Never `nil` or empty but for `health`.
    package var awsPrincipalArn: String?
    /// The KMS key. Never `nil` or empty for `encrypt` and `decrypt`.
    package var kmsKeyArn: String?
    /// The KMS call that caused the request. Not empty.
    package var kmsOperation: String
    /// Names the KMS call in AWS CloudTrail. Not empty.
    package var kmsRequestId: String
    package var awsSourceVpc: String?
    package var awsSourceVpce: String?
    /// The AWS service that called on behalf of somebody.
    package var kmsViaService: String?
    /// Fields that this version does not know, where they were asked for.
    package var others: [OtherField] = []

    /// How the `kmsRequestId` of a request begins that a command on the node's own host has made, for people who read the
    /// log. KMS's are UUIDs.
    package static let diagnosticPrefix = "diagnose-"

    /// A field that this version does not know.
    package struct OtherField: Sendable, Equatable {
        package var name: String
        /// Its text, or its texts where it is a list; numbers and booleans as they are written.
        package var values: [String]

        package init(name: String, values: [String]) {
            self.name = name
            self.values = values
        }
    }

    package init(
        awsPrincipalArn: String? = nil, kmsKeyArn: String? = nil, kmsOperation: String, kmsRequestId: String,
        awsSourceVpc: String? = nil, awsSourceVpce: String? = nil, kmsViaService: String? = nil
    ) {
        self.awsPrincipalArn = awsPrincipalArn
        self.kmsKeyArn = kmsKeyArn
        self.kmsOperation = kmsOperation
        self.kmsRequestId = kmsRequestId
        self.awsSourceVpc = awsSourceVpc
        self.awsSourceVpce = awsSourceVpce
        self.kmsViaService = kmsViaService
    }
}

extension RequestMetadata {
    enum Field: UInt8, JSONField {
        case awsPrincipalArn, kmsKeyArn, kmsOperation, kmsRequestId, awsSourceVpc, awsSourceVpce, kmsViaService

        var name: StaticString {
            switch self {
            case .awsPrincipalArn: "awsPrincipalArn"
            case .kmsKeyArn: "kmsKeyArn"
            case .kmsOperation: "kmsOperation"
            case .kmsRequestId: "kmsRequestId"
            case .awsSourceVpc: "awsSourceVpc"
            case .awsSourceVpce: "awsSourceVpce"
            case .kmsViaService: "kmsViaService"
            }
        }

        var label: StaticString {
            switch self {
            case .awsPrincipalArn: "requestMetadata.awsPrincipalArn"
            case .kmsKeyArn: "requestMetadata.kmsKeyArn"
            case .kmsOperation: "requestMetadata.kmsOperation"
            case .kmsRequestId: "requestMetadata.kmsRequestId"
            case .awsSourceVpc: "requestMetadata.awsSourceVpc"
            case .awsSourceVpce: "requestMetadata.awsSourceVpce"
            case .kmsViaService: "requestMetadata.kmsViaService"
            }
        }

        func isRequired(for operation: XKSOperation) -> Bool {
            switch self {
            case .kmsOperation, .kmsRequestId: true
            case .awsPrincipalArn: operation != .health
            case .kmsKeyArn: operation == .encrypt || operation == .decrypt
            case .awsSourceVpc, .awsSourceVpce, .kmsViaService: false
            }
        }
    }

    /// Reads the object. A required value is a string that is not empty. An optional value may also be `null`, which
    /// means that it is absent: the specification asks nobody to judge these values, and a sender that writes `null`
    /// for "none" should not be an outage.
    init(from reader: inout JSONReader, for operation: XKSOperation, limits: XKSLimits) throws(XKSError) {
        var found = RequestMetadata(kmsOperation: "", kmsRequestId: "")
        if limits.keepsUnknownFields { reader.keepUnknownFields() }
        try reader.readObject(Field.self) { (reader: inout JSONReader, field: Field) throws(XKSError) in
            guard let value = try Self.value(of: field, from: &reader, for: operation) else { return }
            switch field {
            case .awsPrincipalArn: found.awsPrincipalArn = value
            case .kmsKeyArn: found.kmsKeyArn = value
            case .kmsOperation: found.kmsOperation = value
            case .kmsRequestId: found.kmsRequestId = value
            case .awsSourceVpc: found.awsSourceVpc = value
            case .awsSourceVpce: found.awsSourceVpce = value
            case .kmsViaService: found.kmsViaService = value
            }
        }
        if limits.keepsUnknownFields { found.others = reader.takeKeptFields() }
        let isMissing: Field? =
            if found.awsPrincipalArn == nil, Field.awsPrincipalArn.isRequired(for: operation) {
                .awsPrincipalArn
            } else if found.kmsKeyArn == nil, Field.kmsKeyArn.isRequired(for: operation) {
                .kmsKeyArn
            } else if found.kmsOperation.isEmpty {
                .kmsOperation
            } else if found.kmsRequestId.isEmpty {
                .kmsRequestId
            } else {
                nil
            }
        if let isMissing { throw XKSError(.validation, "\(isMissing.label) is missing") }
        self = found
    }

    private static func value(
        of field: Field, from reader: inout JSONReader, for operation: XKSOperation
    ) throws(XKSError) -> String? {
        let isARN = field == .awsPrincipalArn || field == .kmsKeyArn
        let isRequired = field.isRequired(for: operation)
        if !isRequired, try reader.takeNull() { return nil }
        let value = try reader.readText(longest: isARN ? longestARN : longestValue)
        guard !isRequired || !value.isEmpty else { throw reader.fault("must not be empty") }
        return value
    }
}

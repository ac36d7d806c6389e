// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import Testing
import XKSProtocol

extension SecretBytes {
    /// The content, for comparing. Tests only: the array is not overwritten.
    var array: [UInt8] { withUnsafeBytes { Array($0) } }
    var text: String { String(decoding: array, as: UTF8.self) }
}

func secret(_ text: String) -> SecretBytes { SecretBytes(Array(text.utf8)) }

/// Reads a body; the outcome is a value, so that a test can look at either side.
func read<Request: XKSRequest>(
    _ type: Request.Type, _ body: String, limits: XKSLimits = .standard
) -> Result<Request, XKSError> {
    read(type, bytes: Array(body.utf8), limits: limits)
}

func read<Request: XKSRequest>(
    _ type: Request.Type, bytes: [UInt8], limits: XKSLimits = .standard
) -> Result<Request, XKSError> {
    Result { () throws(XKSError) in try Request(body: SecretBytes(bytes), limits: limits) }
}

func error<Value>(of result: Result<Value, XKSError>) -> XKSError? {
    guard case .failure(let error) = result else { return nil }
    return error
}

func value<Value>(of result: Result<Value, XKSError>) -> Value? {
    guard case .success(let value) = result else { return nil }
    return value
}

func base64(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { Base64.encode($0).text } }

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()
}

/// Reads hexadecimal digits; white space in between does not count.
func bytes(hex text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// Bodies of the specification, and a builder for variations on them.
enum Sample {
    static let principal = "arn:aws:iam::123456789012:user/Alice"
    static let keyArn = "arn:aws:kms:us-east-2:123456789012:/key/1234abcd-12ab-34cd-56ef-1234567890ab"

    /// Fields of `requestMetadata` as they stand in the specification's Encrypt example.
    static let metadataFields: [(String, String)] = [
        ("awsPrincipalArn", "\"\(principal)\""), ("kmsKeyArn", "\"\(keyArn)\""), ("kmsOperation", "\"Encrypt\""),
        ("kmsRequestId", "\"4112f4d6-db54-4af4-ae30-c55a22a8dfae\""), ("kmsViaService", "\"ebs\""),
    ]

    static let encryptFields: [(String, String)] = [
        ("requestMetadata", object(metadataFields)),
        ("additionalAuthenticatedData", "\"cHJvamVjdD1uaWxlLGRlcGFydG1lbnQ9bWFya2V0aW5n\""),
        ("plaintext", "\"SGVsbG8gV29ybGQh\""), ("encryptionAlgorithm", "\"AES_GCM\""),
        ("ciphertextDataIntegrityValueAlgorithm", "\"SHA_256\""),
    ]

    static let decryptFields: [(String, String)] = [
        ("requestMetadata", object(metadataFields)),
        ("additionalAuthenticatedData", "\"cHJvamVjdD1uaWxlLGRlcGFydG1lbnQ9bWFya2V0aW5n\""),
        ("encryptionAlgorithm", "\"AES_GCM\""), ("ciphertext", "\"ghxkK1txeDNn3q8Y\""),
        ("ciphertextMetadata", "\"a2V5X3ZlcnNpb249MQ==\""), ("initializationVector", "\"HMrlRw85cAJUd5Ax\""),
        ("authenticationTag", "\"vBxN2ncH1oEkR8WVXpmyYQ==\""),
    ]

    static let encrypt = object(encryptFields)
    static let decrypt = object(decryptFields)
    static let metadata = object([("requestMetadata", object(metadataFields))])
    static let health = """
        {"requestMetadata": {"kmsRequestId": "4112f4d6-db54-4af4-ae30-c55a22a8dfae", "kmsOperation": "KmsHealthCheck"}}
        """

    static func object(_ fields: [(String, String)]) -> String {
        "{" + fields.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}"
    }

    /// The fields with one value put in place of another; `nil` takes the field out.
    static func fields(_ fields: [(String, String)], _ name: String, _ value: String?) -> [(String, String)] {
        var changed = fields.filter { $0.0 != name }
        if let value { changed.append((name, value)) }
        return changed
    }

    static func encrypt(_ name: String, _ value: String?) -> String {
        object(fields(encryptFields, name, value))
    }

    static func decrypt(_ name: String, _ value: String?) -> String {
        object(fields(decryptFields, name, value))
    }

    /// The Encrypt example with one field of `requestMetadata` changed.
    static func encrypt(metadata name: String, _ value: String?) -> String {
        encrypt("requestMetadata", object(fields(metadataFields, name, value)))
    }
}

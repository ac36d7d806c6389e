// SPDX-License-Identifier: Apache-2.0
import QuotedText
import SecureMemory
import XKSProtocol

/// One JSON object that is written field by field: fields may stand twice, and values may be anything.
package struct JSONObject: Sendable, Equatable {
    /// The text of a field's value.
    package var fields: [(name: String, value: String)] = []

    package init(_ fields: [(name: String, value: String)] = []) { self.fields = fields }

    package static func == (left: JSONObject, right: JSONObject) -> Bool { left.text == right.text }

    /// Replaces the first field of that name, or appends one; `nil` removes all of the name.
    package subscript(name: String) -> String? {
        get { fields.first { $0.name == name }?.value }
        set {
            guard let newValue else { return fields.removeAll { $0.name == name } }
            if let index = fields.firstIndex(where: { $0.name == name }) {
                fields[index].value = newValue
            } else {
                fields.append((name, newValue))
            }
        }
    }

    package var text: String {
        "{" + fields.map { "\"\($0.name)\":\($0.value)" }.joined(separator: ",") + "}"
    }

    /// `text` as a JSON string.
    package static func string(_ text: String) -> String { text.quoted }

    /// `bytes` in base64 as a JSON string.
    package static func base64(_ bytes: [UInt8]) -> String {
        let text = bytes.withUnsafeBytes { Base64.encode($0) }
        return text.withUnsafeBytes { "\"" + String(decoding: $0, as: UTF8.self) + "\"" }
    }
}

/// What KMS tells of its own request, `requestMetadata` (XKS 1.0.3, the operations' "Request Payload Parameters").
package struct CallMetadata: Sendable, Equatable {
    package var principal: String
    package var keyARN: String?
    package var operation: String
    package var requestID: String

    package init(principal: String, keyARN: String?, operation: String, requestID: String) {
        self.principal = principal
        self.keyARN = keyARN
        self.operation = operation
        self.requestID = requestID
    }

    package var object: JSONObject {
        var object = JSONObject([("awsPrincipalArn", JSONObject.string(principal))])
        object["kmsKeyArn"] = keyARN.map(JSONObject.string)
        object["kmsOperation"] = JSONObject.string(operation)
        object["kmsRequestId"] = JSONObject.string(requestID)
        return object
    }

    /// For GetHealthStatus, which nobody's principal has asked for.
    package var ofHealth: JSONObject {
        JSONObject([
            ("kmsOperation", JSONObject.string(operation)), ("kmsRequestId", JSONObject.string(requestID)),
        ])
    }
}

/// What an encryption gives, and a decryption is given.
package struct SealedFields: Sendable, Equatable {
    package var ciphertext: [UInt8]
    package var initializationVector: [UInt8]
    package var authenticationTag: [UInt8]
    package var ciphertextMetadata: [UInt8]?
    package var integrityValue: [UInt8]?

    package init(
        ciphertext: [UInt8], initializationVector: [UInt8], authenticationTag: [UInt8],
        ciphertextMetadata: [UInt8]? = nil, integrityValue: [UInt8]? = nil
    ) {
        self.ciphertext = ciphertext
        self.initializationVector = initializationVector
        self.authenticationTag = authenticationTag
        self.ciphertextMetadata = ciphertextMetadata
        self.integrityValue = integrityValue
    }

    /// Of the answer to an encryption; `nil` where a field is missing or is no base64.
    package init?(_ answer: JSONValue) {
        guard let ciphertext = answer["ciphertext"]?.bytes, let vector = answer["initializationVector"]?.bytes,
            let tag = answer["authenticationTag"]?.bytes
        else { return nil }
        self.init(
            ciphertext: ciphertext, initializationVector: vector, authenticationTag: tag,
            ciphertextMetadata: answer["ciphertextMetadata"]?.bytes,
            integrityValue: answer["ciphertextDataIntegrityValue"]?.bytes)
    }
}

/// The bodies of the four requests, as KMS writes them.
package enum CallBody {
    package static func health(_ metadata: CallMetadata) -> JSONObject {
        JSONObject([("requestMetadata", metadata.ofHealth.text)])
    }

    package static func metadata(_ metadata: CallMetadata) -> JSONObject {
        JSONObject([("requestMetadata", metadata.object.text)])
    }

    /// - Parameter integrity: asks for a ciphertextDataIntegrityValue, as KMS does for data keys.
    package static func encrypt(
        _ metadata: CallMetadata, plaintext: [UInt8], additionalData: [UInt8]? = nil, integrity: Bool = false
    ) -> JSONObject {
        var body = Self.metadata(metadata)
        body["additionalAuthenticatedData"] = additionalData.map(JSONObject.base64)
        body["plaintext"] = JSONObject.base64(plaintext)
        body["encryptionAlgorithm"] = "\"AES_GCM\""
        if integrity { body["ciphertextDataIntegrityValueAlgorithm"] = "\"SHA_256\"" }
        return body
    }

    package static func decrypt(
        _ metadata: CallMetadata, _ sealed: SealedFields, additionalData: [UInt8]? = nil
    ) -> JSONObject {
        var body = Self.metadata(metadata)
        body["additionalAuthenticatedData"] = additionalData.map(JSONObject.base64)
        body["encryptionAlgorithm"] = "\"AES_GCM\""
        body["ciphertext"] = JSONObject.base64(sealed.ciphertext)
        body["ciphertextMetadata"] = sealed.ciphertextMetadata.map(JSONObject.base64)
        body["initializationVector"] = JSONObject.base64(sealed.initializationVector)
        body["authenticationTag"] = JSONObject.base64(sealed.authenticationTag)
        return body
    }
}

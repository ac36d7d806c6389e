// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import StatusVocabulary

/// The JSON texts of the answers, written straight into the bytes that are sent.
package enum XKSResponse {
    /// An error: name and message (XKS 1.0.3, "Error codes").
    package static func failure(_ error: XKSError) -> SecretBytes {
        let json = JSONWriter(capacity: 64 + error.message.utf8.count)
        json.write("{\"errorName\":\"")
        json.text.append(contentsOf: error.name.rawValue.utf8)
        json.write("\",\"errorMessage\":")
        json.write(quoted: error.message)
        json.write("}")
        return json.text
    }

    /// The answer to Decrypt.
    package static func decrypt(plaintext: UnsafeRawBufferPointer) -> SecretBytes {
        let json = JSONWriter(capacity: 16 + Base64.encodedCount(of: plaintext.count))
        json.write("{\"plaintext\":")
        json.write(base64: plaintext)
        json.write("}")
        return json.text
    }

    /// The answer to GetKeyMetadata. The key is an AES key of 256 bits: no other is served.
    package static func keyMetadata(usage: KeyUsage, status: XKSKeyStatus) -> SecretBytes {
        let json = JSONWriter(capacity: 160)
        json.write("{\"keySpec\":\"AES_256\",\"keyUsage\":[")
        for (index, word) in usage.words.enumerated() {
            json.write(index == 0 ? "\"" : ",\"")
            json.text.append(contentsOf: word.uppercased().utf8)
            json.write("\"")
        }
        json.write("],\"keyStatus\":\"")
        json.text.append(contentsOf: status.rawValue.utf8)
        json.write("\"}")
        return json.text
    }
}

extension ProxyResponse {
    /// Status 200.
    package static func success(_ body: SecretBytes) -> ProxyResponse {
        ProxyResponse(status: 200, body: body)
    }

    /// The error as the API words it.
    package static func failure(_ error: XKSError) -> ProxyResponse {
        ProxyResponse(status: error.status, body: XKSResponse.failure(error))
    }
}

/// State of an external key (XKS 1.0.3, "GetKeyMetadata").
package enum XKSKeyStatus: String, Sendable, CaseIterable {
    case enabled = "ENABLED"
    case disabled = "DISABLED"
}

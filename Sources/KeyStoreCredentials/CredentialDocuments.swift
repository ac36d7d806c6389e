// SPDX-License-Identifier: Apache-2.0
import SecureMemory

extension ProxyCredential {
    /// The credential alone as JSON, one line with a newline at its end:
    /// `{"AccessKeyId": …, "RawSecretAccessKey": …}`.
    package func document() -> SecretBytes {
        let text = SecretBytes(capacity: 160)
        appendObject(to: text)
        text.append(UInt8(ascii: "\n"))
        return text
    }

    /// The file that the KMS console takes when an external key store is created: where the proxy is, and what KMS
    /// signs with. XKS Proxy API 1.0.3, "Proxy configuration file".
    ///
    /// - Parameter pathPrefix: the key store's prefix as in the configuration, `""` or `"/a/b"`.
    /// - Returns: `nil` when the prefix is not of the specification's form.
    package func consoleFile(pathPrefix: String) -> SecretBytes? {
        guard let path = KeyStorePath.uriPath(prefix: pathPrefix) else { return nil }
        let text = SecretBytes(capacity: 384)
        text.append(contentsOf: "{\n  \"XksProxyUriPath\": \"\(path)\",\n  \"XksProxyAuthenticationCredential\": ".utf8)
        appendObject(to: text)
        text.append(contentsOf: "\n}\n".utf8)
        return text
    }

    // Neither part needs escaping in JSON: their alphabets were checked when the credential was made.
    private func appendObject(to text: SecretBytes) {
        text.append(contentsOf: "{\"AccessKeyId\": \"\(accessKeyID)\", \"RawSecretAccessKey\": \"".utf8)
        secret.withUnsafeBytes { text.append(copying: $0) }
        text.append(contentsOf: "\"}".utf8)
    }
}

/// The path under which a key store answers.
package enum KeyStorePath {
    /// `prefix` followed by `/kms/xks/v1`; `nil` when the whole is longer than 128 characters, or has others than
    /// `a-z A-Z 0-9 / - _`, or an empty segment (XKS Proxy API 1.0.3, "URI path").
    package static func uriPath(prefix: String) -> String? {
        let path = prefix + "/kms/xks/v1"
        guard path.utf8.count <= 128, path.utf8.first == UInt8(ascii: "/"), path.utf8.allSatisfy(isAllowed) else {
            return nil
        }
        return path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().contains("") ? nil : path
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import SigV4
import XKSProtocol

extension Credential {
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
        guard XKSPath.isValidPrefix(pathPrefix) else { return nil }
        let path = "\(pathPrefix)\(XKSPath.apiSuffix)"
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

// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import SigV4
import XKSProtocol

/// Makes requests that are signed as KMS signs them.
package struct CallSigner: Sendable {
    package let endpoint: XKSEndpoint
    /// Of the access key; never the secret.
    package let accessKeyID: String
    private let signer: SigV4Signer

    /// - Parameter region: the one that KMS would call from, in the credential scope.
    package init(endpoint: XKSEndpoint, credential: Credential, region: String) {
        self.endpoint = endpoint
        accessKeyID = credential.accessKeyID
        signer = SigV4Signer(credential: credential, region: region)
    }

    /// The headers of a POST: `host`, `x-amz-date` and `Authorization`, and `content-type`, which is not signed.
    ///
    /// - Parameters:
    ///   - target: path of the request.
    ///   - now: Unix seconds.
    package func headers(target: String, body: [UInt8], now: Int64) throws(SigningError) -> [HeaderField] {
        try signer.sign(
            method: "POST", target: target, headers: [HeaderField(name: "host", value: endpoint.authority)],
            body: SecretBytes(body), now: now)
            + [HeaderField(name: "content-type", value: "application/json")]
    }

    /// A whole signed request as it goes over a connection of HTTP/1.1.
    ///
    /// - Parameters:
    ///   - key: the external key id; of no meaning for `health`.
    ///   - now: Unix seconds.
    package func request(
        _ operation: XKSOperation, key: String, body: JSONObject, now: Int64
    ) throws(SigningError) -> [UInt8] {
        let target = endpoint.target(operation, key: key)
        let bytes = Array(body.text.utf8)
        let head = RequestHead(target: target, headers: try headers(target: target, body: bytes, now: now))
        return head.bytes(bodyLength: bytes.count) + bytes
    }
}

/// The request line and the headers of HTTP/1.1.
package struct RequestHead: Sendable, Equatable {
    package var method: String
    package var target: String
    package var version = "HTTP/1.1"
    package var headers: [HeaderField]

    package init(method: String = "POST", target: String, headers: [HeaderField]) {
        self.method = method
        self.target = target
        self.headers = headers
    }

    /// - Parameter bodyLength: for Content-Length; `nil` for none.
    package func bytes(bodyLength: Int?) -> [UInt8] {
        var text = "\(method) \(target) \(version)\r\n"
        for header in headers { text += "\(header.name): \(header.value)\r\n" }
        if let bodyLength { text += "content-length: \(bodyLength)\r\n" }
        return Array((text + "\r\n").utf8)
    }
}

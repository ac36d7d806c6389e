// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import XKSProtocol

/// A KMS request on its way to a peer: the length of the head (4 bytes, big-endian), the head (JSON), then the body as
/// it came. Method, target, header fields and body are untouched: the peer verifies the signature over them itself.
enum ForwardWire {
    /// The head as JSON. Twice what the XKS listener takes of header fields, for what JSON escapes.
    static let mostHeadBytes = 128 << 10

    private struct Head: Codable {
        var method: String
        var target: String
        /// Name and value by turns.
        var headers: [String]
        /// Who sent it to the first node, for the log.
        var peer: String
        /// True where the first node has more than its HSMs can do; absent otherwise, and in messages of versions that
        /// do not pass such requests on.
        var surplus: Bool?
        /// Of the first node's span, where it traces the request (W3C Trace Context); absent otherwise, and in messages of
        /// versions that trace nothing.
        var traceparent: String?
        /// True where a command on the first node's host makes the request; absent otherwise, and in messages of versions
        /// that do not say it.
        var diagnostic: Bool?
    }

    /// `nil` when the head is too long.
    static func encode(_ request: ProxyRequest, isSurplus: Bool) -> SecretBytes? {
        let head = Head(
            method: request.method, target: request.target,
            headers: request.headers.flatMap { [$0.name, $0.value] }, peer: request.peer,
            surplus: isSurplus ? true : nil, traceparent: request.traceContext?.traceparent,
            diagnostic: request.isDiagnostic ? true : nil)
        guard let json = try? ClusterJSON.encode(head), json.count <= mostHeadBytes else { return nil }
        let bytes = SecretBytes(capacity: 4 + json.count + request.body.count)
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: json.count >> shift)) }
        json.withUnsafeBytes { bytes.append(copying: $0) }
        request.body.withUnsafeBytes { bytes.append(copying: $0) }
        return bytes
    }

    /// `nil` when it is not of the form.
    static func decode(_ bytes: SecretBytes, receivedAt: UInt64) -> ForwardedRequest? {
        bytes.withUnsafeBytes { bytes in
            guard bytes.count >= 4 else { return nil }
            let length = bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            guard length <= mostHeadBytes, length <= bytes.count - 4 else { return nil }
            let json = SecretBytes(copying: UnsafeRawBufferPointer(rebasing: bytes[4..<4 + length]))
            guard let head = try? ClusterJSON.decode(Head.self, json), head.headers.count.isMultiple(of: 2) else {
                return nil
            }
            let fields = stride(from: 0, to: head.headers.count, by: 2).map {
                HeaderField(name: head.headers[$0], value: head.headers[$0 + 1])
            }
            var request = ProxyRequest(
                method: head.method, target: head.target, headers: fields,
                body: SecretBytes(copying: UnsafeRawBufferPointer(rebasing: bytes[(4 + length)...])),
                receivedAt: receivedAt, peer: head.peer)
            request.traceContext = head.traceparent.flatMap { TraceContext(traceparent: $0) }
            request.isDiagnostic = head.diagnostic ?? false
            return ForwardedRequest(request: request, isSurplus: head.surplus ?? false)
        }
    }
}

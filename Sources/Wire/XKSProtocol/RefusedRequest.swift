// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// What a request said of itself that was refused before it was believed, or read. For whoever looks for the line of a
/// refusal that CloudTrail names, or asks what on the way has changed a request.
///
/// Nothing of it is proven where nobody was authenticated. All of it is bounded; the log escapes what a terminal obeys.
package struct RefusedRequest: Sendable, Equatable {
    /// Longest path and host that are kept, bytes; a longer one is cut.
    package static let longestPath = 256, longestHost = 255
    /// Longest request id that is kept, bytes; a longer one is no id of KMS and is left out.
    package static let longestRequestID = 128
    /// Of the body so much is searched for the id, bytes: KMS writes the metadata first.
    static let searchedBody = 16_384
    /// Of a body that is not read to its end so much is kept for it, bytes.
    package static let keptBody = 4_096

    /// The path as it came in, with its query.
    package var path: String
    /// `host` (HTTP/2's `:authority`) as it came in, which the signature covers; `nil` where there was none, or several.
    package var host: String?
    /// What the body says of the KMS call's id, which CloudTrail has as `requestID`.
    package var requestID: String?
    /// The access key id that the Authorization header names, where it has the form of one.
    package var accessKeyID: String?
    /// Why the signature was refused, by a short name that does not change (`docs/reference/authentication.md`).
    package var authentication: String?
    /// Of the key stores' paths the one that is most like the path that came in, where there is none under that.
    package var nearestPath: String?

    package init(_ request: ProxyRequest) {
        path = String(decoding: request.target.utf8.prefix(Self.longestPath), as: UTF8.self)
        let hosts = request.headers.lazy.filter { $0.name.utf8.count == 4 && $0.name.lowercased() == "host" }
        if let first = hosts.first, hosts.dropFirst().isEmpty {
            host = String(decoding: first.value.utf8.prefix(Self.longestHost), as: UTF8.self)
        }
        requestID = Self.requestID(in: request.body)
    }

    /// What a body says of the request's id, or the part of one that was read.
    package static func requestID(in body: SecretBytes) -> String? {
        body.withUnsafeBytes { requestID(in: $0) }
    }

    /// The first value of a member `kmsRequestId`, however broken the JSON around it: 1 to 128 printable characters
    /// without a quote or backslash.
    private static func requestID(in body: UnsafeRawBufferPointer) -> String? {
        let body = UnsafeRawBufferPointer(rebasing: body.prefix(searchedBody))
        let name: StaticString = "\"kmsRequestId\""
        let length = name.utf8CodeUnitCount
        guard body.count > length else { return nil }
        let wanted = UnsafeRawBufferPointer(start: name.utf8Start, count: length)
        var start = 0
        while start + length < body.count {
            guard body[start] == UInt8(ascii: "\""),
                UnsafeRawBufferPointer(rebasing: body[start..<start + length]).elementsEqual(wanted)
            else {
                start += 1
                continue
            }
            return text(in: body, at: start + length)
        }
        return nil
    }

    /// The string after a colon.
    private static func text(in body: UnsafeRawBufferPointer, at start: Int) -> String? {
        let blanks: [UInt8] = [0x20, 0x09, 0x0a, 0x0d]
        var rest = body[start...].drop { blanks.contains($0) }
        guard rest.popFirst() == UInt8(ascii: ":") else { return nil }
        rest = rest.drop { blanks.contains($0) }
        guard rest.popFirst() == UInt8(ascii: "\"") else { return nil }
        let value = rest.prefix(longestRequestID + 1).prefix { $0 != UInt8(ascii: "\"") }
        let isPlain = value.allSatisfy { (0x20...0x7e).contains($0) && $0 != UInt8(ascii: "\\") }
        guard isPlain, (1...longestRequestID).contains(value.count), rest.count > value.count else { return nil }
        return String(decoding: value, as: UTF8.self)
    }
}

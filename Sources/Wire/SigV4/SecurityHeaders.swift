// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

/// The values of the headers that carry a signature, each known to occur exactly once.
struct SecurityHeaders {
    /// The Authorization header as it came in.
    var authorization: String
    /// The `x-amz-date` header as it came in.
    var date: String
    /// Whether there is an `x-amz-content-sha256` header.
    var hasPayloadHash = false

    init(_ headers: [HeaderField]) throws(AuthenticationFailure) {
        var authorization: String?
        var date: String?
        for header in headers {
            switch header.name.utf8.count {
            case 13 where ASCII.isHeader(header.name, "authorization"):
                guard authorization == nil else { throw .repeatedAuthorization }
                authorization = header.value
            case 10 where ASCII.isHeader(header.name, "x-amz-date"):
                guard date == nil else { throw .repeatedDate }
                date = header.value
            case 20 where ASCII.isHeader(header.name, Self.payloadHashName):
                hasPayloadHash = true
            default:
                continue
            }
        }
        guard let authorization else { throw .missingAuthorization }
        guard let date else { throw .missingDate }
        self.authorization = authorization
        self.date = date
    }

    static let payloadHashName: StaticString = "x-amz-content-sha256"

    /// Checks every `x-amz-content-sha256` header against the body's hash in lower-case hexadecimal digits.
    static func checkPayloadHash(_ headers: [HeaderField], bodyHash: [UInt8]) throws(AuthenticationFailure) {
        for header in headers where ASCII.isHeader(header.name, payloadHashName) {
            let value = header.value.utf8Span.span
            let trimmed = ASCII.trimmedRange(value)
            if saysUnsigned(value, trimmed) { throw .unsignedPayload }
            guard ASCII.equal(value, trimmed, bodyHash.span, 0..<bodyHash.count) else { throw .payloadHashMismatch }
        }
    }

    private static func saysUnsigned(_ value: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard range.count >= 9 else { return false }
        if ASCII.equal(value, range.lowerBound..<range.lowerBound + 9, "UNSIGNED-") { return true }
        return range.count >= 10 && ASCII.equal(value, range.lowerBound..<range.lowerBound + 10, "STREAMING-")
    }
}

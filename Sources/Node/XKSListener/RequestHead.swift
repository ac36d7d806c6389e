// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

/// The start of a request, from either version of HTTP.
package struct RequestHead: Sendable {
    package enum Version: Sendable { case http10, http11, http2 }

    package var version: Version
    package var method: String
    package var target: String
    package var headers: [HeaderField]

    package init(version: Version, method: String, target: String, headers: [HeaderField]) {
        self.version = version
        self.method = method
        self.target = target
        self.headers = headers
    }
}

/// What the header of a request says about its body and about the connection.
struct HeadFacts {
    /// Length of the body as declared; nil when it comes in chunks or in frames.
    var contentLength: Int?
    var isChunked = false
    /// The client waits for `100 Continue` before it sends the body.
    var expectsContinue = false
    /// The client asked to go on with another protocol; it may send that on the same connection.
    var asksForUpgrade = false

    private var hosts = 0
    private var lengths = 0
    private var encodings = 0

    /// Of a head that has not been looked at.
    init() {}

    /// Reads the fields that matter, and refuses what two readers could understand in two ways.
    ///
    /// The HTTP/1.1 parser refuses most of this already; here it holds for both versions and whatever the parser does.
    init(_ head: RequestHead, limits: AssemblerLimits) throws(Refusal) {
        guard head.headers.count <= limits.headerCount else { throw .headerTooLarge }
        guard head.target.utf8.first == UInt8(ascii: "/") else { throw .targetNotAPath }
        for field in head.headers { try read(field, version: head.version) }
        try checkCounts(head.version)
        if let contentLength, contentLength > limits.bodyBytes { throw .bodyTooLarge }
    }

    private mutating func read(_ field: HeaderField, version: RequestHead.Version) throws(Refusal) {
        // The length of the name rules out nearly every field, without looking at a letter.
        switch field.name.utf8.count {
        case 4 where equalsIgnoringCase(field.name, "host"):
            hosts += 1
            if field.value.isEmpty { throw .hostMissingOrRepeated }
        case 6 where equalsIgnoringCase(field.name, "expect"):
            // HTTP/1.0 has no interim answers (RFC 9110 section 10.1.1).
            guard version != .http10 else { return }
            guard equalsIgnoringCase(field.value, "100-continue") else { throw .unknownExpectation }
            expectsContinue = true
        case 7 where equalsIgnoringCase(field.name, "upgrade"):
            asksForUpgrade = true
        case 14 where equalsIgnoringCase(field.name, "content-length"):
            lengths += 1
            guard let length = decimal(field.value) else { throw .ambiguousLength }
            contentLength = length
        case 17 where equalsIgnoringCase(field.name, "transfer-encoding"):
            encodings += 1
            guard equalsIgnoringCase(field.value, "chunked") else { throw .ambiguousLength }
            isChunked = true
        default:
            return
        }
    }

    private func checkCounts(_ version: RequestHead.Version) throws(Refusal) {
        guard lengths + encodings <= 1 else { throw .ambiguousLength }
        // RFC 9112 section 6.1: Transfer-Encoding in HTTP/1.0 is faulty framing; in HTTP/2 it is forbidden.
        if isChunked && version != .http11 { throw .ambiguousLength }
        switch version {
        case .http10: guard hosts <= 1 else { throw .hostMissingOrRepeated }
        case .http11, .http2: guard hosts == 1 else { throw .hostMissingOrRepeated }
        }
    }
}

/// Compares ASCII; `lowercase` must be in lower case.
func equalsIgnoringCase(_ text: String, _ lowercase: StaticString) -> Bool {
    let wanted = UnsafeBufferPointer(start: lowercase.utf8Start, count: lowercase.utf8CodeUnitCount)
    let letters = text.utf8Span.span
    guard letters.count == wanted.count else { return false }
    for index in 0..<letters.count {
        let letter = letters[index]
        let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(letter)
        guard (isUpper ? letter | 0x20 : letter) == wanted[index] else { return false }
    }
    return true
}

/// Digits only, as RFC 9110 section 8.6 has it: no sign, no blank, no list. At most 15 of them.
private func decimal(_ text: String) -> Int? {
    guard (1...15).contains(text.utf8.count) else { return nil }
    var value = 0
    for digit in text.utf8 {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
        value = value &* 10 &+ Int(digit &- UInt8(ascii: "0"))
    }
    return value
}

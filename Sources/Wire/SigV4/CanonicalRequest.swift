// SPDX-License-Identifier: Apache-2.0
import Crypto
import XKSProtocol

/// The canonical request of SigV4: the bytes whose hash is signed.
///
/// Method, path, query, signed headers, their names and the hash of the body, each on lines of its own. No part can
/// hold a line break, so no two different requests share one form.
enum CanonicalRequest {
    /// Whether `method` is a token of sensible length.
    static func isAcceptable(method: Span<UInt8>) -> Bool {
        guard method.count >= 1, method.count <= 32 else { return false }
        for index in 0..<method.count where !ASCII.isToken(method[index]) { return false }
        return true
    }

    /// Writes the canonical request.
    ///
    /// - Parameters:
    ///   - list: bytes that hold the SignedHeaders list at `listRange` and its names at `names`.
    ///   - bodyHash: the SHA-256 of the body.
    /// - Throws: `malformedRequestLine`, or `signedHeaderMissing` for a name that no header has.
    static func bytes(
        method: String, target: String, headers: [HeaderField], list: Span<UInt8>, listRange: Range<Int>,
        names: [Range<Int>], bodyHash: SHA256.Digest
    ) throws(AuthenticationFailure) -> [UInt8] {
        let methodBytes = method.utf8Span.span
        let targetBytes = target.utf8Span.span
        guard isAcceptable(method: methodBytes), CanonicalTarget.isAcceptable(targetBytes) else {
            throw .malformedRequestLine
        }
        var output: [UInt8] = []
        output.reserveCapacity(512 + targetBytes.count)
        output.append(methodBytes, 0..<methodBytes.count)
        output.append(0x0A)
        CanonicalTarget.append(targetBytes, to: &output)
        for name in names {
            output.append(list, name)
            output.append(0x3A)
            guard appendValues(of: list, name, in: headers, to: &output) else {
                throw .signedHeaderMissing(ASCII.string(list, name))
            }
            output.append(0x0A)
        }
        output.append(0x0A)
        output.append(list, listRange)
        output.append(0x0A)
        bodyHash.withUnsafeBytes { output.appendLowerHex($0) }
        return output
    }

    /// Appends all values of one header in order, joined by commas; false when there is none.
    private static func appendValues(
        of list: Span<UInt8>, _ name: Range<Int>, in headers: [HeaderField], to output: inout [UInt8]
    ) -> Bool {
        // The listener hands HTTP/2's `:authority` on as `host`; a signer may have used either name (XKS 1.0.3,
        // appendix A).
        if list[name.lowerBound] == 0x3A { return appendHost(headers, to: &output) }
        var found = false
        for header in headers where ASCII.isHeader(header.name, list, name) {
            if found { output.append(0x2C) }
            appendCollapsed(header.value.utf8Span.span, to: &output)
            found = true
        }
        return found
    }

    private static func appendHost(_ headers: [HeaderField], to output: inout [UInt8]) -> Bool {
        var found = false
        for header in headers where ASCII.isHeader(header.name, "host") {
            if found { output.append(0x2C) }
            appendCollapsed(header.value.utf8Span.span, to: &output)
            found = true
        }
        return found
    }

    /// Appends a header value without white space at its ends and with single blanks inside.
    private static func appendCollapsed(_ value: Span<UInt8>, to output: inout [UInt8]) {
        let trimmed = ASCII.trimmedRange(value)
        var start = trimmed.lowerBound
        while start < trimmed.upperBound {
            var end = start
            while end < trimmed.upperBound, !ASCII.isSpace(value[end]) { end += 1 }
            output.append(value, start..<end)
            guard end < trimmed.upperBound else { return }
            output.append(0x20)
            while ASCII.isSpace(value[end]) { end += 1 }
            start = end
        }
    }
}

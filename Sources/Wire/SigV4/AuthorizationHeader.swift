// SPDX-License-Identifier: Apache-2.0

/// The fields of a SigV4 Authorization header as positions in its bytes: nothing is copied.
///
/// `AWS4-HMAC-SHA256 Credential=<id>/<yyyymmdd>/<region>/<service>/aws4_request, SignedHeaders=…, Signature=…`; the
/// three elements in any order, each once, separated by a comma and any number of blanks.
struct AuthorizationHeader {
    var accessKeyID: Range<Int>
    /// `<yyyymmdd>/<region>/<service>/aws4_request`.
    var scope: Range<Int>
    var date: Range<Int>
    var region: Range<Int>
    var service: Range<Int>
    /// All of the SignedHeaders list, as the canonical request repeats it.
    var signedHeaders: Range<Int>
    /// The names of the list in order: sorted, lower case, none twice.
    var signedHeaderNames: [Range<Int>]
    var signature: InlineArray<32, UInt8>

    static let maximumLength = 4_096
    static let maximumSignedHeaders = 32
    static let maximumNameLength = 128
    static let maximumAccessKeyIDLength = 128
    static let maximumScopePartLength = 64

    /// Reads a header value; linear in its length.
    init(_ bytes: Span<UInt8>) throws(AuthorizationDefect) {
        guard bytes.count <= Self.maximumLength else { throw .tooLong }
        var credential: Credential?
        var headers: SignedHeaders?
        var signature: InlineArray<32, UInt8>?
        var rest = try Self.afterAlgorithm(bytes)
        while true {
            let element = rest.lowerBound..<Self.index(of: 0x2C, in: bytes, rest)
            if let value = Self.value(of: "Credential=", in: bytes, element) {
                guard credential == nil else { throw .repeatedElement }
                credential = try Credential(bytes, value)
            } else if let value = Self.value(of: "SignedHeaders=", in: bytes, element) {
                guard headers == nil else { throw .repeatedElement }
                headers = try SignedHeaders(bytes, value)
            } else if let value = Self.value(of: "Signature=", in: bytes, element) {
                guard signature == nil else { throw .repeatedElement }
                signature = try Self.signature(bytes, value)
            } else {
                throw .unknownElement
            }
            guard element.upperBound < rest.upperBound else { break }
            rest = Self.skipBlanks(bytes, element.upperBound + 1..<rest.upperBound)
        }
        guard let credential, let headers, let signature else { throw .missingElement }
        accessKeyID = credential.accessKeyID
        scope = credential.date.lowerBound..<credential.end
        date = credential.date
        region = credential.region
        service = credential.service
        signedHeaders = headers.all
        signedHeaderNames = headers.names
        self.signature = signature
    }

    private static func afterAlgorithm(_ bytes: Span<UInt8>) throws(AuthorizationDefect) -> Range<Int> {
        guard let rest = value(of: "AWS4-HMAC-SHA256 ", in: bytes, 0..<bytes.count) else { throw .algorithm }
        return skipBlanks(bytes, rest)
    }

    private static func skipBlanks(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound
        while start < range.upperBound, bytes[start] == 0x20 { start += 1 }
        return start..<range.upperBound
    }

    /// What follows `prefix` in `range`, when it begins with it.
    private static func value(of prefix: StaticString, in bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int>? {
        let length = prefix.utf8CodeUnitCount
        guard range.count >= length,
            ASCII.equal(bytes, range.lowerBound..<range.lowerBound + length, prefix)
        else { return nil }
        return range.lowerBound + length..<range.upperBound
    }

    /// The first position of `byte` in `range`, or its end.
    fileprivate static func index(of byte: UInt8, in bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
        var index = range.lowerBound
        while index < range.upperBound, bytes[index] != byte { index += 1 }
        return index
    }

    private static func signature(
        _ bytes: Span<UInt8>, _ range: Range<Int>
    ) throws(AuthorizationDefect) -> InlineArray<32, UInt8> {
        guard range.count == 64 else { throw .signatureForm }
        var result = InlineArray<32, UInt8>(repeating: 0)
        for position in 0..<32 {
            let high = bytes[range.lowerBound + 2 * position]
            let low = bytes[range.lowerBound + 2 * position + 1]
            guard !ASCII.isUpper(high), !ASCII.isUpper(low), let highValue = ASCII.hexValue(high),
                let lowValue = ASCII.hexValue(low)
            else { throw .signatureForm }
            result[position] = highValue << 4 | lowValue
        }
        return result
    }
}

extension AuthorizationHeader {
    private struct Credential {
        var accessKeyID: Range<Int>
        var date: Range<Int>
        var region: Range<Int>
        var service: Range<Int>
        var end: Int

        init(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(AuthorizationDefect) {
            var rest = range
            accessKeyID = try Self.part(bytes, &rest, maximumAccessKeyIDLength, ASCII.isAlphanumeric)
            date = try Self.part(bytes, &rest, 8, ASCII.isDigit)
            region = try Self.part(bytes, &rest, maximumScopePartLength, ASCII.isScopeCharacter)
            service = try Self.part(bytes, &rest, maximumScopePartLength, ASCII.isScopeCharacter)
            guard date.count == 8, ASCII.equal(bytes, rest, "aws4_request") else { throw .credentialForm }
            end = rest.upperBound
        }

        /// Takes a part of 1 to `maximum` allowed bytes and the slash behind it off `rest`.
        private static func part(
            _ bytes: Span<UInt8>, _ rest: inout Range<Int>, _ maximum: Int, _ isAllowed: (UInt8) -> Bool
        ) throws(AuthorizationDefect) -> Range<Int> {
            var index = rest.lowerBound
            while index < rest.upperBound, isAllowed(bytes[index]) { index += 1 }
            let part = rest.lowerBound..<index
            guard !part.isEmpty, part.count <= maximum, index < rest.upperBound, bytes[index] == 0x2F else {
                throw .credentialForm
            }
            rest = index + 1..<rest.upperBound
            return part
        }
    }

    private struct SignedHeaders {
        var all: Range<Int>
        var names: [Range<Int>] = []

        init(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(AuthorizationDefect) {
            all = range
            names.reserveCapacity(8)
            var start = range.lowerBound
            while true {
                let name = start..<index(of: 0x3B, in: bytes, start..<range.upperBound)
                try Self.checkForm(bytes, name)
                if let previous = names.last, !Self.precedes(bytes, previous, name) { throw .signedHeaderOrder }
                guard names.count < maximumSignedHeaders else { throw .tooManySignedHeaders }
                names.append(name)
                guard name.upperBound < range.upperBound else { return }
                start = name.upperBound + 1
            }
        }

        /// A lower-case token, or HTTP/2's `:authority`.
        private static func checkForm(_ bytes: Span<UInt8>, _ name: Range<Int>) throws(AuthorizationDefect) {
            guard !name.isEmpty, name.count <= maximumNameLength else { throw .signedHeaderForm }
            if ASCII.equal(bytes, name, ":authority") { return }
            for index in name where !ASCII.isToken(bytes[index]) || ASCII.isUpper(bytes[index]) {
                throw .signedHeaderForm
            }
        }

        private static func precedes(_ bytes: Span<UInt8>, _ left: Range<Int>, _ right: Range<Int>) -> Bool {
            for offset in 0..<min(left.count, right.count) {
                let (first, second) = (bytes[left.lowerBound + offset], bytes[right.lowerBound + offset])
                if first != second { return first < second }
            }
            return left.count < right.count
        }
    }
}

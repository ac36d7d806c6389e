// SPDX-License-Identifier: Apache-2.0

/// The first lines of a canonical request: the path and the query, written from the undecoded request target.
///
/// The path is encoded once more as it came in, which is SigV4's double encoding for every service but S3. It is not
/// normalized: the signature covers the path that is routed, not another one with the same meaning. XKS paths hold
/// unreserved characters only, where all forms agree.
enum CanonicalTarget {
    /// Longest target looked at, in bytes; XKS paths are below 300.
    static let maximumLength = 8_192

    /// Whether `target` is in origin form (RFC 9112 section 3.2.1) and within bounds.
    static func isAcceptable(_ target: Span<UInt8>) -> Bool {
        target.count >= 1 && target.count <= maximumLength && target[0] == 0x2F
    }

    /// Appends `<path>\n<query>\n`.
    static func append(_ target: Span<UInt8>, to output: inout [UInt8]) {
        var pathEnd = 0
        var isPlain = true
        while pathEnd < target.count, target[pathEnd] != 0x3F {
            isPlain = isPlain && isPathCharacter(target[pathEnd])
            pathEnd += 1
        }
        if isPlain {
            output.append(target, 0..<pathEnd)
        } else {
            for index in 0..<pathEnd {
                let byte = target[index]
                if isPathCharacter(byte) { output.append(byte) } else { appendEncoded(byte, to: &output) }
            }
        }
        output.append(0x0A)
        if pathEnd + 1 < target.count { appendQuery(target, pathEnd + 1..<target.count, to: &output) }
        output.append(0x0A)
    }

    private static func isPathCharacter(_ byte: UInt8) -> Bool { ASCII.isUnreserved(byte) || byte == 0x2F }

    private static func appendEncoded(_ byte: UInt8, to output: inout [UInt8]) {
        output.append(0x25)
        output.append(ASCII.upperHexDigit(byte >> 4))
        output.append(ASCII.upperHexDigit(byte & 0x0F))
    }

    /// One parameter of the query, as positions in the encoded bytes.
    private struct Parameter {
        var name: Range<Int>
        var value: Range<Int>
    }

    /// Appends the parameters encoded, sorted by name and then by value, each with an equals sign.
    private static func appendQuery(_ target: Span<UInt8>, _ query: Range<Int>, to output: inout [UInt8]) {
        var encoded: [UInt8] = []
        var parameters: [Parameter] = []
        var start = query.lowerBound
        while start <= query.upperBound {
            var end = start
            var equals: Int?
            while end < query.upperBound, target[end] != 0x26 {
                if equals == nil, target[end] == 0x3D { equals = end }
                end += 1
            }
            let name = appendReencoded(target, start..<(equals ?? end), to: &encoded)
            let value = appendReencoded(target, (equals.map { $0 + 1 } ?? end)..<end, to: &encoded)
            parameters.append(Parameter(name: name, value: value))
            start = end + 1
        }
        parameters.sort { left, right in
            if encoded[left.name].elementsEqual(encoded[right.name]) {
                return encoded[left.value].lexicographicallyPrecedes(encoded[right.value])
            }
            return encoded[left.name].lexicographicallyPrecedes(encoded[right.name])
        }
        for (index, parameter) in parameters.enumerated() {
            if index > 0 { output.append(0x26) }
            output.append(contentsOf: encoded[parameter.name])
            output.append(0x3D)
            output.append(contentsOf: encoded[parameter.value])
        }
    }

    /// Undoes valid percent encoding and encodes everything but unreserved characters.
    private static func appendReencoded(
        _ target: Span<UInt8>, _ range: Range<Int>, to encoded: inout [UInt8]
    ) -> Range<Int> {
        let start = encoded.count
        var index = range.lowerBound
        while index < range.upperBound {
            var byte = target[index]
            if byte == 0x25, range.upperBound - index >= 3, let high = ASCII.hexValue(target[index + 1]),
                let low = ASCII.hexValue(target[index + 2])
            {
                byte = high << 4 | low
                index += 2
            }
            if ASCII.isUnreserved(byte) { encoded.append(byte) } else { appendEncoded(byte, to: &encoded) }
            index += 1
        }
        return start..<encoded.count
    }
}

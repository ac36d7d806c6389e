// SPDX-License-Identifier: Apache-2.0

/// What prefixes, paths and key ids may look like (XKS 1.0.3, "API operations").
///
/// Used on each request and by the configuration, so that nothing can be configured that no request could reach.
package enum XKSPath {
    /// What follows the prefix in every path of version 1.
    package static let apiSuffix: StaticString = "/kms/xks/v1"
    /// Longest `XksProxyUriPath` (prefix and `/kms/xks/v1` together), characters.
    package static let longestURIPath = 128
    /// Longest prefix, characters.
    package static let longestPrefix = longestURIPath - 11
    /// Longest external key id, characters.
    package static let longestExternalKeyID = 128

    /// Says in words what is wrong with a prefix; `nil` when it is good: empty, or `/a`, `/a/b`, ….
    ///
    /// Stricter than the specification in one point: no empty segment (`//`), because load balancers and signers
    /// disagree about what it means.
    package static func problem(withPrefix prefix: String) -> String? {
        var prefix = prefix
        return prefix.withUTF8 { bytes in
            guard let first = bytes.first else { return nil }
            guard first == UInt8(ascii: "/") else { return "must be empty or begin with a slash" }
            guard bytes.count <= longestPrefix else { return "must be at most \(longestPrefix) characters long" }
            guard bytes.allSatisfy({ $0 == UInt8(ascii: "/") || isPrefixByte($0) }) else {
                return "may hold only a-z, A-Z, 0-9, slash, dash and underscore"
            }
            guard hasFullSegments(bytes) else { return "must not end with a slash or hold two in a row" }
            return nil
        }
    }

    /// Says in words what is wrong with an external key id; `nil` when it is good.
    ///
    /// Stricter than the specification in one point: `.` and `..` are refused, because in a path they mean a folder.
    package static func problem(withExternalKeyID id: String) -> String? {
        var id = id
        return id.withUTF8 { bytes in
            guard (1...longestExternalKeyID).contains(bytes.count) else {
                return "must be 1 to \(longestExternalKeyID) characters long"
            }
            guard bytes.allSatisfy(isKeyIDByte) else {
                return "may hold only a-z, A-Z, 0-9, dash, period and underscore"
            }
            guard !isDotSegment(bytes) else { return "must not be a lone period or two" }
            return nil
        }
    }

    package static func isValidPrefix(_ prefix: String) -> Bool { problem(withPrefix: prefix) == nil }

    package static func isValidExternalKeyID(_ id: String) -> Bool { problem(withExternalKeyID: id) == nil }

    static func isDotSegment(_ bytes: some RandomAccessCollection<UInt8>) -> Bool {
        (1...2).contains(bytes.count) && bytes.allSatisfy { $0 == UInt8(ascii: ".") }
    }

    private static func hasFullSegments(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var previous: UInt8 = 0
        for byte in bytes {
            if byte == UInt8(ascii: "/"), previous == UInt8(ascii: "/") { return false }
            previous = byte
        }
        return previous != UInt8(ascii: "/")
    }

    private static func isPrefixByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func isKeyIDByte(_ byte: UInt8) -> Bool {
        isPrefixByte(byte) || byte == UInt8(ascii: ".")
    }
}

extension XKSPath {
    /// So many prefixes are compared, so that a flood of wrong paths costs little.
    private static let comparedPrefixes = 64

    /// Of the paths of these prefixes, as KMS has them (`XksProxyUriPath`), the one that has most in common with the
    /// beginning and the end of a path that came in; `nil` where there are none.
    package static func nearest(to target: String, amongPrefixes prefixes: some Sequence<String>) -> String? {
        let asked = Array(target.utf8.prefix(RefusedRequest.longestPath))
        var best: (path: String, common: Int)?
        for prefix in prefixes.prefix(comparedPrefixes) {
            let path = prefix + "\(apiSuffix)"
            let bytes = Array(path.utf8)
            let common = zip(bytes, asked).prefix { $0 == $1 }.count + Self.tail(of: bytes, in: asked)
            if common > best?.common ?? -1 { best = (path, common) }
        }
        return best?.path
    }

    /// How much of the end of a path stands in the other one before what names the operation.
    private static func tail(of path: [UInt8], in asked: [UInt8]) -> Int {
        let marker = Array("\(apiSuffix)".utf8)
        guard
            let end = asked.indices.last(where: { index in
                index + 1 >= marker.count && asked[(index + 1 - marker.count)...index].elementsEqual(marker)
            })
        else { return 0 }
        return zip(path.reversed(), asked[...end].reversed()).prefix { $0 == $1 }.count
    }
}

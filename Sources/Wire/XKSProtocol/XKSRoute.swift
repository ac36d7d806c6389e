// SPDX-License-Identifier: Apache-2.0

/// The four operations; the raw value is the specification's name.
package enum XKSOperation: String, Sendable, CaseIterable {
    case health = "GetHealthStatus"
    case metadata = "GetKeyMetadata"
    case encrypt = "Encrypt"
    case decrypt = "Decrypt"
}

/// Where a request wants to go: `[/<prefix>]/kms/xks/v1/health` or `…/keys/<externalKeyId>/{metadata,encrypt,decrypt}`.
package struct XKSRoute: Sendable, Equatable {
    /// `""`, or `/a/b`: names the key store. Well-formed; whether there is such a key store is for others to say.
    package let prefix: String
    package let operation: XKSOperation
    /// `nil` for `health`, else well-formed: 1 to 128 of `A-Z a-z 0-9 - . _`.
    package let externalKeyID: String?

    package init(prefix: String, operation: XKSOperation, externalKeyID: String?) {
        self.prefix = prefix
        self.operation = operation
        self.externalKeyID = externalKeyID
    }

    /// Reads a request target in origin form.
    ///
    /// A query, a fragment, percent-escapes and dot segments never match: none of them has a place in this API, and
    /// what is decoded differently by two parties is a way around a rule.
    /// - Throws: `invalidURIPath` for a path the API does not have, `validation` for an ill-formed key id in one it
    ///   has.
    package init(target: String) throws(XKSError) {
        var target = target
        self = try target.withUTF8 { Self.parse(Path(bytes: $0, end: $0.count)) }.get()
    }

    /// The part of the target that has not been taken off yet. It is taken apart from the end, because a prefix may
    /// itself look like an API path.
    private struct Path {
        let bytes: UnsafeBufferPointer<UInt8>
        var end: Int

        /// Takes off the last segment, and the slash before it.
        mutating func dropLastSegment() -> Slice<UnsafeBufferPointer<UInt8>>? {
            guard let slash = bytes[..<end].lastIndex(of: UInt8(ascii: "/")) else { return nil }
            let segment = bytes[(slash + 1)..<end]
            end = slash
            return segment
        }

        /// Takes off `suffix`, if the rest ends with it.
        mutating func drop(suffix: StaticString) -> Bool {
            let length = suffix.utf8CodeUnitCount
            guard end >= length, matches(bytes[(end - length)..<end], suffix) else { return false }
            end -= length
            return true
        }
    }

    private static func parse(_ whole: Path) -> Result<XKSRoute, XKSError> {
        var path = whole
        guard !whole.bytes.contains(where: isForeign), let last = path.dropLastSegment() else {
            return .failure(noSuchPath)
        }
        guard !matches(last, "health") else {
            return prefix(of: path).map { XKSRoute(prefix: $0, operation: .health, externalKeyID: nil) }
        }
        let operation: XKSOperation
        if matches(last, "encrypt") {
            operation = .encrypt
        } else if matches(last, "decrypt") {
            operation = .decrypt
        } else if matches(last, "metadata") {
            operation = .metadata
        } else {
            return .failure(noSuchPath)
        }
        guard let key = path.dropLastSegment(), path.drop(suffix: "/keys"), !XKSPath.isDotSegment(key) else {
            return .failure(noSuchPath)
        }
        return prefix(of: path).flatMap { prefix in
            let id = String(decoding: key, as: UTF8.self)
            if let problem = XKSPath.problem(withExternalKeyID: id) {
                return .failure(XKSError(.validation, "externalKeyId \(problem)"))
            }
            return .success(XKSRoute(prefix: prefix, operation: operation, externalKeyID: id))
        }
    }

    private static func prefix(of rest: Path) -> Result<String, XKSError> {
        var rest = rest
        guard rest.drop(suffix: XKSPath.apiSuffix) else { return .failure(noSuchPath) }
        let prefix = String(decoding: rest.bytes[..<rest.end], as: UTF8.self)
        return XKSPath.isValidPrefix(prefix) ? .success(prefix) : .failure(noSuchPath)
    }

    private static let noSuchPath = XKSError(.invalidURIPath, "the API has no such path")

    /// Query, fragment, escape, and what some parties take for a slash.
    private static func isForeign(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "?"), UInt8(ascii: "#"), UInt8(ascii: "%"), UInt8(ascii: "\\"): true
        default: false
        }
    }

    private static func matches(_ bytes: Slice<UnsafeBufferPointer<UInt8>>, _ word: StaticString) -> Bool {
        bytes.elementsEqual(UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
    }
}

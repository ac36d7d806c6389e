// SPDX-License-Identifier: Apache-2.0

// Fields that nobody has named, kept as text: a policy may ask for one that KMS has begun to send.

extension JSONReader {
    /// Has the unknown fields of the object that is read next kept.
    mutating func keepUnknownFields() { keptDepth = depth + 1 }

    /// What was kept.
    mutating func takeKeptFields() -> [RequestMetadata.OtherField] {
        keptDepth = 0
        defer { kept = [] }
        return kept
    }

    /// Keeps an unknown field whose value is a string, a number, a boolean, or a list of these; of others it is forgotten.
    mutating func keepValue(_ name: JSONStringToken) throws(XKSError) {
        var values: [String] = []
        if peek() == UInt8(ascii: "[") {
            position &+= 1
            try descend()
            skipWhitespace()
            if peek() != UInt8(ascii: "]") {
                repeat {
                    skipWhitespace()
                    if let value = try scalarText() { values.append(value) }
                    skipWhitespace()
                } while take(UInt8(ascii: ","))
            }
            guard take(UInt8(ascii: "]")) else { throw malformed("a comma or a closing bracket was expected") }
            depth -= 1
        } else if let value = try scalarText() {
            values.append(value)
        }
        guard !values.isEmpty else { return }
        kept.append(
            RequestMetadata.OtherField(name: String(decoding: decoded(name), as: UTF8.self), values: values))
    }

    /// Reads one value; `nil` for an object, a list and null.
    private mutating func scalarText() throws(XKSError) -> String? {
        guard let byte = peek() else { throw malformed("a value was expected") }
        switch byte {
        case UInt8(ascii: "\""): return String(decoding: decoded(try scanString()), as: UTF8.self)
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "n"):
            try skipValue()
            return nil
        default:
            let start = position
            try skipValue()
            return String(decoding: slice(start, position), as: UTF8.self)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Reads one JSON object (RFC 8259), strictly, in one pass, into typed values: there is no tree of the document.
///
/// Stricter than RFC 8259 where two parties could read a body differently or where it would cost more than linear
/// time: a field name may occur once in an object (compared after its escapes are decoded), strings are well-formed
/// UTF-8 without lone surrogates and without NUL, containers nest at most `deepest` levels, an object has at most
/// `mostFields` fields, and there is no byte order mark. A number is checked but never converted, so it may be of any
/// size. Fields that nobody asks for are checked and skipped.
///
/// Each fault is a ValidationException that names the field, the problem and the position, and never shows content.
/// A reader points into memory it does not own: use it only as long as that memory lives.
package struct JSONReader {
    /// Most levels of objects and arrays, the outermost included.
    package static let deepest = 32
    /// Most fields of one object.
    package static let mostFields = 256

    /// The whole text.
    let bytes: UnsafeRawBufferPointer
    /// Index of the next byte to read, at most `bytes.count`.
    var position = 0
    /// What is being read, for errors: the innermost known field.
    private(set) var subject: StaticString = "the request body"
    /// Bytes looked at once more than the pass itself does: names compared, strings decoded, hashes sorted.
    var extraVisits = 0
    var depth = 0
    /// The depth of the object whose unknown fields are kept; 0 for none.
    var keptDepth = 0
    var kept: [RequestMetadata.OtherField] = []
    /// Hashes of the names of unknown fields, of all objects that are open; each object has a stretch at the end.
    private var unknownNames: [Int] = []

    package init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// How many bytes were looked at so far, repeats included: the work done, as a number that tests can bound.
    package var visits: Int { position + extraVisits }

    /// Reads the whole text as one object; `read` is called for each known field with the reader at its value, and must
    /// read that value.
    mutating func readDocument<Field: JSONField>(
        _ type: Field.Type, _ read: (inout JSONReader, Field) throws(XKSError) -> Void
    ) throws(XKSError) {
        skipWhitespace()
        try readObject(type, read)
        skipWhitespace()
        guard position == bytes.count else { throw malformed("something follows the object") }
    }

    /// Reads one object, as `readDocument` does.
    mutating func readObject<Field: JSONField>(
        _ type: Field.Type, _ read: (inout JSONReader, Field) throws(XKSError) -> Void
    ) throws(XKSError) {
        guard take(UInt8(ascii: "{")) else { throw fault("must be a JSON object") }
        try descend()
        let firstUnknown = unknownNames.count
        var seen: UInt32 = 0
        var fields = 0
        skipWhitespace()
        guard !take(UInt8(ascii: "}")) else { return depth -= 1 }
        repeat {
            fields += 1
            guard fields <= Self.mostFields else { throw fault("has too many fields") }
            skipWhitespace()
            guard peek() == UInt8(ascii: "\"") else { throw malformed("a field name in quotes was expected") }
            let name = try scanString()
            skipWhitespace()
            guard take(UInt8(ascii: ":")) else { throw malformed("a colon was expected") }
            skipWhitespace()
            if let field = field(type, named: name) {
                let outer = subject
                subject = field.label
                let bit = UInt32(1) &<< UInt32(field.rawValue)
                guard seen & bit == 0 else { throw fault("occurs twice") }
                seen |= bit
                try read(&self, field)
                subject = outer
            } else {
                unknownNames.append(hash(of: name))
                if depth == keptDepth { try keepValue(name) } else { try skipValue() }
            }
            skipWhitespace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw malformed("a comma or a closing brace was expected") }
        try refuseRepeatedNames(from: firstUnknown)
        depth -= 1
    }

    /// Reads one value of any kind and forgets it.
    mutating func skipValue() throws(XKSError) {
        guard let byte = peek() else { throw malformed("a value was expected") }
        switch byte {
        case UInt8(ascii: "\""): _ = try scanString()
        case UInt8(ascii: "{"): try readObject(NoJSONField.self) { (_, _) throws(XKSError) in }
        case UInt8(ascii: "["): try skipArray()
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try skipNumber()
        case UInt8(ascii: "t"): try skip(word: "true")
        case UInt8(ascii: "f"): try skip(word: "false")
        case UInt8(ascii: "n"): try skip(word: "null")
        default: throw malformed("a value was expected")
        }
    }

    private mutating func skipArray() throws(XKSError) {
        guard take(UInt8(ascii: "[")) else { throw malformed("an array was expected") }
        try descend()
        skipWhitespace()
        guard !take(UInt8(ascii: "]")) else { return depth -= 1 }
        repeat {
            skipWhitespace()
            try skipValue()
            skipWhitespace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw malformed("a comma or a closing bracket was expected") }
        depth -= 1
    }

    private mutating func skipNumber() throws(XKSError) {
        _ = take(UInt8(ascii: "-"))
        guard take(UInt8(ascii: "0")) || skipDigits() else { throw malformed("a digit was expected") }
        if take(UInt8(ascii: ".")) {
            guard skipDigits() else { throw malformed("a digit was expected") }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard skipDigits() else { throw malformed("a digit was expected") }
        }
    }

    private mutating func skipDigits() -> Bool {
        let start = position
        while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position &+= 1 }
        return position > start
    }

    mutating func skip(word: StaticString) throws(XKSError) {
        let end = position + word.utf8CodeUnitCount
        guard end <= bytes.count, Self.matches(slice(position, end), word) else {
            throw malformed("a value was expected")
        }
        position = end
    }

    mutating func descend() throws(XKSError) {
        depth += 1
        guard depth <= Self.deepest else { throw fault("is nested too deeply") }
    }
}

// MARK: - Field names

extension JSONReader {
    private mutating func field<Field: JSONField>(_: Field.Type, named name: JSONStringToken) -> Field? {
        var raw: UInt8 = 0
        guard !name.hasEscapes else {
            return decoded(name).withUnsafeBytes { bytes in
                while let field = Field(rawValue: raw) {
                    if Self.matches(bytes, field.name) { return field }
                    raw &+= 1
                }
                return nil
            }
        }
        extraVisits += name.count
        let bytes = slice(name.start, name.end)
        while let field = Field(rawValue: raw) {
            if Self.matches(bytes, field.name) { return field }
            raw &+= 1
        }
        return nil
    }

    /// Two names with one hash count as one name: whoever finds two such names harms only their own request.
    private mutating func hash(of name: JSONStringToken) -> Int {
        var hasher = Hasher()
        if name.hasEscapes {
            decoded(name).withUnsafeBytes { hasher.combine(bytes: $0) }
        } else {
            extraVisits += name.count
            hasher.combine(bytes: slice(name.start, name.end))
        }
        return hasher.finalize()
    }

    /// Closes the object whose unknown names begin at `first`.
    private mutating func refuseRepeatedNames(from first: Int) throws(XKSError) {
        if unknownNames.count - first > 1 {
            // At most `mostFields` of them, so this is linear in the size of the text.
            unknownNames[first...].sort()
            extraVisits += (unknownNames.count - first) * 8
            for index in (first + 1)..<unknownNames.count where unknownNames[index] == unknownNames[index - 1] {
                throw malformed("a field name occurs twice in an object")
            }
        }
        unknownNames.removeLast(unknownNames.count - first)
    }
}

// MARK: - Bytes and faults

extension JSONReader {
    func peek() -> UInt8? {
        position < bytes.count ? bytes[position] : nil
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position &+= 1
        return true
    }

    mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0a, 0x0d: position &+= 1
            default: return
            }
        }
    }

    /// The bytes from `start` up to `end`, which must be positions that this reader has been at.
    func slice(_ start: Int, _ end: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }

    static func matches(_ bytes: UnsafeRawBufferPointer, _ word: StaticString) -> Bool {
        guard bytes.count == word.utf8CodeUnitCount else { return false }
        let expected = word.utf8Start
        for index in 0..<bytes.count where bytes[index] != expected[index] { return false }
        return true
    }

    /// What is being read is well-formed JSON, but not what it has to be.
    @inline(never)
    func fault(_ problem: String) -> XKSError {
        XKSError(.validation, "\(subject) \(problem) (at byte \(position))")
    }

    /// The text is not JSON, or not JSON as it is read here.
    @inline(never)
    func malformed(_ problem: StaticString) -> XKSError {
        XKSError(.validation, "\(subject) is not valid JSON: \(problem) (at byte \(position))")
    }
}

// SPDX-License-Identifier: Apache-2.0
import SecureMemory

// The kinds of values that the API's fields have. Each function expects the reader at a value and reads it.
extension JSONReader {
    /// Reads a string of at most `longest` characters (Unicode scalars).
    mutating func readText(longest: Int) throws(XKSError) -> String {
        let token = try scanString()
        let text: String
        if token.hasEscapes {
            text = String(decoding: decoded(token), as: UTF8.self)
        } else {
            extraVisits += token.count
            text = String(decoding: slice(token.start, token.end), as: UTF8.self)
        }
        guard text.utf8.count <= longest || text.unicodeScalars.count <= longest else {
            throw fault("is longer than \(longest) characters")
        }
        return text
    }

    /// Reads `null`, if that is the value.
    mutating func takeNull() throws(XKSError) -> Bool {
        guard peek() == UInt8(ascii: "n") else { return false }
        try skip(word: "null")
        return true
    }

    /// Reads the value of a field that may be left out. Some senders write `null` for what they leave out: it is not there.
    mutating func readUnlessNull<Value>(
        _ read: (inout JSONReader) throws(XKSError) -> Value
    ) throws(XKSError) -> Value? {
        if try takeNull() { return nil }
        return try read(&self)
    }

    /// Reads a string that must be `word`.
    mutating func readConstant(_ word: StaticString) throws(XKSError) {
        let token = try scanString()
        let isWord =
            token.hasEscapes
            ? decoded(token).withUnsafeBytes { Self.matches($0, word) }
            : Self.matches(slice(token.start, token.end), word)
        guard isWord else { throw fault("must be \(word)") }
    }

    /// Reads a Base64 string of `1...atMost` bytes, or `0...atMost` where `mayBeEmpty`.
    /// - Throws: `unsupportedOperation` above `atMost` bytes: that is this proxy's limit, not the API's.
    mutating func readData(atMost: Int, mayBeEmpty: Bool) throws(XKSError) -> SecretBytes {
        let token = try scanString()
        let (count, data) = withContent(of: token) { text -> (Int?, SecretBytes?) in
            let count = Base64.decodedCount(of: text)
            return (count, count.map { $0 <= atMost } == true ? Base64.decode(text) : nil)
        }
        guard let count else { throw fault("is not valid Base64") }
        guard count <= atMost else {
            throw XKSError(.unsupportedOperation, "\(subject) is larger than \(atMost) bytes, the limit of this proxy")
        }
        guard let data else { throw fault("is not valid Base64") }
        guard mayBeEmpty || count > 0 else { throw fault("must not be empty") }
        return data
    }

    /// Reads a Base64 string of at most `atMost` bytes that are no secret.
    mutating func readBytes(atMost: Int) throws(XKSError) -> [UInt8] {
        let token = try scanString()
        let (count, value) = withContent(of: token) { text -> (Int?, [UInt8]?) in
            guard let count = Base64.decodedCount(of: text), count <= atMost else {
                return (Base64.decodedCount(of: text), nil)
            }
            var isWellFormed = false
            let value = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
                isWellFormed = Base64.decode(text, into: UnsafeMutableRawBufferPointer(buffer))
                initialized = isWellFormed ? count : 0
            }
            return (count, isWellFormed ? value : nil)
        }
        guard let count else { throw fault("is not valid Base64") }
        guard count <= atMost else { throw fault("must be at most \(atMost) bytes long") }
        guard let value else { throw fault("is not valid Base64") }
        return value
    }

    /// Lends the string with its escapes decoded. Where there are none, that is the text itself; where there are
    /// (Base64 may legally be written with `\/`), it is a copy that is overwritten afterwards.
    private mutating func withContent<Value>(
        of token: JSONStringToken, _ body: (UnsafeRawBufferPointer) -> Value
    ) -> Value {
        extraVisits += token.count
        guard token.hasEscapes else { return body(slice(token.start, token.end)) }
        let copy = SecretBytes(capacity: token.count)
        copy.append(atMost: token.count) { decode(token, into: $0) }
        return copy.withUnsafeBytes(body)
    }
}

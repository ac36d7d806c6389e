// SPDX-License-Identifier: Apache-2.0

/// Walks over a TOML 1.0 text once and notes on which line everything stands.
///
/// It knows the structure (keys, headers, strings, brackets, comments); what a value means is the parser's work. It
/// stops with an objection at the first thing that is not TOML or exceeds `TOMLLimits`: some such texts end the process
/// when the parser meets them (assertions of its own, or its stack), so it only ever sees what was followed to the end.
struct TOMLScanner {
    let bytes: [UInt8]
    var index = 0
    var line = 1
    var entries = 0
    var lineStart = 0
    private var outline = TOMLOutline()
    /// Number of elements so far of each array of tables, by its path.
    private var elements: [String: Int] = [:]
    private var table = ""
    private var tableDepth = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The outline as far as the text could be followed, and why it could not be followed to its end.
    static func scan(_ bytes: [UInt8]) -> (outline: TOMLOutline, objection: TOMLObjection?) {
        var scanner = TOMLScanner(bytes)
        do throws(TOMLObjection) {
            try scanner.document()
            return (scanner.outline, nil)
        } catch {
            return (scanner.outline, error)
        }
    }

    func stop(_ kind: TOMLObjection.Kind) -> TOMLObjection {
        TOMLObjection(kind: kind, line: line, column: index - lineStart + 1)
    }

    func malformed(_ reason: String) -> TOMLObjection { stop(.malformed(reason)) }

    private mutating func document() throws(TOMLObjection) {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { index = 3 }
        while true {
            try skipBlankLines()
            guard let byte = peek() else { return }
            if byte == UInt8(ascii: "[") {
                try header()
            } else {
                try keyValue(under: table, depth: tableDepth)
            }
            try endOfLine()
        }
    }

    /// `[a.b]` or `[[a.b]]`.
    private mutating func header() throws(TOMLObjection) {
        let start = line
        try expect(UInt8(ascii: "["))
        let isArray = take(UInt8(ascii: "["))
        skipSpaces()
        let segments = try keySegments()
        try expect(UInt8(ascii: "]"))
        if isArray { try expect(UInt8(ascii: "]")) }
        guard segments.count <= TOMLLimits.depth else { throw stop(.tooDeep) }
        try count()
        var path = ""
        for (position, segment) in segments.enumerated() {
            path = Self.join(path, segment)
            outline.note(path, line: start)
            if isArray, position == segments.count - 1 {
                let number = elements[path, default: 0]
                elements[path] = number + 1
                path += "[\(number)]"
                outline.note(path, line: start)
            } else if let number = elements[path] {
                // Below an array of tables a path means the array's last element so far (TOML 1.0, "Array of Tables").
                path += "[\(number - 1)]"
            }
        }
        table = path
        tableDepth = segments.count
    }

    private mutating func keyValue(under parent: String, depth: Int) throws(TOMLObjection) {
        let start = line
        let segments = try keySegments()
        guard depth + segments.count <= TOMLLimits.depth else { throw stop(.tooDeep) }
        var path = parent
        for segment in segments {
            path = Self.join(path, segment)
            outline.note(path, line: start)
        }
        try expect(UInt8(ascii: "="))
        skipSpaces()
        try value(path, depth: depth + segments.count)
    }

    /// The segments of a dotted key, with the white space around and after it taken.
    private mutating func keySegments() throws(TOMLObjection) -> [String] {
        var segments: [String] = []
        repeat {
            skipSpaces()
            segments.append(try keySegment())
            guard segments.count <= TOMLLimits.depth else { throw stop(.tooDeep) }
            skipSpaces()
        } while take(UInt8(ascii: "."))
        return segments
    }

    private mutating func keySegment() throws(TOMLObjection) -> String {
        let start: Int
        let end: Int
        switch peek() {
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            start = index + 1
            try string(multiLine: false)
            end = index - 1
        default:
            start = index
            while let byte = peek(), Self.isBareKey(byte) { index += 1 }
            end = index
            guard end > start else { throw malformed("a key is expected here") }
        }
        guard end - start <= TOMLLimits.keyLength else { throw stop(.keyTooLong) }
        return String(decoding: bytes[start..<end], as: UTF8.self)
    }

    private mutating func value(_ path: String, depth: Int) throws(TOMLObjection) {
        try count()
        switch peek() {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): try string(multiLine: true)
        case UInt8(ascii: "["): try list(path, depth: depth + 1)
        case UInt8(ascii: "{"): try inlineTable(path, depth: depth + 1)
        default: try scalar()
        }
    }

    private mutating func list(_ path: String, depth: Int) throws(TOMLObjection) {
        guard depth <= TOMLLimits.depth else { throw stop(.tooDeep) }
        try expect(UInt8(ascii: "["))
        var number = 0
        while true {
            try skipBlankLines()
            if take(UInt8(ascii: "]")) { return }
            let element = "\(path)[\(number)]"
            outline.note(element, line: line)
            try value(element, depth: depth)
            number += 1
            try skipBlankLines()
            if take(UInt8(ascii: ",")) { continue }
            try expect(UInt8(ascii: "]"))
            return
        }
    }

    private mutating func inlineTable(_ path: String, depth: Int) throws(TOMLObjection) {
        guard depth <= TOMLLimits.depth else { throw stop(.tooDeep) }
        try expect(UInt8(ascii: "{"))
        skipSpaces()
        if take(UInt8(ascii: "}")) { return }
        while true {
            try keyValue(under: path, depth: depth)
            skipSpaces()
            if take(UInt8(ascii: "}")) { return }
            try expect(UInt8(ascii: ","))
            skipSpaces()
        }
    }

    /// A number, boolean or date; which of them, and whether it is right, is the parser's to say, but for how dates are
    /// written.
    private mutating func scalar() throws(TOMLObjection) {
        guard let first = peek(), Self.beginsScalar(first) else {
            throw malformed("a value is expected here; strings stand in quotes")
        }
        let start = index
        while let byte = peek(), Self.isScalar(byte) { index += 1 }
        // A date may stand apart from its time by one blank (TOML 1.0, "Offset Date-Time").
        if peek() == UInt8(ascii: " "), let digit = peek(1), (0x30...0x39).contains(digit) {
            index += 1
            while let byte = peek(), Self.isScalar(byte) { index += 1 }
        }
        let value = bytes[start..<index]
        guard !TOMLDateShape.isMeant(by: value) || TOMLDateShape.fits(value) else {
            throw malformed("a number, or a date like 1979-05-27T07:32:00Z, is expected here; strings stand in quotes")
        }
    }
}

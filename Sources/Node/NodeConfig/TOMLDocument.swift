// SPDX-License-Identifier: Apache-2.0
import TOMLKit

/// A TOML value, free of the parser that read it.
package indirect enum TOMLNode: Sendable, Equatable {
    case string(String)
    case integer(Int)
    case boolean(Bool)
    /// A type that no setting has; the name of the type, for the message.
    case other(String)
    case list([TOMLNode])
    case table([String: TOMLNode])

    /// What it is, in words.
    package var kind: String {
        switch self {
        case .string: "a string"
        case .integer: "an integer"
        case .boolean: "a boolean"
        case .other(let name): name
        case .list: "a list"
        case .table: "a table"
        }
    }
}

/// A parsed TOML text with the positions of its values.
package struct TOMLDocument {
    package let root: [String: TOMLNode]
    package let outline: TOMLOutline

    /// Parses a text that may be anything at all.
    ///
    /// The text is scanned first: what the parser cannot bear (its stack overflows over very deep dotted keys, some
    /// broken keys fail an assertion, its strings end at U+0000) is refused here and never reaches it.
    package static func parse(_ bytes: [UInt8]) throws(ConfigurationProblem) -> TOMLDocument {
        guard bytes.count <= TOMLLimits.size else {
            throw ConfigurationProblem(
                path: "", message: "is larger than \(TOMLLimits.size) bytes",
                fix: "name a configuration file; no real one is so large")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationProblem(
                line: lineOfInvalidUTF8(bytes), path: "", message: "is not UTF-8 text",
                fix: "save the file in UTF-8; TOML knows no other encoding")
        }
        let (outline, objection) = TOMLScanner.scan(bytes)
        if let objection { throw problem(for: objection) }
        switch parsed(text) {
        case .success(let table): return TOMLDocument(root: copied(table), outline: outline)
        case .failure(let error): throw problem(for: error)
        }
    }

    private static func parsed(_ text: String) -> Result<TOMLTable, TOMLParseError> {
        do {
            return .success(try TOMLTable(string: text))
        } catch let error as TOMLParseError {
            return .failure(error)
        } catch {
            // The initializer throws nothing else; an empty table would only be read as "everything is missing".
            return .success(TOMLTable())
        }
    }

    /// Copies the parser's tree. The scan has bounded its depth.
    private static func copied(_ table: TOMLTable) -> [String: TOMLNode] {
        var copy: [String: TOMLNode] = [:]
        for key in table.keys {
            if let value = table[key] { copy[key] = copied(value) }
        }
        return copy
    }

    private static func copied(_ value: any TOMLValueConvertible) -> TOMLNode {
        switch value.type {
        case .string: value.string.map(TOMLNode.string) ?? .other("a string")
        case .int: value.int.map(TOMLNode.integer) ?? .other("an integer")
        case .bool: value.bool.map(TOMLNode.boolean) ?? .other("a boolean")
        case .double: .other("a floating-point number")
        case .date: .other("a date")
        case .time: .other("a time")
        case .dateTime: .other("a date with time")
        case .array: .list(value.array.map { array in array.map { copied($0) } } ?? [])
        case .table: .table(value.table.map { copied($0) } ?? [:])
        }
    }
}

// MARK: - What the problem is

extension TOMLDocument {
    private static func problem(for error: TOMLParseError) -> ConfigurationProblem {
        let position = error.source.begin
        let (message, fix) = notTOML(withoutValues(error.description), column: position.column)
        return ConfigurationProblem(line: position.line > 0 ? position.line : nil, path: "", message: message, fix: fix)
    }

    private static func problem(for objection: TOMLObjection) -> ConfigurationProblem {
        let (message, fix) =
            switch objection.kind {
            case .malformed(let reason): notTOML(reason, column: objection.column)
            case .tooDeep:
                (
                    "nests tables, lists or dotted keys more than \(TOMLLimits.depth) deep",
                    "take the nesting out; no setting needs it"
                )
            case .keyTooLong:
                ("has a key of more than \(TOMLLimits.keyLength) bytes", "take the key out; no setting has such a name")
            case .tooMany:
                (
                    "has more than \(TOMLLimits.entries) keys and values",
                    "use globs (`prod-*`) in place of long lists of keys"
                )
            case .nulEscape:
                ("has an escape for U+0000 in a string", "take it out; no setting can hold that character")
            }
        return ConfigurationProblem(line: objection.line, path: "", message: message, fix: fix)
    }

    private static func notTOML(_ reason: String, column: Int) -> (message: String, fix: String) {
        (
            "is not valid TOML: \(reason) (column \(column))",
            "texts stand in double quotes, numbers, lists, true and false do not; https://toml.io/en/v1.0.0 has the rest"
        )
    }

    /// The parser's own words for what it expects.
    private static let expected: Set<Substring> = ["true", "false", "inf", "nan", "\\n", "\\r"]

    /// The parser's message without anything in quotes that is longer than a character and not its own word: it may quote
    /// a value, and a value may be a secret that somebody put there without quotes.
    private static func withoutValues(_ description: String) -> String {
        var text = description
        if let prefix = text.range(of: "Error while ") { text.removeSubrange(prefix) }
        var seen = ""
        if let range = text.range(of: ", saw '") {
            let rest = text[range.upperBound...]
            // A character and its quote.
            seen = rest.count == 2 ? ", saw '\(rest)" : ", saw something else"
            text.removeSubrange(range.lowerBound...)
        }
        let pieces = text.split(separator: "'", omittingEmptySubsequences: false)
        guard pieces.count % 2 == 1 else { return "syntax error" }
        return pieces.enumerated()
            .map { position, piece in position % 2 == 1 && piece.count > 2 && !expected.contains(piece) ? "…" : piece }
            .joined(separator: "'") + seen
    }

    private static func lineOfInvalidUTF8(_ bytes: [UInt8]) -> Int? {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var line = 1
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue("\n"): line += 1
            case .scalarValue: continue
            case .emptyInput: return nil
            case .error: return line
            }
        }
    }
}

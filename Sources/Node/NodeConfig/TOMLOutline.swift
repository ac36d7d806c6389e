// SPDX-License-Identifier: Apache-2.0

/// Which line of a TOML text each table, key and list element stands on, by path (`hsm[1].token.label`).
///
/// The parser reports no positions of values, so they are found by a scan of their own (`TOMLScanner`).
package struct TOMLOutline: Sendable, Equatable {
    private var lines: [String: Int] = [:]

    package init() {}

    package var count: Int { lines.count }

    /// Notes a position; the first one of a path stays.
    mutating func note(_ path: String, line: Int) {
        if lines[path] == nil { lines[path] = line }
    }

    /// The line of `path` or, when it is not in the text (a missing key), of the nearest table around it.
    package func line(of path: String) -> Int? {
        var path = Substring(path)
        while true {
            if let line = lines[String(path)] { return line }
            guard let cut = path.lastIndex(where: { $0 == "." || $0 == "[" }) else { return nil }
            path = path[..<cut]
        }
    }
}

/// A reason not to hand a text to the parser.
package struct TOMLObjection: Error, Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// Not TOML; the reason, in words.
        case malformed(String)
        /// Tables, lists and dotted keys within one another beyond `TOMLLimits.depth`.
        case tooDeep
        /// A key longer than `TOMLLimits.keyLength`.
        case keyTooLong
        /// More keys, tables and values than `TOMLLimits.entries`.
        case tooMany
        /// An escape for U+0000. The parser's strings end there, so that what follows it would be lost silently.
        case nulEscape
    }

    package var kind: Kind
    /// From 1.
    package var line: Int
    /// From 1, in bytes.
    package var column: Int
}

/// What a configuration text may be at most. Far above any real file; the parser recurses over depth (a key of
/// 100,000 dots overflows its stack) and takes quadratic time over many dotted tables.
package enum TOMLLimits {
    /// Bytes of the whole text.
    package static let size = 1024 * 1024
    /// Levels of tables, lists and dotted keys within one another.
    package static let depth = 8
    /// Bytes of one part of a key.
    package static let keyLength = 128
    /// Keys, table headers and values in all.
    package static let entries = 20_000
}

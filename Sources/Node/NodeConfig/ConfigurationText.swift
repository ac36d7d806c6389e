// SPDX-License-Identifier: Apache-2.0
import QuotedText

/// The text of a configuration file in the making.
package struct ConfigurationText: Sendable {
    package private(set) var text = ""

    package init() {}

    /// A line, with its line feed.
    package mutating func line(_ line: String = "") { text += line + "\n" }

    /// - Parameter value: TOML.
    package mutating func set(_ key: String, _ value: String) { line("\(key) = \(value)") }

    /// A comment, broken into lines of at most `width` characters where there is a blank.
    ///
    /// - Parameter paragraph: has no line break, and no control character.
    package mutating func comment(_ paragraph: String, indent: String = "") {
        var current = ""
        for word in paragraph.split(separator: " ") {
            if !current.isEmpty, current.count + word.count + 1 > Self.width {
                line("# " + current)
                current = indent
            }
            current += (current.isEmpty || current == indent ? "" : " ") + word
        }
        line("# " + current)
    }

    private static let width = 110

    /// A basic string (TOML 1.0, "String").
    package static func quoted(_ value: String) -> String { value.quoted }

    /// A list of basic strings.
    package static func list(_ values: [String]) -> String { "[" + values.map(quoted).joined(separator: ", ") + "]" }
}

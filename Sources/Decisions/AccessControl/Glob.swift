// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// A pattern for external key ids: `*` stands for any number of characters, `?` for exactly one. What it matches in a
/// key store is what a worker lists for it: both ask the same `LabelPattern`.
package struct Glob: Sendable, Equatable {
    package let labels: LabelPattern

    package var pattern: String { labels.text }

    /// - Throws: ``AccessControlError`` for an empty or overlong pattern, or a character no external key id has.
    package init(_ pattern: String) throws(AccessControlError) {
        if let labels = LabelPattern(pattern) {
            self.labels = labels
            return
        }
        if let character = ExternalKeyID.firstIllegalCharacter(in: pattern, besides: { $0 == "*" || $0 == "?" }),
            ExternalKeyID.lengths.contains(pattern.utf8.count)
        {
            throw .illegalPatternCharacter(pattern: pattern, character: character)
        }
        throw .patternLength(pattern: pattern, length: pattern.utf8.count)
    }

    /// Whether all of `name` fits the pattern. A name that is no external key id fits none.
    package func matches(_ name: String) -> Bool { labels.matches(name) }
}

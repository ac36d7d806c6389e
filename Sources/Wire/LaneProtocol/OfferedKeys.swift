// SPDX-License-Identifier: Apache-2.0

/// Which keys of a token the node's key stores offer: the only ones that a worker lists.
///
/// A token may hold thousands of keys of other applications. They get no number and no canary, and cost no request
/// anything.
package struct OfferedKeys: Sendable, Equatable {
    /// Labels that the configuration names one by one. They are searched for by label, so that a token with very many
    /// keys cannot hide them.
    package private(set) var labels: Set<KeyLabel>
    /// Patterns over labels.
    package private(set) var patterns: [LabelPattern]
    /// Every key that has a label, besides. For tools that show what a token holds.
    package private(set) var includesAll: Bool

    /// Order and repetition of the patterns make no difference.
    package init(labels: Set<KeyLabel> = [], patterns: [LabelPattern] = [], includesAll: Bool = false) {
        self.labels = labels
        self.patterns = Set(patterns).sorted { $0.text < $1.text }
        self.includesAll = includesAll
    }

    /// Every key of a token.
    package static let all = OfferedKeys(includesAll: true)

    /// True when the labels alone do not say which keys these are, so that all keys of a token must be looked at.
    package var needsFullSearch: Bool { includesAll || !patterns.isEmpty }

    package func contains(_ label: KeyLabel) -> Bool {
        guard !includesAll else { return !label.isEmpty }
        return labels.contains(label) || patterns.contains { $0.matches(label.text) }
    }

    /// Whether a pattern is meant to offer this label, and does not, as it can be no external key id; false where the
    /// label is named besides.
    package func misses(_ label: KeyLabel) -> Bool {
        !label.isEmpty && !labels.contains(label) && patterns.contains { $0.misses(label.text) }
    }

    /// What one or the other offers.
    package func union(_ other: OfferedKeys) -> OfferedKeys {
        OfferedKeys(
            labels: labels.union(other.labels), patterns: patterns + other.patterns,
            includesAll: includesAll || other.includesAll)
    }
}

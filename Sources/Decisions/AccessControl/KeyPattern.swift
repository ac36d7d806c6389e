// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// Which keys of the HSMs a key store serves, and by which names.
package enum KeyPattern: Sendable, Equatable {
    /// The key with this PKCS#11 label; the external key id is the label.
    case label(String)
    /// All keys whose label fits; the external key id is the label.
    case glob(Glob)
    /// The key with this label under another name: the only way to a label that cannot be an external key id.
    case mapping(externalKeyID: String, label: String)

    /// The one label that this is about; `nil` for a glob.
    package var singleLabel: String? {
        switch self {
        case .label(let label), .mapping(_, let label): label
        case .glob: nil
        }
    }

    /// Longest label that a mapping may name, in bytes of UTF-8.
    package static let maximumLabelLength = 255

    /// Reads a pattern as it stands in a configuration: a glob if it has a `*` or `?`, otherwise a label.
    ///
    /// - Throws: ``AccessControlError`` when it can never be an external key id.
    package init(_ text: String) throws(AccessControlError) {
        if text.utf8.contains(where: { $0 == 0x2A || $0 == 0x3F }) {
            self = .glob(try Glob(text))
        } else {
            self = .label(text)
            try validate()
        }
    }

    /// Maps an external key id to any label.
    ///
    /// - Throws: ``AccessControlError`` when `externalKeyID` is not of the form or `label` is empty or too long.
    package init(externalKeyID: String, label: String) throws(AccessControlError) {
        self = .mapping(externalKeyID: externalKeyID, label: label)
        try validate()
    }

    func validate() throws(AccessControlError) {
        switch self {
        case .glob:
            return
        case .label(let label):
            guard ExternalKeyID.lengths.contains(label.utf8.count) else {
                throw .patternLength(pattern: label, length: label.utf8.count)
            }
            if let character = ExternalKeyID.firstIllegalCharacter(in: label) {
                throw .illegalPatternCharacter(pattern: label, character: character)
            }
        case .mapping(let id, let label):
            guard ExternalKeyID.lengths.contains(id.utf8.count) else {
                throw .externalKeyIDLength(id: id, length: id.utf8.count)
            }
            if let character = ExternalKeyID.firstIllegalCharacter(in: id) {
                throw .illegalExternalKeyIDCharacter(id: id, character: character)
            }
            guard (1...Self.maximumLabelLength).contains(label.utf8.count) else {
                throw .labelLength(id: id, length: label.utf8.count)
            }
        }
    }
}

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

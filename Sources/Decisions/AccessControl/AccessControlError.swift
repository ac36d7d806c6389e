// SPDX-License-Identifier: Apache-2.0

/// Why key stores cannot be set up as asked. Each case names the value; the description says what mends it.
package enum AccessControlError: Error, Equatable, Sendable {
    case noKeyStores
    case noKeys(prefix: String)
    case repeatedPrefix(String)
    case repeatedExternalKeyID(id: String, prefix: String)
    case repeatedLabel(label: String, prefix: String)
    case prefixLength(prefix: String, length: Int)
    case illegalPrefixCharacter(prefix: String, character: Character)
    case prefixForm(prefix: String, problem: PrefixProblem)
    case patternLength(pattern: String, length: Int)
    case illegalPatternCharacter(pattern: String, character: Character)
    case externalKeyIDLength(id: String, length: Int)
    case illegalExternalKeyIDCharacter(id: String, character: Character)
    case labelLength(id: String, length: Int)
}

/// What is wrong with the form of a path prefix, and what mends it.
package enum PrefixProblem: String, Equatable, Sendable {
    case noLeadingSlash = "does not begin with a slash; put one in front"
    case trailingSlash = "ends with a slash; leave it out (and leave the prefix empty for none)"
    case emptySegment = "has two slashes in a row; leave one out"
    case containsAPIPath = "contains /kms/xks/v1; give only what stands before it"
}

extension AccessControlError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noKeyStores:
            "There is no key store; add at least one."
        case .noKeys(let prefix):
            "Key store \"\(prefix)\" has no keys; name a label, a glob or a mapping, \"*\" for all."
        case .repeatedPrefix(let prefix):
            "Two key stores have the path prefix \"\(prefix)\"; give one of them another, or join them."
        case .repeatedExternalKeyID(let id, let prefix):
            "External key id \"\(id)\" occurs twice in key store \"\(prefix)\"; remove or rename one."
        case .repeatedLabel(let label, let prefix):
            "Key \"\(label)\" occurs twice in key store \"\(prefix)\"; remove one."
        case .prefixLength(let prefix, let length):
            "Path prefix \"\(prefix)\" has \(length) characters; at most \(KeyStore.maximumPrefixLength) fit before "
                + "/kms/xks/v1. Shorten it."
        case .illegalPrefixCharacter(let prefix, let character):
            "Path prefix \"\(prefix)\" has the character \"\(character)\"; use only a-z, A-Z, 0-9, /, - and _."
        case .prefixForm(let prefix, let problem):
            "Path prefix \"\(prefix)\" \(problem.rawValue)."
        case .patternLength(let pattern, let length):
            "Key \"\(pattern)\" has \(length) characters; an external key id has 1 to 128. "
                + "Map a shorter id to the label: { id = \"…\", label = \"…\" }."
        case .illegalPatternCharacter(let pattern, let character):
            "Key \"\(pattern)\" has the character \"\(character)\", which no external key id may have "
                + "(only A-Z, a-z, 0-9, -, . and _). Map an id to the label: { id = \"…\", label = \"…\" }."
        case .externalKeyIDLength(let id, let length):
            "External key id \"\(id)\" has \(length) characters; it must have 1 to 128."
        case .illegalExternalKeyIDCharacter(let id, let character):
            "External key id \"\(id)\" has the character \"\(character)\"; use only A-Z, a-z, 0-9, -, . and _."
        case .labelLength(let id, let length):
            "The label for external key id \"\(id)\" has \(length) bytes; it must have 1 to "
                + "\(KeyPattern.maximumLabelLength)."
        }
    }
}

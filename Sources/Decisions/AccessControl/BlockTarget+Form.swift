// SPDX-License-Identifier: Apache-2.0

// How a target is written: on the command line, on the wire, in the store.

extension BlockTarget {
    package static let longestPrincipal = 512

    /// The target that the options of one order name.
    ///
    /// Whether a key store or a key of this name is there is for the caller to check: a block may precede its key.
    /// - Throws: ``BlockError`` when none or several are given, or one cannot be.
    package static func parse(
        everything: Bool = false, keyStore: String? = nil, key: String? = nil, principal: String? = nil
    ) throws(BlockError) -> BlockTarget {
        var found: [BlockTarget] = []
        if everything { found.append(.everything) }
        if let keyStore { found.append(.keyStore(keyStore)) }
        if let key { found.append(.key(key)) }
        if let principal { found.append(.principal(principal)) }
        guard let target = found.first else { throw .noTarget }
        guard found.count == 1 else { throw .severalTargets(found.map(\.option)) }
        try target.validate()
        // Whoever writes a comma means two keys. A label that has one is served under another external key id.
        if case .key(let key) = target, key.utf8.contains(0x2C) {
            throw .keyForm(
                key,
                problem: "has a comma, and --key names one key; give one order for each, or the external key id of a "
                    + "key whose label has a comma")
        }
        return target
    }

    /// From the two columns of a table, or the two members of the wire form. `everything` has an empty value.
    ///
    /// - Throws: ``BlockError`` when there is no such kind, or the value cannot be one of it.
    package init(kind: String, value: String) throws(BlockError) {
        switch kind {
        case "everything" where value.isEmpty: self = .everything
        case "keyStore": self = .keyStore(value)
        case "key": self = .key(value)
        case "principal": self = .principal(value)
        default: throw .noTarget
        }
        try validate()
    }

    package var kind: String {
        switch self {
        case .everything: "everything"
        case .keyStore: "keyStore"
        case .key: "key"
        case .principal: "principal"
        }
    }

    package var value: String {
        switch self {
        case .everything: ""
        case .keyStore(let value), .key(let value), .principal(let value): value
        }
    }

    /// As `claviger block` takes it.
    package var options: String {
        switch self {
        case .everything: option
        case .keyStore(let value), .key(let value), .principal(let value): "\(option) \(Self.quoted(value))"
        }
    }

    private var option: String {
        switch self {
        case .everything: "--all"
        case .keyStore: "--keystore"
        case .key: "--key"
        case .principal: "--principal"
        }
    }

    /// For a shell: in single quotes where it holds more than plain characters.
    private static func quoted(_ value: String) -> String {
        let isPlain = value.utf8.allSatisfy { ExternalKeyID.isCharacter($0) || $0 == 0x2F || $0 == 0x3A }
        if isPlain, !value.isEmpty { return value }
        return "'" + value.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }

    /// - Throws: ``BlockError`` for a value that cannot be.
    package func validate() throws(BlockError) {
        switch self {
        case .everything: return
        case .keyStore(let prefix):
            do throws(AccessControlError) {
                try KeyStore.validate(prefix: prefix)
            } catch {
                throw .keyStore(error)
            }
        case .key(let key):
            if let problem = TextForm.problem(of: key, longest: KeyPattern.maximumLabelLength) {
                throw .keyForm(
                    key, problem: "\(problem); give 1 to \(KeyPattern.maximumLabelLength) bytes of printable text")
            }
            // Whoever writes a pattern here would believe that it blocks, and it would block nothing.
            if key.utf8.contains(where: { $0 == 0x2A || $0 == 0x3F }) {
                throw .keyForm(
                    key,
                    problem: "has a wildcard, and --key names one key; "
                        + "give its external key id, or block the key store with --keystore")
            }
        case .principal(let pattern):
            if let problem = Self.problem(ofPrincipal: pattern) {
                throw .principalForm(pattern, problem: problem)
            }
        }
    }

    private static func problem(ofPrincipal pattern: String) -> String? {
        guard !pattern.isEmpty, pattern.utf8.contains(where: { $0 != 0x2A }) else {
            return "stands for everybody; use --all for that"
        }
        guard pattern.utf8.count <= longestPrincipal else {
            return "has \(pattern.utf8.count) bytes; at most \(longestPrincipal) are looked at, use * for the rest"
        }
        guard pattern.utf8.starts(with: "arn:".utf8) else {
            return "is no ARN; it begins with \"arn:\", for example arn:aws:iam::111122223333:role/example-*"
        }
        guard pattern.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return "has a character that no ARN has; use printable ASCII without spaces"
        }
        guard !pattern.utf8.contains(0x3F) else {
            return "has a question mark; the only wildcard is *, for any number of characters"
        }
        return nil
    }
}

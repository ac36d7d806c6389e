// SPDX-License-Identifier: Apache-2.0

/// Which statements can match a request, without asking each.
///
/// Each statement is filed under what it asks for most narrowly: the texts of its resources, of its principals, or of a
/// condition that wants one of some values. A text without wildcards is filed whole, another by what stands before its
/// first wildcard or by a piece between two of them. A request looks for its own values in these files, and finds besides
/// the statements that can only be found so, those that ask for nothing that can be filed.
struct StatementIndex: Sendable {
    /// What of a request statements are filed by.
    private enum Attribute: Hashable {
        case key(ConditionKey)
        /// In lower case.
        case foldedKey(ConditionKey)
        case principalAccount
    }

    /// What a value has where a pattern fits it.
    private struct Anchor: Hashable {
        enum Kind: Hashable {
            case whole, prefix, piece
        }

        let attribute: Attribute
        let kind: Kind
        let bytes: [UInt8]
    }

    /// The statements that are filed by one attribute.
    private final class File: Sendable {
        let attribute: Attribute
        private let prefixes: PrefixTree?
        private let pieces: FragmentAutomaton?

        init(_ attribute: Attribute, _ prefixes: PrefixTreeBuilder?, _ pieces: FragmentBuilder?) {
            self.attribute = attribute
            self.prefixes = prefixes.map(PrefixTree.init)
            self.pieces = pieces.map(FragmentAutomaton.init)
        }

        func look(for value: UnsafeBufferPointer<UInt8>, _ body: (Int) -> Void) {
            prefixes?.forEachEntry(of: value, body)
            pieces?.forEachEntry(in: value, body)
        }
    }

    /// Of statements that each request has to ask; in the order of the policy.
    private let always: [Int]
    private let files: [File]

    /// - Parameters:
    ///   - statements: all of the policy.
    ///   - action: those for which it is made.
    init(_ statements: [Statement], action: PolicyAction) {
        let members = statements.indices.filter { statements[$0].actions.contains(action) }
        let choices = members.map { Self.choices(statements[$0]) }
        var uses: [Anchor: Int] = [:]
        for anchors in choices.joined().joined() {
            for anchor in anchors { uses[anchor, default: 0] += 1 }
        }
        var always: [Int] = []
        var prefixes: [Attribute: PrefixTreeBuilder] = [:]
        var pieces: [Attribute: FragmentBuilder] = [:]
        for (member, choices) in zip(members, choices) {
            let narrowest = choices.map { Self.narrowest($0, uses) }.min { $0.cost < $1.cost }
            guard let narrowest else {
                always.append(member)
                continue
            }
            for anchor in narrowest.anchors {
                switch anchor.kind {
                case .piece: pieces[anchor.attribute, default: FragmentBuilder()].insert(anchor.bytes, member)
                case .whole, .prefix:
                    prefixes[anchor.attribute, default: PrefixTreeBuilder()]
                        .insert(anchor.bytes, member, whole: anchor.kind == .whole)
                }
            }
        }
        self.always = always
        files = Set(prefixes.keys).union(pieces.keys).map { File($0, prefixes[$0], pieces[$0]) }
    }

    /// Calls `body` with each statement that can match, some of them perhaps several times.
    func forEachCandidate(_ request: PolicyRequest, _ body: (Int) -> Void) {
        for id in always { body(id) }
        for file in files {
            switch file.attribute {
            case .principalAccount:
                request.metadata.awsPrincipalArn?.withBytes { bytes in
                    if let account = ARN.account(bytes) { file.look(for: account, body) }
                }
            case .key(.other(let name)):
                for value in request.values(ofOther: name) { value.withBytes { file.look(for: $0, body) } }
            case .foldedKey(.other(let name)):
                for value in request.values(ofOther: name) {
                    Condition.folded(value).withUnsafeBufferPointer { file.look(for: $0, body) }
                }
            case .foldedKey(let key):
                guard let text = request.text(key) else { continue }
                Condition.folded(text).withUnsafeBufferPointer { file.look(for: $0, body) }
            case .key(let key): request.text(key)?.withBytes { file.look(for: $0, body) }
            }
        }
    }

    // MARK: What a statement may be filed under

    /// The ways to file a statement. Each has an element for each of some patterns, of which a request that matches fits
    /// one: any of the anchors that stand there will do for that pattern.
    private static func choices(_ statement: Statement) -> [[[Anchor]]] {
        var choices = [anchors(statement.resources.all, .key(.externalKeyID))]
        let principals = statement.principals
        if !principals.isAnybody {
            choices.append(
                anchors(principals.names.all, .key(.awsPrincipalArn))
                    + anchors(principals.accounts.all, .principalAccount))
        }
        for condition in statement.conditions {
            guard !condition.test.comparison.isNegated, !condition.test.ifExists, condition.test.quantifier != .all
            else { continue }
            switch condition.operands {
            case .texts(let patterns): choices.append(anchors(patterns.all, .key(condition.key)))
            case .foldedTexts(let patterns): choices.append(anchors(patterns.all, .foldedKey(condition.key)))
            case .arns(let patterns): choices.append(anchors(patterns.map(\.whole), .key(condition.key)))
            default: break
            }
        }
        // A pattern that every text may fit cannot be filed, and what is with it cannot, either.
        return choices.filter { choice in !choice.isEmpty && choice.allSatisfy { !$0.isEmpty } }
    }

    private static func anchors(_ patterns: [TextPattern], _ attribute: Attribute) -> [[Anchor]] {
        patterns.map { pattern in
            let prefix = pattern.literalPrefix
            guard !pattern.isLiteral else { return [Anchor(attribute: attribute, kind: .whole, bytes: prefix)] }
            let pieces = pattern.literalPieces.map { Anchor(attribute: attribute, kind: .piece, bytes: $0) }
            return prefix.isEmpty ? pieces : [Anchor(attribute: attribute, kind: .prefix, bytes: prefix)] + pieces
        }
    }

    /// For each pattern the anchor that fewest statements share, and what finding them costs: as many statements as a request
    /// then has to ask, as far as the policy itself tells. Of texts that are shared alike the longer one is the narrower.
    private static func narrowest(
        _ patterns: [[Anchor]], _ uses: [Anchor: Int]
    ) -> (anchors: [Anchor], cost: Double) {
        var anchors: [Anchor] = []
        var cost = 0.0
        for alternatives in patterns {
            let costs = alternatives.map { anchor in
                let width = anchor.kind == .whole ? 1 : 2 + 16 / Double(1 + anchor.bytes.count)
                return (anchor, Double(uses[anchor] ?? 1) * width)
            }
            guard let best = costs.min(by: { $0.1 < $1.1 }) else { continue }
            anchors.append(best.0)
            cost = max(cost, best.1)
        }
        return (anchors, cost)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Which statements can match a request, without asking each.
///
/// Each statement is filed once, under what it asks for most narrowly: the texts of its resources, of its principals,
/// or of a condition that wants one of some values. A text without wildcards is filed whole, another by what stands before
/// its first wildcard or after its last. A request looks for its own values in these files, and finds besides the
/// statements that can only be found so, those that ask for nothing that can be filed.
struct StatementIndex: Sendable {
    /// What of a request statements are filed by.
    private enum Attribute: Hashable {
        case key(ConditionKey)
        case principalAccount
    }

    private struct Anchor: Hashable {
        let attribute: Attribute
        let isFromEnd: Bool
        let isWhole: Bool
        let bytes: [UInt8]
    }

    /// The statements that are filed by one attribute.
    private final class File: Sendable {
        let attribute: Attribute
        private let fromStart: PrefixTree?
        private let fromEnd: PrefixTree?

        init(_ attribute: Attribute, _ fromStart: PrefixTreeBuilder?, _ fromEnd: PrefixTreeBuilder?) {
            self.attribute = attribute
            self.fromStart = fromStart.map(PrefixTree.init)
            self.fromEnd = fromEnd.map(PrefixTree.init)
        }

        func look(for value: UnsafeBufferPointer<UInt8>, _ body: (Int) -> Void) {
            fromStart?.forEachEntry(of: value, body)
            fromEnd?.forEachEntry(of: value, body)
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
        for choice in choices.joined() {
            for anchor in choice { uses[anchor, default: 0] += 1 }
        }
        var always: [Int] = []
        var forward: [Attribute: PrefixTreeBuilder] = [:]
        var backward: [Attribute: PrefixTreeBuilder] = [:]
        for (member, choices) in zip(members, choices) {
            guard let best = choices.min(by: { Self.cost($0, uses) < Self.cost($1, uses) }) else {
                always.append(member)
                continue
            }
            for anchor in best {
                if anchor.isFromEnd {
                    backward[anchor.attribute, default: PrefixTreeBuilder(isFromEnd: true)]
                        .insert(anchor.bytes, member, whole: false)
                } else {
                    forward[anchor.attribute, default: PrefixTreeBuilder(isFromEnd: false)]
                        .insert(anchor.bytes, member, whole: anchor.isWhole)
                }
            }
        }
        self.always = always
        files = Set(forward.keys).union(backward.keys).map { File($0, forward[$0], backward[$0]) }
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
            case .key(let key): request.text(key)?.withBytes { file.look(for: $0, body) }
            }
        }
    }

    // MARK: What a statement may be filed under

    /// Each of these is enough: a request that matches the statement is found under one of its anchors.
    private static func choices(_ statement: Statement) -> [[Anchor]] {
        var choices = anchors(statement.resources.all, .key(.externalKeyID))
        let principals = statement.principals
        if !principals.isAnybody {
            let accounts = anchors(principals.accounts.all, .principalAccount)
            if principals.accounts.all.isEmpty {
                choices += anchors(principals.names.all, .key(.awsPrincipalArn))
            } else if principals.names.all.isEmpty {
                choices += accounts
            } else {
                for names in anchors(principals.names.all, .key(.awsPrincipalArn)) {
                    choices += accounts.map { names + $0 }
                }
            }
        }
        for condition in statement.conditions {
            guard !condition.test.comparison.isNegated, !condition.test.ifExists, condition.test.quantifier != .all
            else { continue }
            switch condition.operands {
            case .texts(let patterns): choices += anchors(patterns.all, .key(condition.key))
            case .arns(let patterns): choices += anchors(patterns.map(\.whole), .key(condition.key))
            default: break
            }
        }
        return choices
    }

    private static func anchors(_ patterns: [TextPattern], _ attribute: Attribute) -> [[Anchor]] {
        guard !patterns.isEmpty else { return [] }
        let forward = patterns.map { pattern in
            Anchor(attribute: attribute, isFromEnd: false, isWhole: pattern.isLiteral, bytes: pattern.literalPrefix)
        }
        let backward = patterns.map { pattern in
            Anchor(attribute: attribute, isFromEnd: true, isWhole: false, bytes: pattern.literalSuffix)
        }
        return [forward, backward].filter { $0.allSatisfy { $0.isWhole || !$0.bytes.isEmpty } }
    }

    /// How many statements a request that finds one of the anchors has to ask, as far as the policy itself tells; of two
    /// that seem alike the longer text is the narrower one.
    private static func cost(_ anchors: [Anchor], _ uses: [Anchor: Int]) -> Double {
        anchors.map { anchor in
            let shared = Double(uses[anchor] ?? 1) * (anchor.isWhole ? 1 : 4)
            return shared + 1 / Double(2 + anchor.bytes.count)
        }.max() ?? .infinity
    }
}

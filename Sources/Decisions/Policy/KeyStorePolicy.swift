// SPDX-License-Identifier: Apache-2.0

/// What a policy says of a request. Statements have their Sid for a name, or `statement 3` where they have none.
package enum PolicyDecision: Sendable, Equatable {
    /// By this statement, and none denies it.
    case allowed(by: String)
    /// By this statement, whatever others allow.
    case denied(by: String)
    /// No statement is about it: what nobody allows is denied.
    case notAllowed

    package var isAllowed: Bool {
        if case .allowed = self { true } else { false }
    }

    /// The statement that decides.
    package var statement: String? {
        switch self {
        case .allowed(let name), .denied(let name): name
        case .notAllowed: nil
        }
    }
}

/// The policy of a key store: secondary authorization (XKS 1.0.3, "Authorization") in the language of IAM's policies.
///
/// It never changes: reading it costs what it costs, and a decision looks only at the statements that can match. A class,
/// so that a key store without one is copied as cheaply as ever.
package final class KeyStorePolicy: Sendable {
    let statements: [Statement]
    /// By `PolicyAction.index`.
    private let indices: [StatementIndex]

    init(statements: [Statement]) {
        self.statements = statements
        indices = PolicyAction.allCases.sorted { $0.index < $1.index }.map {
            StatementIndex(statements, action: $0)
        }
    }

    /// Whether a condition asks for the address of who has connected.
    package var asksForClientAddress: Bool {
        statements.contains { $0.conditions.contains { $0.key == .clientAddress } }
    }

    /// Whether a condition asks for a field of requestMetadata that this version does not know.
    package var asksForUnknownFields: Bool {
        statements.contains { statement in
            statement.conditions.contains { if case .other = $0.key { true } else { false } }
        }
    }

    package var statementCount: Int { statements.count }

    /// Of several statements that decide the first in the file is named.
    package func decide(_ request: PolicyRequest) -> PolicyDecision {
        var allow = Int.max
        var deny = Int.max
        indices[request.action.index].forEachCandidate(request) { id in
            let statement = statements[id]
            switch statement.effect {
            case .deny where id < deny: if statement.matches(request) { deny = id }
            case .allow where id < allow && deny == Int.max: if statement.matches(request) { allow = id }
            case .allow, .deny: break
            }
        }
        if deny < statements.count { return .denied(by: statements[deny].name) }
        return allow < statements.count ? .allowed(by: statements[allow].name) : .notAllowed
    }
}

extension KeyStorePolicy {
    /// How many statements a decision asks, whether or not they match.
    package func candidateCount(_ request: PolicyRequest) -> Int {
        var candidates: Set<Int> = []
        indices[request.action.index].forEachCandidate(request) { candidates.insert($0) }
        return candidates.count
    }
}

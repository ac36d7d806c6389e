// SPDX-License-Identifier: Apache-2.0

/// What a policy says of a request, and why: each statement in its turn, whether or not it decides.
package struct PolicyExplanation: Sendable, Equatable {
    package struct Statement: Sendable, Equatable {
        /// The Sid, or `statement 3`.
        package var name: String
        /// Of its beginning in the file, from 1.
        package var line: Int
        package var effect: PolicyEffect
        /// Why it does not match, a clause for each part; empty where it does.
        package var misses: [String]

        package var matches: Bool { misses.isEmpty }
    }

    package var decision: PolicyDecision
    /// In the order of the file.
    package var statements: [Statement]
}

extension KeyStorePolicy {
    /// Takes its time: each statement is asked for each of its parts.
    package func explain(_ request: PolicyRequest) -> PolicyExplanation {
        PolicyExplanation(
            decision: decide(request),
            statements: statements.map { statement in
                PolicyExplanation.Statement(
                    name: statement.name, line: statement.line, effect: statement.effect,
                    misses: statement.misses(request))
            })
    }
}

extension Statement {
    fileprivate func misses(_ request: PolicyRequest) -> [String] {
        var misses: [String] = []
        if !actions.contains(request.action) {
            let names = actions.map(\.rawValue).sorted().joined(separator: ", ")
            misses.append("Action: \(request.action.rawValue) is not among \(names)")
        }
        if !request.externalKeyID.withBytes(resources.matches) {
            misses.append(
                "Resource: \(Shown.quoted(request.externalKeyID)) does not fit "
                    + Shown.list(resources.all.map(\.text)))
        }
        if !principals.matches(request.metadata.awsPrincipalArn) {
            let named = principals.names.all.map(\.text) + principals.accounts.all.map { "account \($0.text)" }
            let principal = request.metadata.awsPrincipalArn.map(Shown.quoted) ?? "no awsPrincipalArn"
            misses.append("Principal: \(principal) does not fit \(Shown.list(named))")
        }
        return misses + conditions.filter { !$0.holds(request) }.map { $0.miss(request) }
    }
}

extension Condition {
    /// Why it does not hold.
    fileprivate func miss(_ request: PolicyRequest) -> String {
        let shown = shownValues(request)
        let subject = "\(test.name) \(key.name)"
        if case .absence(let wanted) = operands {
            return wanted.contains(true)
                ? "\(subject): it is there, \(Shown.list(shown))" : "\(subject): it is absent\(reason(request))"
        }
        guard !shown.isEmpty else { return "\(subject): it is absent\(reason(request))" }
        let verb = test.comparison.isNegated ? "is excluded by" : "does not fit"
        return "\(subject): \(Shown.list(shown)) \(verb) \(Shown.list(values))"
    }

    /// Why AWS does not send the key with this request, where that is known.
    private func reason(_ request: PolicyRequest) -> String {
        switch key {
        case .awsSourceVpc, .awsSourceVpce:
            let caller = request.metadata.awsPrincipalArn.flatMap(ARN.account)
            let owner = request.metadata.kmsKeyArn.flatMap(ARN.account)
            if let caller, let owner, caller != owner {
                return ": KMS never sends it for a caller of another account (\(caller)) than the key's (\(owner))"
            }
            return ": KMS sends it only where it was called by a VPC endpoint"
        case .kmsKeyArn where request.action == .getKeyMetadata,
            .kmsViaService where request.action == .getKeyMetadata:
            return ": KMS does not send it with GetKeyMetadata"
        default: return ""
        }
    }

    private func shownValues(_ request: PolicyRequest) -> [String] {
        switch key {
        case .clientAddress: ClientAddress(request.clientAddress) == nil ? [] : [request.clientAddress]
        case .currentTime: [PolicyMoment.text(request.time)]
        case .other(let name): request.values(ofOther: name)
        default: request.text(key).map { [$0] } ?? []
        }
    }
}

extension PolicyExplanation: CustomStringConvertible {
    /// A paragraph for each statement, and the decision.
    package var description: String {
        let lines = statements.map { statement in
            let head = "\(statement.name) (\(statement.effect.rawValue), line \(statement.line))"
            guard !statement.matches else { return "\(head): matches" }
            return (["\(head): does not match"] + statement.misses.map { "    \($0)" }).joined(separator: "\n")
        }
        return (lines + ["", "\(decision)"]).joined(separator: "\n")
    }
}

extension PolicyDecision: CustomStringConvertible {
    package var description: String {
        switch self {
        case .allowed(let name): "Allowed by \(name)."
        case .denied(let name): "Denied by \(name)."
        case .notAllowed: "Denied: no statement allows it."
        }
    }
}
